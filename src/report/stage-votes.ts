/** The votes that a run's answers stand on: those of the last stage that has any, for each test input. */
import { gridKey } from "../arc/grid.ts";
import type { Task } from "../arc/task.ts";
import type { VoteEntry } from "../predict/vote-log-file.ts";

/** Votes on a test input in that stage. Answers of earlier ones may fill up what is missing to two; they have none of these. */
export interface StageVotes {
  readonly all: number;
  /** the answers that have them, by `gridKey` */
  readonly answers: ReadonlySet<string>;
}

/** By task id, one for each test input. @param chosen the tasks that votes name by their place */
export function stageVotesOf(votes: readonly VoteEntry[], chosen: readonly Task[]): Map<string, StageVotes[]> {
  const counts = chosen.map(({ test }) => test.map(() => ({ stage: 0, all: 0, answers: new Set<string>() })));
  let stage = 0;
  for (const entry of votes) {
    if (entry.kind === "stage") {
      stage++;
      continue;
    }
    const count = counts[entry.vote.task]?.[entry.vote.testIndex];
    if (!count) continue;
    if (count.stage !== stage) Object.assign(count, { stage, all: 0, answers: new Set() });
    count.answers.add(gridKey(entry.vote.grid));
    count.all++;
  }
  return new Map(chosen.map(({ id }, i) => [id, counts[i]!]));
}
