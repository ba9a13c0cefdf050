/** A grid as ARC's JSON has it, checked: all that is wrong with it in words. */
import { type Grid, gridFromRows, MAX_GRID_SIDE } from "./grid.ts";

/**
 * The grid that a JSON value stands for.
 *
 * @param spot     where it stands, for messages: "test 0, input"
 * @param problems gets one sentence for each thing wrong; cells and rows of one grid are counted, not listed
 * @param empty    whether `[]`, the 0 x 0 grid of a candidate, is allowed
 * @returns undefined where something is wrong
 */
export function checkGrid(
  value: unknown,
  spot: string,
  problems: string[],
  empty: "empty allowed" | "not empty" = "not empty",
): Grid | undefined {
  const before = problems.length;
  if (value === undefined) problems.push(`${spot} is missing`);
  else if (!Array.isArray(value)) problems.push(`${spot} is ${kindOf(value)}, not a list of rows`);
  else if (value.length === 0 && empty === "not empty") problems.push(`${spot} has no rows; a grid has 1 to ${MAX_GRID_SIDE}`);
  else if (value.length > MAX_GRID_SIDE) problems.push(`${spot} has ${value.length} rows; a grid has 1 to ${MAX_GRID_SIDE}`);
  else checkRows(value, spot, problems);
  return problems.length === before ? gridFromRows(value as number[][]) : undefined;
}

function checkRows(rows: readonly unknown[], spot: string, problems: string[]): void {
  const notLists = rows.findIndex((row) => !Array.isArray(row));
  if (notLists !== -1) {
    problems.push(`${spot} row ${notLists} is ${kindOf(rows[notLists])}, not a list of cells`);
    return;
  }
  const lists = rows as readonly (readonly unknown[])[];
  const cols = lists[0]?.length ?? 0;
  if (lists.length > 0 && (cols === 0 || cols > MAX_GRID_SIDE)) {
    problems.push(`${spot} row 0 has ${cols === 0 ? "no" : cols} cells; a row has 1 to ${MAX_GRID_SIDE}`);
  }
  const ragged = lists.findIndex((row) => row.length !== cols);
  if (ragged !== -1) {
    const above = ragged === 1 ? "row 0 has" : `rows 0-${ragged - 1} have`;
    problems.push(
      `${spot} row ${ragged} has ${lists[ragged]!.length} ${lists[ragged]!.length === 1 ? "cell" : "cells"}, ${above} ${cols}; every row of a grid must be equally long`,
    );
  }
  if (ragged === -1 && cols <= MAX_GRID_SIDE && lists.every((row) => row.every(isColor))) return;
  const wrong = lists.flatMap((row, r) => row.slice(0, MAX_GRID_SIDE).flatMap((cell, c) => (isColor(cell) ? [] : [{ r, c, cell }])));
  const first = wrong[0];
  if (!first) return;
  const others = wrong.length === 1 ? "" : ` (${wrong.length - 1} more ${wrong.length === 2 ? "cell is" : "cells are"} wrong)`;
  problems.push(`${spot} row ${first.r}, column ${first.c} is ${shown(first.cell)}; a cell is a whole number 0 to 9${others}`);
}

function isColor(cell: unknown): boolean {
  return typeof cell === "number" && Number.isInteger(cell) && cell >= 0 && cell <= 9;
}

/** What kind of JSON value this is, with its article. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return { string: "a text", number: "a number", boolean: "true or false", object: "an object" }[typeof value as string] ?? "nothing";
}

function shown(value: unknown): string {
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? JSON.stringify(value.slice(0, 20)) : kindOf(value);
}

/** A task id or other text from a file, made fit for a one-line message. */
export function quoted(text: string): string {
  if (/^[\w./-]{1,64}$/.test(text)) return text;
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 61)}...` : text);
}

/** At most `max` problems, the last of them saying how many were left out. */
export function shortened(problems: readonly string[], max = 50): string[] {
  return problems.length <= max ? [...problems] : [...problems.slice(0, max - 1), `... and ${problems.length - max + 1} more problems`];
}
