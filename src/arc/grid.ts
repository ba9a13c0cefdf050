/** A grid of colours, as ARC has it. */

/** 1..30 x 1..30 colours 0..9, row-major; a candidate may also be the empty 0 x 0 grid. */
export interface Grid {
  readonly rows: number;
  readonly cols: number;
  /** uint8[rows * cols] */
  readonly cells: Uint8Array;
}

/** The largest number of rows or columns of an ARC grid. */
export const MAX_GRID_SIDE = 30;

/** A grid from rows of colours, as in ARC's JSON. The rows must be equally long: check them first (`challenges-json.ts`). */
export function gridFromRows(rows: readonly (readonly number[])[]): Grid {
  const cols = rows[0]?.length ?? 0;
  const cells = new Uint8Array(rows.length * cols);
  for (const [r, row] of rows.entries()) cells.set(row, r * cols);
  return { rows: rows.length, cols, cells };
}

/** Rows of colours, as in ARC's JSON. */
export function gridToRows(grid: Grid): number[][] {
  return Array.from({ length: grid.rows }, (_, r) => Array.from(grid.cells.subarray(r * grid.cols, (r + 1) * grid.cols)));
}

/** Whether two grids have the same shape and colours. */
export function equalGrids(a: Grid, b: Grid): boolean {
  return a.rows === b.rows && a.cols === b.cols && a.cells.every((cell, i) => cell === b.cells[i]);
}

/** A text that equal grids share and different grids don't: a key for maps. */
export function gridKey(grid: Grid): string {
  return `${grid.rows}x${grid.cols}:${String.fromCharCode(...grid.cells.map((cell) => cell + 48))}`;
}

/** The grid of a key. */
export function gridFromKey(key: string): Grid {
  const colon = key.indexOf(":");
  const [rows, cols] = key.slice(0, colon).split("x").map(Number) as [number, number];
  const cells = new Uint8Array(rows * cols);
  for (let i = 0; i < cells.length; i++) cells[i] = key.charCodeAt(colon + 1 + i) - 48;
  return { rows, cols, cells };
}
