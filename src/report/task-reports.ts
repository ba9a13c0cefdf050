/** Every task of a run: as asked, as answered, and as it should have been. */

import { type Grid, gridKey } from "../arc/grid.ts";
import type { RunTask } from "../arc/run-tasks-file.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import type { RankedAnswers } from "../vote/rank.ts";
import { packGrid } from "./packed-grid.ts";
import type { PackedGrid, ScoreSummary, TaskReport, TestReport } from "./report-data.ts";
import type { StageVotes } from "./stage-votes.ts";

const EMPTY = packGrid({ rows: 0, cols: 0, cells: new Uint8Array(0) });

/** What a run has made of its tasks. Maps are by task id. */
export interface Answered {
  readonly tasks: readonly RunTask[];
  /** attempts of each test input, as handed in */
  readonly submission: ReadonlyMap<string, readonly (readonly Grid[])[]>;
  readonly candidates: RankedAnswers;
  /** votes on each test input, those on answers that were not kept too; where it is not told, those on the candidates count */
  readonly votes: ReadonlyMap<string, readonly StageVotes[]>;
  readonly solutions: Solutions | undefined;
}

/** Tasks in the order of their file. */
export function taskReports({ tasks, submission, candidates, votes, solutions }: Answered): TaskReport[] {
  return tasks.map(({ entry, chosen }): TaskReport => {
    const { id } = entry;
    const isGood = "test" in entry;
    const inputs = isGood ? entry.test.map(({ input }) => input) : Array.from({ length: entry.testInputs }, (_, i) => entry.inputs?.[i]);
    const test = inputs.map((input, i): TestReport => {
      const list = candidates.get(id)?.[i] ?? [];
      const solution = solutions?.get(id)?.[i];
      const own = votes.get(id)?.[i];
      const isEarlier = (grid: Grid): boolean => own !== undefined && own.all > 0 && !own.answers.has(gridKey(grid));
      const listed = list.reduce((sum, answer) => sum + (isEarlier(answer.grid) ? 0 : answer.votes), 0);
      return {
        ...(input && { input: packGrid(input) }),
        ...(solution && { solution: packGrid(solution) }),
        attempts: (submission.get(id)?.[i] ?? []).map(packGrid),
        candidates: list.map(({ grid, votes, meanQ }) => ({
          grid: packGrid(grid),
          votes: rounded(votes),
          confidence: rounded(meanQ),
          ...(isEarlier(grid) && { isEarlier: true as const }),
        })),
        votes: rounded(Math.max(listed, own?.all ?? 0)),
      };
    });
    return {
      id: wellFormed(id),
      state: isGood ? (chosen ? "worked-on" : "left-out") : "unreadable",
      ...(!isGood && { problems: entry.problems }),
      train: isGood ? entry.train.map(({ input, output }) => [packGrid(input), packGrid(output)] as const) : [],
      test,
    };
  });
}

/**
 * How many of the test inputs worked on are solved, as far as solutions are known; undefined where none is, or where no attempt could be read. Shares by
 * candidates are left out where none could be.
 */
export function scoreOf(tasks: readonly TaskReport[]): ScoreSummary | undefined {
  const known = tasks.filter(({ state }) => state === "worked-on").map(({ test }) => test.filter(({ solution }) => solution !== undefined));
  const tests = known.flat();
  if (tests.every(({ attempts }) => attempts.length === 0)) return undefined;
  const isRanked = tests.some(({ candidates }) => candidates.length > 0);
  const solvedBy = ({ attempts, solution }: TestReport): number => attempts.indexOf(solution!);
  // As in `submittable`: what is no grid takes none of the places.
  const places = tests.map(({ candidates, solution }) =>
    candidates.filter(({ grid }) => grid !== EMPTY).findIndex(({ grid }) => grid === solution),
  );
  const longest = Math.max(2, ...tests.map(({ candidates }) => candidates.length));
  const ofTasks = tasks.filter(({ state, test }) => state === "worked-on" && test.every(({ solution }) => solution !== undefined));
  return {
    testInputs: tests.length,
    solved: tests.filter((test) => solvedBy(test) >= 0).length,
    solvedFirst: tests.filter((test) => solvedBy(test) === 0).length,
    tasks: ofTasks.length,
    tasksSolved: ofTasks.filter(({ test }) => test.every((each) => solvedBy(each) >= 0)).length,
    passAtK: (isRanked ? [1, 2, 5, 10] : [])
      .filter((k) => k <= longest)
      .map((k) => ({ k, share: places.filter((place) => place >= 0 && place < k).length / tests.length })),
  };
}

/** Candidates that stay in any case: they tell the attempts' votes. */
const ATTEMPTS = 2;

/** Fewer candidates a test input, as many as it takes for all grids to have at most `mostCharacters` together; the attempts stay. */
export function withinCharacters(
  tasks: readonly TaskReport[],
  mostCharacters: number,
): { readonly tasks: readonly TaskReport[]; readonly kept: number | undefined } {
  const length = (grids: readonly (PackedGrid | undefined)[]): number => grids.reduce((sum, grid) => sum + (grid?.length ?? 0) + 3, 0);
  const fixed = tasks.reduce(
    (sum, { train, test }) =>
      sum + length(train.flat()) + test.reduce((all, { input, solution, attempts }) => all + length([input, solution, ...attempts]), 0),
    0,
  );
  const ofRank = (rank: number): number =>
    tasks.reduce(
      (sum, { test }) => sum + length(test.flatMap(({ candidates }) => candidates.slice(rank, rank + 1).map(({ grid }) => grid))),
      0,
    );
  const longest = Math.max(0, ...tasks.flatMap(({ test }) => test.map(({ candidates }) => candidates.length)));
  let characters = fixed;
  for (let rank = 0; rank < longest; rank++) {
    characters += ofRank(rank);
    if (characters <= mostCharacters || rank < ATTEMPTS) continue;
    const cut = (test: TestReport): TestReport => ({ ...test, candidates: test.candidates.slice(0, rank) });
    return { tasks: tasks.map((task) => ({ ...task, test: task.test.map(cut) })), kept: rank };
  }
  return { tasks, kept: undefined };
}

function rounded(value: number): number {
  return Number(value.toPrecision(5));
}

/** Half a surrogate pair, which no address can hold, becomes the sign for what can't be shown. */
function wellFormed(text: string): string {
  return text.replaceAll(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}
