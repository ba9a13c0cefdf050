import assert from "node:assert/strict";
import { test } from "node:test";
import { gridFromRows } from "../../../src/arc/grid.ts";
import { batchOf, paddingExample } from "../../../src/encode/batch.ts";
import { gridToCanvas, pairToExample, writeGridToCanvas } from "../../../src/encode/canvas.ts";
import { cropToGrid } from "../../../src/encode/crop.ts";
import { canvasPositions } from "../../../src/encode/positions.ts";
import { UserError } from "../../../src/errors.ts";

const grid = gridFromRows([
  [0, 9],
  [3, 1],
]);

test("EOS runs along the bottom and the right edge of a shifted grid, and the corner stays PAD", () => {
  // biome-ignore format: a canvas is read as a square
  assert.deepEqual([...gridToCanvas(grid, 4, { row: 1, col: 0 })], [
    0, 0, 0, 0,
    2, 11, 1, 0,
    5, 3, 1, 0,
    1, 1, 0, 0,
  ]);
});

test("a grid that touches the canvas's edge has no EOS there", () => {
  assert.deepEqual([...gridToCanvas(grid, 2)], [2, 11, 5, 3]);
  assert.deepEqual([...gridToCanvas(grid, 3, { row: 1, col: 1 })], [0, 0, 0, 0, 2, 11, 0, 5, 3]);
});

test("a grid that would cross the canvas's edge is refused, with its size and place", () => {
  assert.throws(
    () => gridToCanvas(grid, 3, { row: 2, col: 0 }),
    (error) => error instanceof UserError && /2 x 2 grid at row 2, column 0 crosses the edge of a 3 x 3 canvas/.test(error.message),
  );
  assert.throws(() => gridToCanvas(grid, 1), UserError);
  assert.throws(() => gridToCanvas(grid, 4, { row: 0, col: -1 }), UserError);
});

test("tokens beyond the end of an array are neither written nor read", () => {
  const target = new Int32Array(10);
  assert.throws(() => writeGridToCanvas(target, 2, grid, 3), RangeError);
  assert.deepEqual(target, new Int32Array(10));
  assert.throws(() => cropToGrid(target, 3, 2), RangeError);
});

test("labels ask for the output's colours and EOS only, at the input's place", () => {
  const pair = { input: grid, output: gridFromRows([[4]]) };
  const { inputs, labels, puzzleId } = pairToExample(pair, 3, { row: 1, col: 1 }, 5);
  assert.deepEqual([...inputs], [0, 0, 0, 0, 2, 11, 0, 5, 3]);
  assert.deepEqual([...labels], [-100, -100, -100, -100, 6, 1, -100, 1, -100]);
  assert.equal(puzzleId, 5);
});

test("a test whose answer isn't known asks for nothing", () => {
  const { inputs, labels } = pairToExample({ input: grid }, 2, { row: 0, col: 0 }, 1);
  assert.deepEqual([...inputs], [2, 11, 5, 3]);
  assert.deepEqual([...labels], [-100, -100, -100, -100]);
});

test("a padding row has only PAD, asks for nothing and has the blank puzzle id", () => {
  const batch = batchOf([pairToExample({ input: grid }, 2, { row: 0, col: 0 }, 7), paddingExample(4)]);
  assert.deepEqual([...batch.inputs.subarray(4)], [0, 0, 0, 0]);
  assert.deepEqual([...batch.labels.subarray(4)], [-100, -100, -100, -100]);
  assert.deepEqual([...batch.puzzleIds], [7, 0]);
});

test("cells of a small canvas keep the positions that they have on the full one", () => {
  assert.deepEqual([...canvasPositions(2, 5, 3)], [0, 1, 2, 3, 4, 8, 9]);
  assert.deepEqual([...canvasPositions(3, 3, 1)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.throws(() => canvasPositions(6, 5, 3), RangeError);
});

test("a number that is no token ends a grid", () => {
  assert.deepEqual(cropToGrid(Int32Array.of(2, 12, 3, 4), 2), { rows: 2, cols: 1, cells: Uint8Array.of(0, 1) });
  assert.deepEqual(cropToGrid(Int32Array.of(-100, 2, 3, 4), 2), { rows: 0, cols: 0, cells: new Uint8Array(0) });
});
