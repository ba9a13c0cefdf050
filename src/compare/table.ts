/** A comparison as a table for people, and as CSV. */
import type { Estimate } from "./bootstrap.ts";
import { type ArmSummary, MEASURES, type Summary } from "./summary.ts";

const percent = (share: number): string => (100 * share).toFixed(1);
/** A mean with its error, if that is known. */
const withError = ({ mean, standardError }: Estimate, words = percent): string =>
  standardError === undefined ? words(mean) : `${words(mean)} +- ${words(standardError)}`;
const interval = ({ low, high }: Estimate): string => `${percent(low)} .. ${percent(high)}`;

/** Columns side by side; the first is on the left, numbers are on the right. */
export function comparisonTable({ tasks, arms }: Summary): string {
  const hasLeftOut = arms.some(({ leftOut }) => leftOut);
  const header = [
    "arm",
    "seeds",
    "steps",
    "pass@1 %",
    "pass@2 %",
    "95 %",
    "oracle %",
    "pass@2 less the first's",
    "95 %",
    ...(hasLeftOut ? ["left-out exact %", "left-out loss"] : []),
  ];
  const rows = arms.map((arm) => [
    arm.name,
    String(arm.seeds.length),
    arm.steps.toFixed(0),
    percent(arm.measures["pass@1"].mean),
    withError(arm.measures["pass@2"]),
    interval(arm.measures["pass@2"]),
    percent(arm.measures.oracle.mean),
    arm.differences ? withError(arm.differences["pass@2"]) : "",
    arm.differences ? interval(arm.differences["pass@2"]) : "",
    ...(hasLeftOut ? leftOutCells(arm) : []),
  ]);
  const widths = header.map((title, c) => Math.max(title.length, ...rows.map((row) => row[c]!.length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!)))
      .join("  ")
      .trimEnd();
  return [
    ...[header, ...rows].map(line),
    `${tasks} tasks; +- is the standard error over seeds, 95 % the interval from drawing tasks and seeds anew`,
  ].join("\n");
}

function leftOutCells({ leftOut }: ArmSummary): string[] {
  return leftOut ? [withError(leftOut.exact), withError(leftOut.lmLoss, (loss) => loss.toFixed(3))] : ["", ""];
}

/** One line an arm and measure: arm, seeds, measure, mean, standard error, low, high; differences as `difference of ...`. */
export function comparisonCsv({ arms }: Summary): string {
  const quoted = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = arms.flatMap(({ name, seeds, measures, differences, leftOut }) => {
    const all: [string, Estimate][] = [
      ...MEASURES.map((measure): [string, Estimate] => [measure, measures[measure]]),
      ...(differences ? MEASURES.map((measure): [string, Estimate] => [`difference of ${measure}`, differences[measure]]) : []),
      ...(leftOut
        ? ([
            ["left-out exact", leftOut.exact],
            ["left-out loss", leftOut.lmLoss],
          ] satisfies [string, Estimate][])
        : []),
    ];
    return all.map(([measure, { mean, standardError, low, high }]) =>
      [quoted(name), seeds.length, measure, mean, standardError ?? "", low, high].join(","),
    );
  });
  return `${["arm,seeds,measure,mean,standard error,low,high", ...lines].join("\n")}\n`;
}
