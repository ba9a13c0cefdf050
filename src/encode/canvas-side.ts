/** The smallest canvas that will do for given tasks: attention costs grow with the fourth power of its side. */
import { MAX_GRID_SIDE } from "../arc/grid.ts";
import type { Pair, Task } from "../arc/task.ts";
import type { Size } from "../augment/translation.ts";

/** How the size of a task's outputs seems to follow from that of its inputs. */
export type SizeRule = "same" | "constant" | "scaled" | "transposed" | "bound";

/** What one rule says of an output. */
export interface ExpectedSize extends Size {
  readonly rule: SizeRule;
}

/** Cells added a side where no rule holds and the largest grid seen is all there is to go by. */
const BOUND_SLACK = 3;

/**
 * What the demonstrations let one expect of the output's size: every rule that fits all of them, the simplest first.
 *
 * - `same`: outputs are as large as their inputs
 * - `constant`: all outputs are equally large
 * - `scaled`: rows and columns are those of the input times a constant factor each (also below 1)
 * - `transposed`: outputs have as many rows as their inputs have columns, and the other way round
 * - `bound`: no rule fits; not a guess but an upper bound: the largest input or output seen, this input included, and 3 cells more
 *
 * A rule whose size is no whole number or lies outside 1..30 for this input is left out. With few demonstrations several rules fit and differ
 * for the test input: to be safe take the largest.
 */
export function expectedOutputSizes(demonstrations: readonly Pair[], input: Size): ExpectedSize[] {
  const first = demonstrations[0];
  const fits = (holds: (pair: Pair) => boolean): boolean => demonstrations.every(holds);
  const found: ExpectedSize[] = [];
  const offer = (rule: SizeRule, rows: number, cols: number): void => {
    const sound = [rows, cols].every((n) => Number.isInteger(n) && n >= 1 && n <= MAX_GRID_SIDE);
    if (sound) found.push({ rule, rows, cols });
  };
  if (first) {
    if (fits((p) => equalSizes(p.output, p.input))) offer("same", input.rows, input.cols);
    if (fits((p) => equalSizes(p.output, first.output))) offer("constant", first.output.rows, first.output.cols);
    const scaled = (axis: "rows" | "cols"): boolean =>
      fits((p) => p.output[axis] * first.input[axis] === first.output[axis] * p.input[axis]);
    const times = (axis: "rows" | "cols"): number => (input[axis] * first.output[axis]) / first.input[axis];
    if (scaled("rows") && scaled("cols")) offer("scaled", times("rows"), times("cols"));
    if (fits((p) => p.output.rows === p.input.cols && p.output.cols === p.input.rows)) offer("transposed", input.cols, input.rows);
  }
  if (found.length === 0) {
    const seen: Size[] = [input, ...demonstrations.flatMap((p) => [p.input, p.output])];
    const bound = (axis: "rows" | "cols"): number => Math.min(MAX_GRID_SIDE, Math.max(...seen.map((s) => s[axis])) + BOUND_SLACK);
    offer("bound", bound("rows"), bound("cols"));
  }
  return found;
}

/**
 * The canvas side that `--canvas auto` means: the smallest that holds every input, every demonstrated output and every output expected of a test.
 *
 * An output that is known is not looked at where it belongs to a test: the choice is the same with and without solutions. An answer that turns
 * out larger than the canvas can't be given: with a canvas for each task by itself that is so for 1 of the 172 answers of ARC-AGI-2's public
 * evaluation tasks and for 2 of 680 of its training tasks.
 *
 * @param margin cells beyond the largest grid, capped at 30 cells a side in all. With 1 the EOS border of the largest grid is on the canvas and it
 *               can be shifted by one cell; with 0 its border falls outside, as that of a 30 x 30 grid does in TRM, and it has no room to shift
 * @param trained side that the trunk was trained on, if known: it does where all that is certain fits, since the trunk knows no larger one
 * @returns      1..30
 */
export function canvasSideFor(tasks: readonly Task[], margin = 1, trained = 0): number {
  const side = Math.min(MAX_GRID_SIDE, largestSide(tasks, () => true) + margin);
  if (trained === 0 || side <= trained) return side;
  return largestSide(tasks, ({ rule }) => rule !== "bound") <= trained ? trained : side;
}

/** Of all inputs, demonstrated outputs, and those expected outputs that count. */
function largestSide(tasks: readonly Task[], counts: (expected: ExpectedSize) => boolean): number {
  const sides = tasks.flatMap(({ train, test }) =>
    [
      ...train.flatMap(({ input, output }): Size[] => [input, output]),
      ...test.flatMap(({ input }): Size[] => [input, ...expectedOutputSizes(train, input).filter(counts)]),
    ].map(({ rows, cols }) => Math.max(rows, cols)),
  );
  return sides.reduce((a, b) => Math.max(a, b), 1);
}

function equalSizes(a: Size, b: Size): boolean {
  return a.rows === b.rows && a.cols === b.cols;
}
