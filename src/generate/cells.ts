/** Reading and changing the cells of small grids: neighbours, lines towards a side, connected objects. */
import type { Grid } from "../arc/grid.ts";

/** A place in a grid, or a step from one place to another. */
export interface Cell {
  readonly row: number;
  readonly col: number;
}

export const DIRECTIONS = ["up", "down", "left", "right"] as const;
export type Direction = (typeof DIRECTIONS)[number];
export const DIAGONALS = ["up-left", "up-right", "down-left", "down-right"] as const;
export type Diagonal = (typeof DIAGONALS)[number];
/** Which lines of a grid a rule is about. */
export const LINES = ["rows", "cols"] as const;
export type Lines = (typeof LINES)[number];

/** The step of one cell that a direction names. */
export function stepOf(direction: Direction | Diagonal): Cell {
  return {
    row: direction.startsWith("up") ? -1 : direction.startsWith("down") ? 1 : 0,
    col: direction.endsWith("left") ? -1 : direction.endsWith("right") ? 1 : 0,
  };
}

/** A grid from a colour for each cell. */
export function gridOf(rows: number, cols: number, color: (row: number, col: number) => number): Grid {
  const cells = new Uint8Array(rows * cols);
  for (let i = 0, row = 0; row < rows; row++) for (let col = 0; col < cols; col++, i++) cells[i] = color(row, col);
  return { rows, cols, cells };
}

/** A grid of one colour. */
export function blankGrid(rows: number, cols: number, color = 0): Grid {
  return { rows, cols, cells: new Uint8Array(rows * cols).fill(color) };
}

/** A grid of its own with the same colours. */
export function copyOf(grid: Grid): Grid {
  return { ...grid, cells: grid.cells.slice() };
}

/** A grid of the same shape, each colour made from the old one and its place. */
export function recolored(grid: Grid, color: (old: number, row: number, col: number) => number): Grid {
  return gridOf(grid.rows, grid.cols, (row, col) => color(grid.cells[row * grid.cols + col]!, row, col));
}

/** The colour of a cell; -1 outside the grid. */
export function colorAt(grid: Grid, row: number, col: number): number {
  return row >= 0 && row < grid.rows && col >= 0 && col < grid.cols ? grid.cells[row * grid.cols + col]! : -1;
}

/** Changes a cell of a grid the caller made; outside the grid nothing happens. */
export function paint(grid: Grid, row: number, col: number, color: number): void {
  if (row >= 0 && row < grid.rows && col >= 0 && col < grid.cols) grid.cells[row * grid.cols + col] = color;
}

/** The part of a grid that begins at a corner; empty where a side would be negative. */
export function cutOut(grid: Grid, top: number, left: number, rows: number, cols: number): Grid {
  return gridOf(Math.max(0, rows), Math.max(0, cols), (row, col) => colorAt(grid, top + row, left + col));
}

/** The picture moved by a step; what leaves is lost, what comes in is 0. */
export function shifted(grid: Grid, down: number, across: number): Grid {
  return gridOf(grid.rows, grid.cols, (row, col) => Math.max(0, colorAt(grid, row - down, col - across)));
}

/** The lines of a grid that run towards a side, each as indices into `cells`, from that side inwards. */
export function linesFrom(grid: Grid, side: Direction): number[][] {
  const { rows, cols } = grid;
  const upright = side === "up" || side === "down";
  const backwards = side === "down" || side === "right";
  const count = upright ? cols : rows;
  const length = upright ? rows : cols;
  return Array.from({ length: count }, (_, line) =>
    Array.from({ length }, (_, i) => {
      const along = backwards ? length - 1 - i : i;
      return upright ? along * cols + line : line * cols + along;
    }),
  );
}

/** The rectangle around some cells; all ends included. */
export interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** The smallest rectangle that holds every cell of the wanted colours; undefined if there is none. */
export function boxOf(grid: Grid, wanted: (color: number) => boolean): Box | undefined {
  let [top, left, bottom, right] = [grid.rows, grid.cols, -1, -1];
  for (let row = 0; row < grid.rows; row++) {
    for (let col = 0; col < grid.cols; col++) {
      if (!wanted(grid.cells[row * grid.cols + col]!)) continue;
      top = Math.min(top, row);
      left = Math.min(left, col);
      bottom = Math.max(bottom, row);
      right = Math.max(right, col);
    }
  }
  return bottom < 0 ? undefined : { top, left, bottom, right };
}

/** Cells of one colour other than 0 that touch along their sides. */
export interface GridObject extends Box {
  readonly color: number;
  /** indices into `cells` */
  readonly cells: readonly number[];
}

/** The objects of a grid, in reading order of their first cells. */
export function objectsOf(grid: Grid): GridObject[] {
  const { rows, cols } = grid;
  const seen = new Uint8Array(grid.cells.length);
  const objects: GridObject[] = [];
  for (let start = 0; start < grid.cells.length; start++) {
    const color = grid.cells[start]!;
    if (color === 0 || seen[start]) continue;
    const cells = [start];
    seen[start] = 1;
    let [top, left, bottom, right] = [rows, cols, -1, -1];
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i]!;
      const col = cell % cols;
      const row = (cell - col) / cols;
      top = Math.min(top, row);
      left = Math.min(left, col);
      bottom = Math.max(bottom, row);
      right = Math.max(right, col);
      const visit = (next: number): void => {
        if (seen[next] || grid.cells[next] !== color) return;
        seen[next] = 1;
        cells.push(next);
      };
      if (row > 0) visit(cell - cols);
      if (row < rows - 1) visit(cell + cols);
      if (col > 0) visit(cell - 1);
      if (col < cols - 1) visit(cell + 1);
    }
    objects.push({ color, cells, top, left, bottom, right });
  }
  return objects;
}

/** How often each colour 0..9 occurs. */
export function colorCounts(grid: Grid): number[] {
  const counts = new Array<number>(10).fill(0);
  for (const color of grid.cells) counts[color]!++;
  return counts;
}
