/** Grids as tokens on a square canvas. */
import type { Grid } from "../arc/grid.ts";
import type { TestPair } from "../arc/task.ts";
import { ORIGIN, type Translation } from "../augment/translation.ts";
import { UserError } from "../errors.ts";
import type { Example } from "./batch.ts";
import { EOS, FIRST_COLOR, IGNORE_LABEL, PAD } from "./vocabulary.ts";

/**
 * Lays a grid on a square canvas of tokens, its end marked by EOS along the bottom and right edges.
 *
 * @param grid colours 0..9, row-major, 1..side cells a side
 * @param side canvas edge in cells (30 in TRM; smaller makes attention cheaper)
 * @param at   top-left corner in cells; (0, 0) unless translated
 * @returns    int32[side * side]: PAD = 0, EOS = 1, colour c = c + 2; the corner where both EOS lines would meet stays PAD
 * @throws UserError where the grid, so placed, would cross the canvas edge
 * @see crop.ts, the inverse. Source: TRM dataset/build_arc_dataset.py
 */
export function gridToCanvas(grid: Grid, side: number, at: Translation = ORIGIN): Int32Array {
  const tokens = new Int32Array(side * side);
  writeGridToCanvas(tokens, 0, grid, side, at);
  return tokens;
}

/**
 * `gridToCanvas` into memory that is there already.
 *
 * @param target int32; its `side * side` tokens from `offset` on are overwritten, all of them
 */
export function writeGridToCanvas(target: Int32Array, offset: number, grid: Grid, side: number, at: Translation = ORIGIN): void {
  const { rows, cols, cells } = grid;
  const endRow = at.row + rows;
  const endCol = at.col + cols;
  if (at.row < 0 || at.col < 0 || endRow > side || endCol > side) {
    throw new UserError(
      `a ${rows} x ${cols} grid at row ${at.row}, column ${at.col} crosses the edge of a ${side} x ${side} canvas; choose a larger --canvas`,
    );
  }
  if (offset < 0 || offset + side * side > target.length) {
    throw new RangeError(`no ${side * side} tokens from ${offset} on in an array of ${target.length}`);
  }
  target.fill(PAD, offset, offset + side * side);
  for (let r = 0, i = 0; r < rows; r++) {
    const start = offset + (at.row + r) * side + at.col;
    for (let c = 0; c < cols; c++) target[start + c] = cells[i++]! + FIRST_COLOR;
    if (endCol < side) target[start + cols] = EOS;
  }
  if (endRow < side) target.fill(EOS, offset + endRow * side + at.col, offset + endRow * side + endCol);
}

/**
 * A pair as the model sees it, input and output at the same place.
 *
 * Labels are IGNORE_LABEL where the output's canvas has PAD (TRM puzzle_dataset.py), and everywhere if the output isn't known.
 *
 * @throws UserError where a grid, so placed, would cross the canvas edge
 */
export function pairToExample(pair: TestPair, side: number, at: Translation, puzzleId: number): Example {
  const inputs = gridToCanvas(pair.input, side, at);
  if (!pair.output) return { inputs, labels: new Int32Array(side * side).fill(IGNORE_LABEL), puzzleId };
  const labels = gridToCanvas(pair.output, side, at);
  ignorePadding(labels);
  return { inputs, labels, puzzleId };
}

/** Turns PAD into IGNORE_LABEL, in place. */
export function ignorePadding(labels: Int32Array): void {
  for (let i = 0; i < labels.length; i++) if (labels[i] === PAD) labels[i] = IGNORE_LABEL;
}
