/** Grids from tokens on a canvas. */
import type { Grid } from "../arc/grid.ts";
import { FIRST_COLOR, VOCABULARY_SIZE } from "./vocabulary.ts";

/**
 * The grid that tokens at the canvas's top left show, whatever a model wrote there: the largest rectangle of colours from the corner on.
 * Of equally large ones it is that with fewer rows; without a colour in the corner it is the empty 0 x 0 grid.
 *
 * @param tokens int32, at least `offset + side * side`; 2..11 are colours, all else ends the grid
 * @param side   canvas edge in cells
 * @param offset where the canvas starts in `tokens`
 * @see canvas.ts, the inverse. Source: `_crop` in TRM evaluators/arc.py
 */
export function cropToGrid(tokens: Int32Array, side: number, offset = 0): Grid {
  if (offset < 0 || offset + side * side > tokens.length) {
    throw new RangeError(`no ${side * side} tokens from ${offset} on in an array of ${tokens.length}`);
  }
  const isColor = (token: number): boolean => token >= FIRST_COLOR && token < VOCABULARY_SIZE;
  let rows = 0;
  let cols = 0;
  for (let r = 0, width = side; r < side && width > 0; r++) {
    const start = offset + r * side;
    let run = 0;
    while (run < width && isColor(tokens[start + run]!)) run++;
    width = run;
    if ((r + 1) * width > rows * cols) {
      rows = r + 1;
      cols = width;
    }
  }
  const cells = new Uint8Array(rows * cols);
  for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < cols; c++) cells[i++] = tokens[offset + r * side + c]! - FIRST_COLOR;
  return { rows, cols, cells };
}
