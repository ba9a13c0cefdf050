/** The eight symmetries of the square, numbered as in TRM dataset/common.py. */
import type { Grid } from "../arc/grid.ts";

/** How many there are: `dihedral` is 0..7. */
export const DIHEDRAL_COUNT = 8;

/** The symmetry that undoes each symmetry. */
export const DIHEDRAL_INVERSE: readonly number[] = [0, 3, 2, 1, 4, 5, 6, 7];

/** Whether a symmetry makes rows of columns, so that an R x C grid comes out as C x R. */
export function swapsAxes(dihedral: number): boolean {
  return dihedral === 1 || dihedral === 3 || dihedral === 6 || dihedral === 7;
}

/**
 * A grid turned or mirrored.
 *
 * @param dihedral 0 as it is; 1, 2, 3 turned counter-clockwise by 90, 180, 270 degrees; 4 mirrored left-right; 5 mirrored top-bottom;
 *                 6 mirrored at the main diagonal (transposed); 7 mirrored at the other diagonal
 */
export function applyDihedral(grid: Grid, dihedral: number): Grid {
  const { rows, cols, start, rowStep, colStep } = readingOrder(grid, dihedral);
  const cells = new Uint8Array(rows * cols);
  for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < cols; c++) cells[i++] = grid.cells[start + r * rowStep + c * colStep]!;
  return { rows, cols, cells };
}

/** The grid that `applyDihedral` made this one of. */
export function undoDihedral(grid: Grid, dihedral: number): Grid {
  return applyDihedral(grid, inverseDihedral(dihedral));
}

/** The symmetry that undoes this one. */
export function inverseDihedral(dihedral: number): number {
  const inverse = DIHEDRAL_INVERSE[dihedral];
  if (inverse === undefined) throw new RangeError(`dihedral ${dihedral} is not in 0..7`);
  return inverse;
}

/** Where the cells of a turned or mirrored grid lie in the original: cell (r, c) at `start + r * rowStep + c * colStep`. */
export interface ReadingOrder {
  readonly rows: number;
  readonly cols: number;
  readonly start: number;
  readonly rowStep: number;
  readonly colStep: number;
}

/** The order in which the cells of a grid are read to turn or mirror it. */
export function readingOrder({ rows, cols }: { readonly rows: number; readonly cols: number }, dihedral: number): ReadingOrder {
  const last = rows * cols - 1;
  const lastRow = last - (cols - 1);
  switch (dihedral) {
    case 0:
      return { rows, cols, start: 0, rowStep: cols, colStep: 1 };
    case 1:
      return { rows: cols, cols: rows, start: cols - 1, rowStep: -1, colStep: cols };
    case 2:
      return { rows, cols, start: last, rowStep: -cols, colStep: -1 };
    case 3:
      return { rows: cols, cols: rows, start: lastRow, rowStep: 1, colStep: -cols };
    case 4:
      return { rows, cols, start: cols - 1, rowStep: cols, colStep: -1 };
    case 5:
      return { rows, cols, start: lastRow, rowStep: -cols, colStep: 1 };
    case 6:
      return { rows: cols, cols: rows, start: 0, rowStep: 1, colStep: cols };
    case 7:
      return { rows: cols, cols: rows, start: last, rowStep: -1, colStep: -cols };
    default:
      throw new RangeError(`dihedral ${dihedral} is not in 0..7`);
  }
}
