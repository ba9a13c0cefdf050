/** How much of a set is solved within the first K answers. */
import { equalGrids, type Grid } from "../arc/grid.ts";
import { quoted } from "../arc/grid-json.ts";
import type { Solutions } from "../arc/solutions-json.ts";

/** The Ks that papers report. */
export const PASS_KS: readonly number[] = [1, 2, 5, 10, 100, 1000];

/** Answers by task id, one list per test input, best first. */
export type Answers = ReadonlyMap<string, readonly (readonly { readonly grid: Grid }[])[]>;

/** How well a set of answers does. */
export interface Score {
  /**
   * `pass@K`: share of test inputs whose truth is among the first K answers (as on Kaggle).
   * `pass@KPerTask`: mean over tasks of the share of the task's test inputs (as in TRM evaluators/arc.py). Both 0..1.
   */
  readonly passAtK: ReadonlyMap<string, number>;
  readonly tasks: number;
  readonly testInputs: number;
  /** Tasks all of whose test inputs are solved within two answers (ARC Prize's criterion for a task). */
  readonly tasksSolved: number;
  /** share of test inputs whose truth is among the answers at all, 0..1 */
  readonly oracle: number;
  /** Test inputs without any answer; they count as wrong. */
  readonly unanswered: number;
  /** For each task the place (from 1) of the truth in each list; null where it is not there. */
  readonly places: ReadonlyMap<string, readonly (number | null)[]>;
  /** What does not fit between answers and solutions. */
  readonly notes: readonly string[];
}

/**
 * What could be handed in of ranked answers: a prediction that is no grid at all (nothing before its border) takes none of the attempts, as in
 * `submission/choose.ts`.
 */
export function submittable<A extends { readonly grid: Grid }>(
  answers: ReadonlyMap<string, readonly (readonly A[])[]>,
): Map<string, A[][]> {
  return new Map([...answers].map(([id, tests]) => [id, tests.map((list) => list.filter(({ grid }) => grid.rows > 0))]));
}

/**
 * Scores answers against the truth. All tasks of the solutions count; answers to other tasks don't.
 *
 * @param ks without it, those of `PASS_KS` that some list is long enough for, 1 and 2 always
 */
export function scoreAnswers(answers: Answers, solutions: Solutions, ks?: readonly number[]): Score {
  const notes: string[] = [];
  const foreign = [...answers.keys()].filter((id) => !solutions.has(id));
  if (foreign.length > 0) notes.push(`${foreign.length} answered tasks have no solution and don't count (${named(foreign)})`);
  const missing = [...solutions.keys()].filter((id) => !answers.has(id));
  if (missing.length > 0) notes.push(`${missing.length} tasks with a solution have no answer and count as wrong (${named(missing)})`);

  const places = new Map<string, (number | null)[]>();
  let unanswered = 0;
  let longest = 0;
  for (const [id, truths] of solutions) {
    const lists = answers.get(id) ?? [];
    if (answers.has(id) && lists.length !== truths.length) {
      notes.push(`task ${quoted(id)} has answers to ${lists.length} test inputs but ${truths.length} solutions`);
    }
    places.set(
      id,
      truths.map((truth, i) => {
        const list = lists[i] ?? [];
        if (list.length === 0) unanswered++;
        longest = Math.max(longest, list.length);
        const at = list.findIndex(({ grid }) => equalGrids(grid, truth));
        return at === -1 ? null : at + 1;
      }),
    );
  }
  const counted = [...places.values()].filter((list) => list.length > 0);
  const passAtK = new Map<string, number>();
  for (const k of ks ?? PASS_KS.filter((k) => k <= Math.max(2, longest))) {
    const shares = counted.map((list) => mean(list.map((place) => (within(place, k) ? 1 : 0))));
    passAtK.set(`pass@${k}`, mean(counted.flat().map((place) => (within(place, k) ? 1 : 0))));
    passAtK.set(`pass@${k}PerTask`, mean(shares));
  }
  const tasksSolved = counted.filter((list) => list.every((place) => within(place, 2))).length;
  const oracle = mean(counted.flat().map((place) => (place === null ? 0 : 1)));
  return { passAtK, oracle, tasks: counted.length, testInputs: counted.flat().length, tasksSolved, unanswered, places, notes };
}

/** The score as plain data: `{"pass@1": ..., "pass@1PerTask": ..., ..., oracle, tasks, testInputs, tasksSolved, unanswered}`. */
export function scoreToJson(score: Score): Record<string, number> {
  const { oracle, tasks, testInputs, tasksSolved, unanswered } = score;
  return { ...Object.fromEntries(score.passAtK), oracle, tasks, testInputs, tasksSolved, unanswered };
}

/** The score as a table of lines for people. */
export function scoreTable(score: Score): string {
  const ks = [...score.passAtK.keys()].filter((name) => !name.endsWith("PerTask"));
  const percent = (name: string): string => `${(100 * (score.passAtK.get(name) ?? 0)).toFixed(2)} %`.padStart(12);
  return [
    `${"".padEnd(10)}${"test inputs".padStart(12)}${"per task".padStart(12)}`,
    ...ks.map((name) => `${name.padEnd(10)}${percent(name)}${percent(`${name}PerTask`)}`),
    `${score.tasksSolved} of ${score.tasks} tasks solved with two attempts; ${score.testInputs} test inputs, ${score.unanswered} without an answer`,
  ].join("\n");
}

function within(place: number | null, k: number): boolean {
  return place !== null && place <= k;
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function named(ids: readonly string[]): string {
  return ids.slice(0, 5).map(quoted).join(", ") + (ids.length > 5 ? ", ..." : "");
}
