/** A training's learning in lines of a terminal. */
import type { Learning } from "../metrics/learning-file.ts";
import { movedSeries, type TaskCurve, taskCurves } from "./learning-curves.ts";
import type { Curve } from "./report-data.ts";

const BARS = "▁▂▃▄▅▆▇█";
const WIDTH = 24;
/** Tasks shown one by one, worst first. */
const MOST_TASKS = 30;

type Point = readonly [number, number];

/** Values as a line of bars, at most `width` of them: means of neighbours. @param range of the lowest and the highest bar; the values' own unless given */
export function sparkline(
  values: readonly number[],
  { width = WIDTH, range }: { width?: number; range?: readonly [number, number] } = {},
): string {
  const size = Math.max(1, values.length / width);
  const means = Array.from({ length: Math.min(width, values.length) }, (_, i) => {
    const part = values.slice(Math.floor(i * size), Math.max(Math.floor(i * size) + 1, Math.floor((i + 1) * size)));
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const [low, high] = range ?? [Math.min(...means), Math.max(...means)];
  const level = (value: number): number => (high > low ? Math.round(((value - low) / (high - low)) * (BARS.length - 1)) : 0);
  return means.map((mean) => BARS[Math.max(0, Math.min(BARS.length - 1, level(mean)))]).join("");
}

/** Sections of lines, each under its name. */
export function learningSections(learning: Learning, curves: readonly Curve[]): [string, string[]][] {
  const sections: [string, string[]][] = [];
  const shown = new Set(["Loss", "Right in training", "Right in evaluations", "Cosine of puzzle rows"]);
  const drawn = curves.filter(({ title }) => shown.has(title));
  if (drawn.length > 0)
    sections.push([
      "curves",
      drawn.flatMap(({ unit, series }) => series.map(({ name, points }) => line(name, points, unit === "" ? "" : ` ${unit}`))),
    ]);
  const moved = movedSeries(learning);
  const since = learning.training.at(-1)?.since ?? 0;
  if (moved.length > 0)
    sections.push([
      "moved",
      [
        `Euclidean distance from ${since === 0 ? "the start" : `where step ${since} was`} over the length there; of what was zero, the distance`,
        ...moved.map(({ name, points }) => line(name, points)),
      ],
    ]);
  const tasks = taskCurves(learning);
  if (tasks.length > 0) sections.push(["tasks", taskLines(tasks)]);
  return sections;
}

function line(name: string, points: readonly Point[], unit = ""): string {
  const [first, last] = [points[0]![1], points.at(-1)![1]].map((value) => `${Number(value.toPrecision(3))}${unit}`);
  return `${name.padEnd(28)} ${`${first} -> ${last}`.padEnd(22)} ${sparkline(points.map(([, value]) => value))}`;
}

function taskLines(tasks: readonly TaskCurve[]): string[] {
  const hasLeftOut = tasks.some(({ leftOutExact }) => leftOutExact.length > 0);
  const number = (value: number | undefined, digits: number): string => (value === undefined ? "-" : value.toFixed(digits));
  const width = Math.max(...tasks.slice(0, MOST_TASKS).map(({ id }) => id.length), 4);
  const row = (...[id, samples, loss, exact, leftOut]: string[]): string =>
    `${id!.slice(0, 40).padEnd(Math.min(40, width))} ${samples!.padStart(8)} ${loss!.padStart(16)} ${exact!}${hasLeftOut ? `  held back ${leftOut}` : ""}`;
  const rows = tasks.slice(0, MOST_TASKS).map(({ id, samples, lmLoss, exact, leftOutExact }) => {
    const share = exact.at(-1)?.[1];
    return row(
      id,
      String(samples),
      `${number(lmLoss[0]?.[1], 3)} -> ${number(lmLoss.at(-1)?.[1], 3)}`,
      `${(share === undefined ? "-" : `${(100 * share).toFixed(0)} %`).padStart(5)} ${sparkline(
        exact.map(([, value]) => value),
        { range: [0, 1] },
      ).padEnd(WIDTH)}`,
      leftOutExact.map(([, value]) => `${(100 * value).toFixed(0)} %`).join(" -> ") || "-",
    );
  });
  const left = tasks.length - rows.length;
  return [
    `${tasks.length} tasks, those that fare worst first: samples finished, token loss first and last, wholly right at the end and on the way${hasLeftOut ? ", predictions of pairs held back right before and after" : ""}`,
    ...rows,
    ...(left > 0 ? [`and ${left} more (--json has all, --plot draws them)`] : []),
  ];
}
