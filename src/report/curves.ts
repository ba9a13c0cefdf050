/** The curves of a run, from `metrics.jsonl`, thinned out to what a page can show. */
import { PASS_KS } from "../score/pass-at-k.ts";
import type { Curve } from "./report-data.ts";
import { numberOf } from "./run-events.ts";

/** Points of a series at most. */
const MOST_POINTS = 400;

type Point = readonly [number, number];

/** What is drawn together: the name of each series, and its name in the file. */
interface Drawn {
  readonly title: string;
  readonly unit: Curve["unit"];
  readonly noisy?: boolean;
  readonly series: Readonly<Record<string, string>>;
}

const CURVES: readonly Drawn[] = [
  {
    title: "Loss",
    unit: "",
    noisy: true,
    series: { "token loss": "train/lm loss", "of the encoder's rows": "encoder/lm loss", "halting loss": "train/halting loss" },
  },
  {
    title: "Right in training",
    unit: "%",
    noisy: true,
    series: {
      tokens: "train/token accuracy",
      "whole demonstrations": "train/exact",
      "those with the encoder's rows": "encoder/exact",
      "when to halt": "train/halting accuracy",
    },
  },
  {
    title: "Right in evaluations",
    unit: "%",
    series: {
      "evaluation tasks": "evaluation/exact",
      "trained tasks": "evaluation/trained-exact",
      "evaluation tasks, zero-shot": "zero-shot/exact",
      "trained tasks, zero-shot": "zero-shot/trained-exact",
    },
  },
  {
    title: "Evaluation tests among the first K answers",
    unit: "%",
    series: Object.fromEntries(PASS_KS.map((k) => [`pass@${k}`, `evaluation/pass@${k}`])),
  },
  { title: "Cosine of puzzle rows", unit: "", series: { "within a task": "rows/within", "across tasks": "rows/across" } },
  { title: "Distance from the start, relative", unit: "", series: { trunk: "moved/trunk", "puzzle rows": "moved/rows" } },
  { title: "ACT steps of a sample", unit: "", noisy: true, series: { "ACT steps": "train/ACT steps" } },
  { title: "Learning rate of the trunk", unit: "", series: { rate: "rate/trunk" } },
  { title: "Time of an optimizer step", unit: "s", series: { "seconds a step": "speed/step seconds" } },
];

/** The points in lines `{step, time, name: value, ...}`; those that are cut off or damaged are passed over. */
export function metricRows(text: string): (Record<string, unknown> & { step: number })[] {
  return text.split("\n").flatMap((line) => {
    if (line === "") return [];
    try {
      const row = JSON.parse(line) as Record<string, unknown> | null;
      const step = numberOf(row?.step);
      return step === undefined ? [] : [{ ...row, step }];
    } catch {
      return [];
    }
  });
}

/** @param text lines as `metricRows` reads them */
export function curvesOf(text: string): Curve[] {
  const rows = metricRows(text);
  return CURVES.flatMap(({ title, unit, noisy = false, series }) => {
    const scale = unit === "%" ? 100 : 1;
    const drawn = Object.entries(series).flatMap(([name, field]) => {
      const points = rows.flatMap((row): Point[] => {
        const value = numberOf(row[field]);
        return value === undefined ? [] : [[row.step, scale * value]];
      });
      return points.length > 0 ? [{ name, points: thinned(points) }] : [];
    });
    return drawn.length > 0 ? [{ title, x: "step" as const, unit, noisy, series: drawn }] : [];
  });
}

/** At most `most` points: means of as many runs of neighbours. Numbers are cut to five digits. */
export function thinned(points: readonly Point[], most = MOST_POINTS): Point[] {
  const count = Math.min(most, points.length);
  const short = (value: number): number => Number(value.toPrecision(5));
  return Array.from({ length: count }, (_, i) => {
    const run = points.slice(Math.floor((i * points.length) / count), Math.floor(((i + 1) * points.length) / count));
    const mean = (at: 0 | 1): number => run.reduce((sum, point) => sum + point[at], 0) / run.length;
    return [Math.round(mean(0)), short(mean(1))];
  });
}
