import assert from "node:assert/strict";
import { test } from "node:test";
import type { Grid } from "../../../src/arc/grid.ts";
import type { Pair, Task } from "../../../src/arc/task.ts";
import { canvasSideFor, expectedOutputSizes } from "../../../src/encode/canvas-side.ts";

const blank = (rows: number, cols: number): Grid => ({ rows, cols, cells: new Uint8Array(rows * cols) });
/** Demonstrations from sizes: [input rows, input columns, output rows, output columns]. */
const demonstrations = (...sizes: [number, number, number, number][]): Pair[] =>
  sizes.map(([r, c, outR, outC]) => ({ input: blank(r, c), output: blank(outR, outC) }));
const expected = (pairs: Pair[], rows: number, cols: number): string[] =>
  expectedOutputSizes(pairs, { rows, cols }).map((size) => `${size.rule} ${size.rows}x${size.cols}`);

test("outputs as large as their inputs stay so", () => {
  assert.deepEqual(expected(demonstrations([3, 4, 3, 4], [5, 2, 5, 2]), 7, 6), ["same 7x6", "scaled 7x6"]);
});

test("outputs of one size keep it", () => {
  assert.deepEqual(expected(demonstrations([3, 4, 2, 1], [5, 2, 2, 1]), 7, 6), ["constant 2x1"]);
});

test("outputs may be inputs enlarged or shrunk by a constant factor along each axis", () => {
  assert.deepEqual(expected(demonstrations([2, 3, 4, 9], [3, 4, 6, 12]), 5, 2), ["scaled 10x6"]);
  assert.deepEqual(expected(demonstrations([9, 6, 3, 2], [6, 9, 2, 3]), 12, 3), ["scaled 4x1"]);
});

test("outputs may be inputs on their side", () => {
  assert.deepEqual(expected(demonstrations([2, 3, 3, 2], [4, 1, 1, 4]), 5, 7), ["transposed 7x5"]);
});

test("where no rule fits, the bound is three cells more than anything seen", () => {
  assert.deepEqual(expected(demonstrations([2, 3, 5, 4], [4, 1, 8, 1]), 6, 2), ["bound 11x7"]);
  assert.deepEqual(expected(demonstrations([2, 29, 5, 4], [4, 1, 8, 1]), 6, 2), ["bound 11x30"]);
  assert.deepEqual(expected([], 6, 2), ["bound 9x5"]);
});

test("a rule that gives broken cells or more than 30 for this input is left out", () => {
  assert.deepEqual(expected(demonstrations([9, 9, 3, 3], [6, 6, 2, 2]), 10, 10), ["bound 13x13"]);
  assert.deepEqual(expected(demonstrations([5, 5, 15, 15], [5, 5, 15, 15]), 11, 11), ["constant 15x15"]);
});

test("where several rules fit, the largest size is reckoned with", () => {
  const pairs = demonstrations([3, 3, 9, 9]);
  assert.deepEqual(expected(pairs, 4, 4), ["constant 9x9", "scaled 12x12"]);
  assert.equal(canvasSideFor([{ id: "a", train: pairs, test: [{ input: blank(4, 2) }] }], 0), 12);
});

test("the canvas holds all inputs, demonstrated outputs and expected outputs of all tasks, and the margin", () => {
  const task: Task = { id: "a", train: demonstrations([2, 2, 6, 6], [3, 3, 9, 9]), test: [{ input: blank(4, 2) }] };
  const other: Task = { id: "b", train: demonstrations([2, 13, 2, 2]), test: [{ input: blank(2, 2) }] };
  assert.equal(canvasSideFor([task], 0), 12);
  assert.equal(canvasSideFor([task], 2), 14);
  assert.equal(canvasSideFor([task, other]), 14);
  const small: Task = { id: "c", train: demonstrations([2, 3, 1, 1], [4, 1, 1, 1]), test: [{ input: blank(2, 7) }] };
  assert.equal(canvasSideFor([small], 0), 7);
  assert.equal(canvasSideFor([]), 2);
});

test("the canvas that a trunk was trained on will do where what is certain fits, and is no reason for a larger one", () => {
  const full: Task = { id: "a", train: demonstrations([10, 9, 10, 9], [4, 4, 4, 4]), test: [{ input: blank(10, 10) }] };
  assert.deepEqual([canvasSideFor([full]), canvasSideFor([full], 1, 10), canvasSideFor([full], 1, 9)], [11, 10, 11]);
  const bound: Task = { id: "b", train: demonstrations([8, 8, 5, 4], [4, 1, 8, 1]), test: [{ input: blank(6, 6) }] };
  assert.deepEqual([canvasSideFor([bound]), canvasSideFor([bound], 1, 10), canvasSideFor([bound], 1, 7)], [12, 10, 12]);
  assert.equal(canvasSideFor([bound], 1, 30), 12);
});

test("the canvas is at most 30 cells a side, whatever the margin, and does not depend on known answers", () => {
  const wide: Task = { id: "a", train: demonstrations([30, 2, 30, 2]), test: [{ input: blank(1, 1) }] };
  assert.equal(canvasSideFor([wide], 5), 30);
  const train = demonstrations([2, 2, 2, 2], [3, 3, 3, 3]);
  const withAnswer: Task = { id: "a", train, test: [{ input: blank(3, 3), output: blank(20, 20) }] };
  assert.equal(canvasSideFor([withAnswer], 0), 3);
});
