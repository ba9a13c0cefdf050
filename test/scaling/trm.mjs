/** What the scaling scripts share: the product as a process, and tables. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";

export const BUNDLE = resolve("submission/trm.mjs");

/** The JSON object that `trm` prints last. @throws what it said, where it did not end well */
export async function trm(...args) {
  const child = spawn(process.execPath, [BUNDLE, ...args.map(String), "--json"], { stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const status = await new Promise((done, fail) => child.on("close", done).on("error", fail));
  if (status !== 0) throw new Error(`trm ${args.join(" ")} ended with status ${status}:\n${stderr.slice(-2000)}`);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1));
}

/** Whole numbers from 1 up, comma-separated. */
export function counts(option, text) {
  const list = text.split(",").map(Number);
  if (!list.every((n) => Number.isInteger(n) && n >= 1))
    throw new Error(`--${option} ${text}: expected whole numbers from 1 up, comma-separated`);
  return list;
}

/** Rows as a Markdown table; the first one is the head. */
export function table(rows) {
  const [head, ...body] = rows;
  return [head, head.map(() => "---"), ...body].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Standard error of the mean. */
export function standardError(values) {
  const middle = mean(values);
  return values.length < 2
    ? Number.NaN
    : Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1) / values.length);
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
