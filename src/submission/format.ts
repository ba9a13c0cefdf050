/** The competition's file: two answers for each test input of each task. */
import { type Grid, gridToRows } from "../arc/grid.ts";

/** The answers to one test input, best first; the competition takes two. */
export type Attempts = readonly Grid[];

/** Attempts by task id, one entry per test input. A Map, because its order is the file's, which object keys do not keep for ids of digits. */
export type Submission = ReadonlyMap<string, readonly Attempts[]>;

/** The file's text: ids in the Map's order, one task a line. */
export function formatSubmission(submission: Submission): string {
  const tasks = [...submission].map(([id, tests]) => `${JSON.stringify(id)}: [${tests.map(formatAttempts).join(", ")}]`);
  return `{${tasks.join(",\n")}}\n`;
}

function formatAttempts(attempts: Attempts): string {
  return `{${attempts.map((grid, i) => `"attempt_${i + 1}": ${JSON.stringify(gridToRows(grid))}`).join(", ")}}`;
}
