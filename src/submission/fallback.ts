/** A valid answer where there is no better one: cheap guesses from a task's demonstration pairs alone. */
import { type Entry, testInputsOf } from "../arc/challenges-json.ts";
import { equalGrids, type Grid } from "../arc/grid.ts";
import type { Pair, Task } from "../arc/task.ts";
import type { Attempts, Submission } from "./format.ts";

/** One black cell: the least that is valid. */
const BLACK_CELL: Grid = { rows: 1, cols: 1, cells: Uint8Array.of(0) };

/** A submission of fallbacks for all test inputs of good and bad tasks. */
export function fallbackSubmission(entries: readonly Entry[], attempts = 2): Submission {
  return new Map(
    entries.map((entry) => [entry.id, Array.from({ length: testInputsOf(entry) }, (_, i) => fallbackAttempts(entry, i, attempts))]),
  );
}

/**
 * Valid guesses for one test input.
 *
 * The first: the test input itself, or, where all demonstrated outputs share a shape that is not their inputs', a grid of that shape
 * with the most frequent colour of each cell. The second: the most frequent colour of all outputs, in the shape expected, else one
 * cell of it. Any further ones are a black cell. A bad task gives its input as far as it is readable, then a black cell.
 */
export function fallbackAttempts(entry: Entry, testIndex: number, attempts = 2): Attempts {
  const guesses = "test" in entry ? guess(entry, testIndex) : [entry.inputs?.[testIndex] ?? BLACK_CELL, BLACK_CELL];
  return Array.from({ length: attempts }, (_, i) => guesses[i] ?? BLACK_CELL);
}

function guess(task: Task, testIndex: number): Grid[] {
  const input = task.test[testIndex]!.input;
  const outputs = task.train.map(({ output }) => output);
  const common = mostFrequent(outputs.flatMap((grid) => Array.from(grid.cells)));
  const first = outputs[0]!;
  const keepsShape = task.train.every((pair: Pair) => sameShape(pair.input, pair.output));
  const oneShape = !keepsShape && outputs.every((grid) => sameShape(grid, first));
  const best = oneShape ? cellwise(outputs) : input;
  const plain = keepsShape
    ? filled(input.rows, input.cols, common)
    : oneShape
      ? filled(first.rows, first.cols, common)
      : filled(1, 1, common);
  return [best, equalGrids(best, plain) ? BLACK_CELL : plain];
}

function sameShape(a: Grid, b: Grid): boolean {
  return a.rows === b.rows && a.cols === b.cols;
}

function filled(rows: number, cols: number, color: number): Grid {
  return { rows, cols, cells: new Uint8Array(rows * cols).fill(color) };
}

/** Of grids of one shape, the most frequent colour at each cell. */
function cellwise(grids: readonly Grid[]): Grid {
  const { rows, cols } = grids[0]!;
  return { rows, cols, cells: Uint8Array.from({ length: rows * cols }, (_, i) => mostFrequent(grids.map(({ cells }) => cells[i]!))) };
}

/** The most frequent colour; the smaller one on a tie. */
function mostFrequent(colors: readonly number[]): number {
  const counts = new Array<number>(10).fill(0);
  for (const color of colors) counts[color]!++;
  return counts.indexOf(Math.max(...counts));
}
