/** Shifts of a pair on its canvas. */
import type { Random } from "../random.ts";

/** Where the top-left cell of a grid lies on the canvas. */
export interface Translation {
  readonly row: number;
  readonly col: number;
}

/** Rows and columns of a grid. */
export interface Size {
  readonly rows: number;
  readonly cols: number;
}

/** At the canvas's top left, as all test rows are. */
export const ORIGIN: Translation = { row: 0, col: 0 };

/**
 * The largest shift at which all grids still lie on the canvas; their EOS borders may fall outside.
 *
 * @param sizes the grids that are shifted together: a pair's input and output
 * @param side  canvas edge in cells; 0 is given along an axis where a grid does not fit at all
 */
export function translationRoom(sizes: readonly Size[], side: number): Translation {
  const largest = (of: (size: Size) => number): number => Math.max(0, ...sizes.map(of));
  return { row: Math.max(0, side - largest((s) => s.rows)), col: Math.max(0, side - largest((s) => s.cols)) };
}

/** A random shift, all that `translationRoom` allows equally likely; the row is drawn first, as in TRM dataset/build_arc_dataset.py. */
export function drawTranslation(random: Random, sizes: readonly Size[], side: number): Translation {
  const room = translationRoom(sizes, side);
  const row = random.int(0, room.row);
  return { row, col: random.int(0, room.col) };
}
