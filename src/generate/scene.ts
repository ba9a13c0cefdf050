/** Pieces that scenes are made of: colours, scattered cells, objects that keep their distance. */
import type { Grid } from "../arc/grid.ts";
import type { Random } from "../random.ts";
import { blankGrid, type Cell, colorAt, gridOf, paint } from "./cells.ts";

/** Every colour but the background. */
export const COLORS = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const;
/** What a drawn cell can look like: the colour of what it was drawn for, or one colour for all. */
export const INKS = ["own", ...COLORS] as const;
export type Ink = (typeof INKS)[number];

/** The colour that an ink gives beside something of colour `own`. */
export function inkColor(ink: Ink, own: number): number {
  return ink === "own" ? own : ink;
}

/** Different colours 1..9, none of `except`. */
export function pickColors(random: Random, count: number, except: readonly number[] = []): number[] {
  return random.shuffled(COLORS.filter((color) => !except.includes(color))).slice(0, count);
}

/** Whether a draw with this chance comes true. */
export function chance(random: Random, share: number): boolean {
  return random.uniform() < share;
}

/** Single cells of random colours on a share of the places; all others 0. */
export function scatter(random: Random, rows: number, cols: number, colors: readonly number[], share: number): Grid {
  return gridOf(rows, cols, () => (random.uniform() < share ? random.pick(colors) : 0));
}

/** A connected shape (along sides) of `size` cells that fits a square of `maxSide`; its corner is at (0, 0). */
export function drawShape(random: Random, size: number, maxSide = 3): Cell[] {
  const side = blankGrid(maxSide, maxSide);
  const cells: Cell[] = [{ row: random.int(0, maxSide - 1), col: random.int(0, maxSide - 1) }];
  paint(side, cells[0]!.row, cells[0]!.col, 1);
  while (cells.length < size) {
    const from = random.pick(cells);
    const turn = random.int(0, 3);
    const next = { row: from.row + (turn === 0 ? 1 : turn === 1 ? -1 : 0), col: from.col + (turn === 2 ? 1 : turn === 3 ? -1 : 0) };
    if (colorAt(side, next.row, next.col) !== 0) continue;
    paint(side, next.row, next.col, 1);
    cells.push(next);
  }
  const top = Math.min(...cells.map((cell) => cell.row));
  const left = Math.min(...cells.map((cell) => cell.col));
  return cells.map(({ row, col }) => ({ row: row - top, col: col - left }));
}

/** All cells of a rectangle. */
export function rectangle(rows: number, cols: number): Cell[] {
  return Array.from({ length: rows * cols }, (_, i) => ({ row: Math.floor(i / cols), col: i % cols }));
}

/** The cells along the edge of a rectangle. */
export function frame(rows: number, cols: number): Cell[] {
  return rectangle(rows, cols).filter(({ row, col }) => row === 0 || col === 0 || row === rows - 1 || col === cols - 1);
}

/**
 * Draws a shape at a random place where it touches nothing, not even at a corner.
 *
 * @param gap cells that stay free around it
 * @returns whether a place was found; without one the grid is as before
 */
export function place(random: Random, grid: Grid, shape: readonly Cell[], color: number, gap = 1): boolean {
  let [rows, cols] = [0, 0];
  for (const cell of shape) {
    rows = Math.max(rows, cell.row + 1);
    cols = Math.max(cols, cell.col + 1);
  }
  if (rows > grid.rows || cols > grid.cols) return false;
  for (let tries = 0; tries < 12; tries++) {
    const top = random.int(0, grid.rows - rows);
    const left = random.int(0, grid.cols - cols);
    const free = shape.every((cell) => {
      for (let row = -gap; row <= gap; row++) {
        for (let col = -gap; col <= gap; col++) if (colorAt(grid, top + cell.row + row, left + cell.col + col) > 0) return false;
      }
      return true;
    });
    if (!free) continue;
    for (const cell of shape) paint(grid, top + cell.row, left + cell.col, color);
    return true;
  }
  return false;
}

/** Draws a single cell that touches nothing. */
export function placeDot(random: Random, grid: Grid, color: number): boolean {
  return place(random, grid, [{ row: 0, col: 0 }], color);
}

/** Any picture that shows all of `colors` and some background: scattered cells or a few objects. */
export function picture(random: Random, rows: number, cols: number, colors: readonly number[]): Grid | undefined {
  let grid: Grid;
  if (chance(random, 0.5)) {
    grid = scatter(random, rows, cols, colors, 0.3 + 0.4 * random.uniform());
  } else {
    grid = blankGrid(rows, cols);
    for (const color of random.shuffled(colors)) place(random, grid, drawShape(random, random.int(2, 4), 2), color);
    for (let i = random.int(0, 2); i > 0; i--) placeDot(random, grid, random.pick(colors));
  }
  return grid.cells.includes(0) && colors.every((color) => grid.cells.includes(color)) ? grid : undefined;
}
