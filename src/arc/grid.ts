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
  const { rows, cols, cells } = grid;
  const lists: number[][] = [];
  for (let r = 0; r < rows; r++) {
    const row: number[] = [];
    for (let at = r * cols; at < (r + 1) * cols; at++) row.push(cells[at]!);
    lists.push(row);
  }
  return lists;
}

/** Whether two grids have the same shape and colours. */
export function equalGrids(a: Grid, b: Grid): boolean {
  return a.rows === b.rows && a.cols === b.cols && a.cells.every((cell, i) => cell === b.cells[i]);
}

/** Shape and colours as text: 1x2:37. */
export function gridText({ rows, cols, cells }: Grid): string {
  return `${rows}x${cols}:${cells.join("")}`;
}

/** Two colours make a character of a key: 10 a + b, from this one on, which keeps all of them in ASCII. */
const FIRST_PAIR = 28;
/** Many times faster than characters one by one. */
const ASCII = new TextDecoder();

/** A short text that equal grids share and different grids don't: a key for maps. Of grids of one shape keys are in the order of their colours. */
export function gridKey({ rows, cols, cells }: Grid): string {
  const pairs = new Uint8Array((cells.length + 1) >> 1);
  for (let i = 0; i < pairs.length; i++) pairs[i] = FIRST_PAIR + 10 * cells[2 * i]! + (cells[2 * i + 1] ?? 0);
  return `${rows}x${cols}:${ASCII.decode(pairs)}`;
}

/** The grid of a key. */
export function gridFromKey(key: string): Grid {
  const colon = key.indexOf(":");
  const [rows, cols] = key.slice(0, colon).split("x").map(Number) as [number, number];
  const cells = new Uint8Array(rows * cols);
  for (let i = 0; i < cells.length; i++) {
    const pair = key.charCodeAt(colon + 1 + (i >> 1)) - FIRST_PAIR;
    cells[i] = i % 2 === 0 ? Math.floor(pair / 10) : pair % 10;
  }
  return { rows, cols, cells };
}
