/** Tasks in groups by the canvas that they need, so that a large task does not make the small ones as dear as itself. */
import type { Task } from "../arc/task.ts";
import { canvasSideFor } from "./canvas-side.ts";

/** Canvases of several sizes, and who is on which. */
export interface CanvasGroups {
  /** cells a side, ascending */
  readonly sides: readonly number[];
  /** place in `sides` for each task */
  readonly ofTask: readonly number[];
}

/** What speaks for more canvases, and against them. */
export interface GroupingTerms {
  /** side that the trunk was trained on, if known; see `canvasSideFor` */
  readonly trained?: number | undefined;
  /** canvases at most */
  readonly most: number;
  /** of the batch, in one worker */
  readonly rows: number;
  /** what a row costs on a canvas, in any unit */
  cost(side: number): number;
  /** fewer rows on a canvas cost as much as so many: too few to fill a processor */
  leastRows(side: number): number;
}

/** One more canvas must save this share of the cost: its steps are compiled too. */
const WORTH_A_CANVAS = 0.05;

/**
 * The canvases that make an epoch of these tasks cheapest: as many as pay.
 *
 * @returns one canvas where more don't pay
 */
export function groupByCanvas(tasks: readonly Task[], terms: GroupingTerms): CanvasGroups {
  const needed = tasks.map((task) => canvasSideFor([task], 1, terms.trained ?? 0));
  const distinct = [...new Set(needed)].sort((a, b) => a - b);
  if (distinct.length === 0) return { sides: [canvasSideFor(tasks, 1, terms.trained ?? 0)], ofTask: [] };
  const pairs = distinct.map((side) => tasks.reduce((sum, { train }, i) => sum + (needed[i] === side ? train.length : 0), 0));
  const sides = cheapest(distinct, pairs, terms);
  return { sides, ofTask: needed.map((side) => sides.findIndex((each) => each >= side)) };
}

/** A choice of canvases for the sizes up to one of them. */
interface Choice {
  readonly cost: number;
  readonly sides: readonly number[];
}

/** The sides of the canvases, out of all that are needed. @param pairs how many there are of each size */
function cheapest(
  distinct: readonly number[],
  pairs: readonly number[],
  { most, rows: allRows, cost, leastRows }: GroupingTerms,
): readonly number[] {
  const all = pairs.reduce((a, b) => a + b, 0);
  /** the cheapest choice for the sizes before each, by canvases so far */
  let best: (Choice | undefined)[] = distinct.map(() => undefined);
  best.unshift({ cost: 0, sides: [] });
  let chosen: Choice = { cost: Number.POSITIVE_INFINITY, sides: [] };
  for (let count = 1; count <= Math.min(most, distinct.length); count++) {
    best = best.map((_, end) => {
      const side = distinct[end - 1];
      let found: Choice | undefined;
      for (let begin = end - 1, own = 0; begin >= 0; begin--) {
        own += pairs[begin]!;
        const before = best[begin];
        const rows = (allRows * own) / Math.max(1, all);
        const whole = begin === 0 && end === distinct.length; // one canvas for all is always possible
        if (!before || !(whole || rows >= 1)) continue;
        const total = before.cost + Math.max(rows, leastRows(side!)) * cost(side!);
        if (!found || total < found.cost) found = { cost: total, sides: [...before.sides, side!] };
      }
      return found;
    });
    const whole = best[distinct.length];
    if (whole && (count === 1 || whole.cost < (1 - WORTH_A_CANVAS) * chosen.cost)) chosen = whole;
  }
  return chosen.sides;
}

/**
 * How many rows of a batch each canvas gets: in proportion to its pairs, at least one where it has any.
 *
 * @throws RangeError where there are fewer rows than canvases with pairs
 */
export function rowsByCanvas(pairs: readonly number[], rows: number): number[] {
  const all = pairs.reduce((a, b) => a + b, 0);
  const used = pairs.filter((count) => count > 0).length;
  if (rows < used) throw new RangeError(`${rows} rows for ${used} canvases`);
  const exact = pairs.map((count) => (rows * count) / all);
  const given = exact.map((share, i) => (pairs[i]! > 0 ? Math.max(1, Math.floor(share)) : 0));
  const left = (): number => rows - given.reduce((a, b) => a + b, 0);
  // One at a time to, or from, whoever has most too few, or most too many.
  while (left() > 0) given[furthest(exact, given, 1)]!++;
  while (left() < 0) given[furthest(exact, given, -1)]!--;
  return given;
}

function furthest(exact: readonly number[], given: readonly number[], sign: 1 | -1): number {
  let at = -1;
  exact.forEach((share, i) => {
    if (share === 0 || (sign < 0 && given[i]! <= 1)) return;
    if (at < 0 || sign * (share - given[i]!) > sign * (exact[at]! - given[at]!)) at = i;
  });
  return at;
}

/** Which canvas each row of a batch is on: spread so evenly that any stretch of rows has about as many of each as all rows have. */
export function spreadRows(counts: readonly number[]): Uint8Array {
  const rows = counts.reduce((a, b) => a + b, 0);
  const given = counts.map(() => 0);
  return Uint8Array.from({ length: rows }, (_, row) => {
    const behind = counts.map((count, i) => (count * (row + 1)) / rows - given[i]!);
    const next = behind.reduce((best, lack, i) => (given[i]! < counts[i]! && (best < 0 || lack > behind[best]!) ? i : best), -1);
    given[next]!++;
    return next;
  });
}
