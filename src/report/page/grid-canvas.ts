/** Grids as pictures: ARC's ten colours, lines between cells, digits on demand, cells that differ outlined. */
import type { PackedGrid } from "../report-data.ts";
import { element } from "./element.ts";
import type { Preferences } from "./preferences.ts";

/** Source of the first: fchollet/ARC-AGI, apps/css/common.css; of the second: arcprize.org since 2024. */
const PALETTES = {
  official: ["#000000", "#0074D9", "#FF4136", "#2ECC40", "#FFDC00", "#AAAAAA", "#F012BE", "#FF851B", "#7FDBFF", "#870C25"],
  arcprize: ["#000000", "#1E93FF", "#F93C31", "#4FCC30", "#FFDC00", "#999999", "#E53AA3", "#FF851B", "#87D8F1", "#921231"],
} as const;
/** Digits on these are white, on the others black. */
const DARK_COLORS = [0, 1, 9];
const LINE = "#555555";
/** A cell must have so many pixels for its digit to be read. */
const DIGIT_CELL = 13;

export interface GridSize {
  readonly rows: number;
  readonly cols: number;
}

export function sizeOf(grid: PackedGrid): GridSize {
  if (grid === "") return { rows: 0, cols: 0 };
  const cols = grid.indexOf("/");
  return cols < 0 ? { rows: 1, cols: grid.length } : { rows: (grid.length + 1) / (cols + 1), cols };
}

/** "3 × 4", rows first. */
export function sizeText(grid: PackedGrid): string {
  const { rows, cols } = sizeOf(grid);
  return `${rows} × ${cols}`;
}

/** How many cells two grids of one size differ in; undefined where their sizes differ. */
export function differingCells(a: PackedGrid, b: PackedGrid): number | undefined {
  const [of, other] = [sizeOf(a), sizeOf(b)];
  if (of.rows !== other.rows || of.cols !== other.cols) return undefined;
  let differing = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) differing++;
  return differing;
}

export interface DrawOptions {
  /** pixels that the longer side may have */
  readonly side: number;
  readonly preferences: Preferences;
  /** cells that differ from it are outlined, where the sizes are equal */
  readonly truth?: PackedGrid | undefined;
  /** small: no lines, no digits */
  readonly thumbnail?: boolean;
}

/** Draws a grid; `label` says what it is to those who don't see it. Without one it is decoration. */
export function drawGrid(grid: PackedGrid, label: string | undefined, options: DrawOptions): HTMLCanvasElement {
  const { side, preferences, truth, thumbnail = false } = options;
  const { rows, cols } = sizeOf(grid);
  const digits = preferences.symbols && !thumbnail;
  const fit = Math.floor((side - 1) / Math.max(rows, cols, 1));
  const cell = thumbnail ? side / Math.max(rows, cols, 1) : Math.max(digits ? DIGIT_CELL : 4, Math.min(fit, 30));
  const edge = thumbnail ? 0 : 1;
  const [width, height] = [cols * cell + edge, rows * cell + edge];
  const ratio = Math.min(3, Math.max(1, globalThis.devicePixelRatio || 1));
  const named = label === undefined ? { "aria-hidden": "true" } : { role: "img", "aria-label": label };
  const canvas = element("canvas", { ...named, width: Math.round(width * ratio), height: Math.round(height * ratio) });
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  if (!context) return canvas;
  context.scale(canvas.width / width, canvas.height / height);
  const colors = PALETTES[preferences.palette];
  if (!thumbnail) {
    context.fillStyle = LINE;
    context.fillRect(0, 0, width, height);
  }
  const compared = truth !== undefined && differingCells(grid, truth) !== undefined ? truth : undefined;
  const wrong: [number, number][] = [];
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `600 ${Math.round(cell * 0.62)}px ui-monospace, Menlo, Consolas, monospace`;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      const at = r * (cols + 1) + c;
      const color = grid.charCodeAt(at) - 48;
      context.fillStyle = colors[color] ?? LINE;
      const overlap = thumbnail ? 0.4 : 0; // no seams between cells of broken size
      context.fillRect(c * cell + edge, r * cell + edge, cell - edge + overlap, cell - edge + overlap);
      if (digits) {
        context.fillStyle = DARK_COLORS.includes(color) ? "#ffffff" : "#000000";
        context.fillText(String(color), c * cell + (cell + edge) / 2, r * cell + (cell + edge) / 2 + 0.5);
      }
      if (compared !== undefined && compared[at] !== grid[at]) wrong.push([r, c]);
    }
  }
  // All ten colours are taken: what is wrong has a white frame with a black one in it, seen on each of them.
  const thick = cell >= 10 ? 2 : 1;
  for (const [r, c] of wrong) {
    for (const [color, inset] of [
      ["#ffffff", 0],
      ["#000000", thick],
    ] as const) {
      context.strokeStyle = color;
      context.lineWidth = thick;
      const from = inset + thick / 2;
      context.strokeRect(c * cell + edge + from, r * cell + edge + from, cell - edge - 2 * from, cell - edge - 2 * from);
    }
  }
  return canvas;
}
