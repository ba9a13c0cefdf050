/** Grids in few characters, for the page's data. */
import type { Grid } from "../arc/grid.ts";
import type { PackedGrid } from "./report-data.ts";

/** A digit a cell, rows joined by "/". */
export function packGrid({ rows, cols, cells }: Grid): PackedGrid {
  const digits = Buffer.from(cells.map((color) => color + 48)).toString("latin1");
  return Array.from({ length: rows }, (_, r) => digits.slice(r * cols, (r + 1) * cols)).join("/");
}
