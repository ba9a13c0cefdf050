/** All that the page of a comparison shows, from its folder. */
import { basename, resolve } from "node:path";
import { formatDuration } from "../budget/duration.ts";
import type { Estimate } from "../compare/bootstrap.ts";
import { type ArmSummary, MEASURES, type Measure, type Summary } from "../compare/summary.ts";
import { curvesOf } from "./curves.ts";
import type { Curve, DocumentData, DocumentSection, DocumentTable, IntervalBars } from "./report-data.ts";

/** Places of a mean curve. */
const PLACES = 48;

type Point = readonly [number, number];

/** What the folder of a comparison holds. */
export interface ReadComparison {
  readonly folder: string;
  readonly summary: Summary;
  /** of each arm its runs: scores on the way, and lines of `metrics.jsonl` */
  readonly arms: readonly (readonly ComparedRun[])[];
  readonly notes: readonly string[];
}

export interface ComparedRun {
  readonly seed: string;
  /** see `adapt/learning-curve.ts` */
  readonly curve: readonly { readonly step: number; readonly seconds: number; readonly score: Readonly<Record<string, number>> }[];
  readonly metrics: string;
}

/** @param now Unix milliseconds */
export function gatherComparison({ folder, summary, arms: runs, notes }: ReadComparison, now: number, isRunning = false): DocumentData {
  const { arms, tasks, runs: count } = summary;
  const best = arms.reduce<ArmSummary | undefined>(
    (lead, arm) => (lead && lead.measures["pass@2"].mean >= arm.measures["pass@2"].mean ? lead : arm),
    undefined,
  );
  const made = count?.made ?? arms.reduce((sum, { seeds }) => sum + seeds.length, 0);
  return {
    kind: "comparison",
    title: basename(resolve(folder)),
    gatheredAt: now,
    state: isRunning ? "running" : count === undefined || count.made >= count.planned ? "finished" : "broken-off",
    tiles: [
      ...(best
        ? [
            {
              name: "Best by pass@2",
              large: percent(best.measures["pass@2"].mean),
              below: `${best.name}: ${interval(best.measures["pass@2"])}`,
            },
          ]
        : []),
      { name: "Arms", large: String(arms.length) },
      { name: "Runs", large: String(made), ...(count && count.planned > made && { small: ` of ${count.planned}` }) },
      { name: "Tasks", large: String(tasks) },
    ],
    sections: [
      {
        title: "Scores",
        about: "Per task, the share of its test inputs; lines hold 95 % of drawing tasks and seeds anew.",
        bars: barsOf(arms, ({ measures }) => measures),
      },
      ...differencesOf(arms),
      ...curvesSection(arms, runs),
      { title: "Numbers", table: tableOf(arms) },
      {
        title: "Options",
        table: { columns: ["arm", "options of run"], rows: arms.map(({ name, options }) => [name, options.join(" ")]), texts: true },
        folded: true,
      },
    ],
    notes,
  };
}

function barsOf(arms: readonly ArmSummary[], of: (arm: ArmSummary) => Readonly<Record<Measure, Estimate>>): IntervalBars {
  return {
    measures: MEASURES.map((measure) => (measure === "oracle" ? "among all answers" : measure)),
    rows: arms.map((arm) => ({
      name: arm.name,
      detail: `${arm.seeds.length} ${arm.seeds.length === 1 ? "seed" : "seeds"}`,
      values: MEASURES.map((measure) => {
        const { mean, low, high } = of(arm)[measure];
        return { mean, low, high };
      }),
    })),
  };
}

function differencesOf(arms: readonly ArmSummary[]): DocumentSection[] {
  const others = arms.filter(({ differences }) => differences !== undefined);
  if (others.length === 0) return [];
  const about = `On the same tasks and seeds; an interval that holds 0 tells no difference.`;
  return [{ title: `Less ${arms[0]!.name}`, about, bars: barsOf(others, ({ differences }) => differences!) }];
}

function curvesSection(arms: readonly ArmSummary[], runs: ReadComparison["arms"]): DocumentSection[] {
  const drawn = (title: string, x: Curve["x"], unit: Curve["unit"], of: (run: ComparedRun) => readonly Point[]): Curve[] => {
    const series = arms.flatMap(({ name }, i) => {
      const all = (runs[i] ?? []).map(of).filter((points) => points.length > 1);
      return all.length > 0 ? [{ name, ...meanOf(all) }] : [];
    });
    return series.length > 0 ? [{ title, x, unit, noisy: false, series }] : [];
  };
  const scores = (run: ComparedRun, k: string): Point[] =>
    run.curve.flatMap(({ seconds, score }): Point[] => (score[k] === undefined ? [] : [[seconds, 100 * score[k]]]));
  const trained = (run: ComparedRun, title: string, name: string): readonly Point[] =>
    curvesOf(run.metrics)
      .find((curve) => curve.title === title)
      ?.series.find((series) => series.name === name)?.points ?? [];
  const charts = [
    ...drawn("pass@2 over time", "seconds", "%", (run) => scores(run, "pass@2PerTask")),
    ...drawn("pass@10 over time", "seconds", "%", (run) => scores(run, "pass@10PerTask")),
    ...drawn("Token loss", "step", "", (run) => trained(run, "Loss", "token loss")),
    ...drawn("Samples wholly right in training", "step", "%", (run) => trained(run, "Right in training", "whole demonstrations")),
  ];
  const about = "Means over the seeds that have come so far; around them the lowest and the highest seed.";
  return charts.length > 0 ? [{ title: "Curves", about, charts }] : [];
}

/** The mean of several courses at common places, as far as the shortest of them goes, with the least and the greatest of them there. */
export function meanOf(courses: readonly (readonly Point[])[]): { points: Point[]; band: (readonly [number, number, number])[] } {
  const from = Math.max(...courses.map((points) => points[0]![0]));
  const to = Math.min(...courses.map((points) => points.at(-1)![0]));
  const places = to > from ? Array.from({ length: PLACES }, (_, i) => from + ((to - from) * i) / (PLACES - 1)) : [from];
  const short = (value: number): number => Number(value.toPrecision(5));
  const at = places.map((place) => ({ place: short(place), values: courses.map((points) => valueAt(points, place)) }));
  return {
    points: at.map(({ place, values }) => [place, short(values.reduce((sum, value) => sum + value, 0) / values.length)]),
    band: courses.length > 1 ? at.map(({ place, values }) => [place, short(Math.min(...values)), short(Math.max(...values))]) : [],
  };
}

/** Between two points, on the line through them. */
function valueAt(points: readonly Point[], place: number): number {
  const after = points.findIndex(([x]) => x >= place);
  if (after < 0) return points.at(-1)![1];
  if (after === 0) return points[0]![1];
  const [[x0, y0], [x1, y1]] = [points[after - 1]!, points[after]!];
  return x1 > x0 ? y0 + ((place - x0) / (x1 - x0)) * (y1 - y0) : y1;
}

function tableOf(arms: readonly ArmSummary[]): DocumentTable {
  const hasLeftOut = arms.some(({ leftOut }) => leftOut);
  return {
    columns: [
      ...["arm", "seeds", "steps", "time", "pass@1", "pass@2", "95 %", "among all", "pass@2 less the first's"],
      ...(hasLeftOut ? ["held back right", "held back loss"] : []),
    ],
    rows: arms.map(({ name, seeds, steps, seconds, measures, differences, leftOut }) => [
      name,
      String(seeds.length),
      steps.toFixed(0),
      formatDuration(seconds),
      percent(measures["pass@1"].mean),
      percent(measures["pass@2"].mean),
      interval(measures["pass@2"]),
      percent(measures.oracle.mean),
      differences ? `${percent(differences["pass@2"].mean)} (${interval(differences["pass@2"])})` : "",
      ...(hasLeftOut ? (leftOut ? [percent(leftOut.exact.mean), leftOut.lmLoss.mean.toFixed(3)] : ["", ""]) : []),
    ]),
  };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function interval({ low, high }: Estimate): string {
  return `${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)} %`;
}
