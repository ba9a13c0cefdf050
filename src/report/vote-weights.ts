/** What one set of predictions would have scored, had each vote counted in another way. */
import { Ballot } from "../adapt/ballot.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import type { Task } from "../arc/task.ts";
import type { VoteEntry } from "../predict/vote-log-file.ts";
import { scoreAnswers, submittable } from "../score/pass-at-k.ts";
import { type HaltingScale, weighersFor } from "../vote/weighting.ts";

/** The score of one weighting; shares of the test inputs with a solution, 0..1. */
export interface WeightingScore {
  readonly name: string;
  readonly "pass@1": number;
  readonly "pass@2": number;
}

/** The votes of all stages, as a run counts them. @param chosen tasks worked on, in the order that votes number them */
export function ballotOf(entries: readonly VoteEntry[], chosen: readonly Task[]): Ballot {
  const ballot = new Ballot();
  for (const entry of entries) {
    if (entry.kind === "stage") ballot.beginStage();
    else if (chosen[entry.vote.task]) {
      const { task, variant, ...vote } = entry.vote;
      ballot.add({ ...vote, taskId: chosen[task]!.id, order: variant });
    }
  }
  return ballot;
}

/**
 * Scores the answers of all stages: a later stage's come first.
 *
 * @param entries   that the ballot holds
 * @param chosen    tasks worked on
 * @param scale     what pairs held back have told of the halting head, if anything
 * @returns one score a weighting that the votes tell enough for; none where no task with a vote has a solution
 */
export function scoresByWeighting(
  ballot: Ballot,
  entries: readonly VoteEntry[],
  chosen: readonly Task[],
  solutions: Solutions,
  scale: HaltingScale | undefined,
): WeightingScore[] {
  const known = new Map(chosen.flatMap(({ id }) => (solutions.has(id) ? [[id, solutions.get(id)!] as const] : [])));
  if (known.size === 0 || ballot.total === 0) return [];
  const isWatched = entries.every((entry) => entry.kind === "stage" || entry.vote.agreement !== undefined);
  return [...weighersFor(scale, isWatched)].map(([name, weigher]) => {
    const { passAtK } = scoreAnswers(submittable(ballot.rankedAll(chosen, weigher)), known, [1, 2]);
    return { name, "pass@1": passAtK.get("pass@1")!, "pass@2": passAtK.get("pass@2")! };
  });
}
