/** All that the page of a pre-training shows, from its run folder. */
import { basename, resolve } from "node:path";
import { formatDuration } from "../budget/duration.ts";
import type { Learning } from "../metrics/learning-file.ts";
import { curvesOf, metricRows } from "./curves.ts";
import { movedSeries, taskCurves, withLearning } from "./learning-curves.ts";
import type { Curve, DocumentData, DocumentSection } from "./report-data.ts";
import { numberOf, type RunEvent } from "./run-events.ts";

/** Tasks in the table, those that fare worst first. */
const MOST_TASKS = 400;

/** What the folder of a pre-training holds. */
export interface ReadTraining {
  readonly folder: string;
  readonly isRunning: boolean;
  readonly events: readonly RunEvent[];
  /** lines of `metrics.jsonl` */
  readonly metrics: string;
  readonly learning: Learning;
  readonly notes: readonly string[];
}

/** @param now Unix milliseconds */
export function gatherTraining({ folder, isRunning, events, metrics, learning, notes }: ReadTraining, now: number): DocumentData {
  const rows = metricRows(metrics); // the curves are thinned out
  const curves = withLearning(curvesOf(metrics), learning);
  const last = (name: string): number | undefined => numberOf(rows.findLast((row) => numberOf(row[name]) !== undefined)?.[name]);
  const lastPercent = (name: string): number | undefined => {
    const share = last(name);
    return share === undefined ? undefined : 100 * share;
  };
  const steps = rows.at(-1)?.step ?? 0;
  const seconds = events.at(-1)?.seconds ?? 0;
  const planned = numberOf(events.findLast(({ event }) => event === "progress")?.plannedSteps);
  const isOver = !isRunning && ["saved", "finished"].includes(events.at(-1)?.event ?? "");
  const percent = (value: number | undefined): string => (value === undefined ? "-" : `${value.toFixed(1)} %`);
  const number = (value: number | undefined): string => (value === undefined ? "-" : String(Number(value.toPrecision(3))));
  const ready = events.findLast(({ event }) => event === "ready")?.text;
  return {
    kind: "training",
    title: basename(resolve(folder)),
    gatheredAt: now,
    state: isRunning ? "running" : isOver ? "finished" : "broken-off",
    tiles: [
      { name: "Optimizer steps", large: String(steps), ...(planned !== undefined && planned > steps && { small: ` of ${planned}` }) },
      { name: "Time of the last process", large: formatDuration(seconds) },
      { name: "Token loss", large: number(last("train/lm loss")), below: "of the newest point" },
      { name: "Samples wholly right", large: percent(lastPercent("train/exact")), below: "in training" },
      {
        name: "Evaluation tasks right",
        large: percent(lastPercent("evaluation/exact")),
        below: "a prediction each variant",
      },
      {
        name: "Cosine of rows",
        large: number(last("rows/within")),
        below: `within a task; ${number(last("rows/across"))} across`,
      },
    ],
    sections: [
      { title: "Curves", charts: curves },
      ...movedSection(learning),
      ...tasksSection(learning),
      { title: "Log", table: logTable(events), folded: true },
    ],
    notes: [
      ...notes,
      ...(ready === undefined ? [] : [ready]),
      ...events.flatMap(({ event, text }) => (event === "diverged" ? [text] : [])),
      ...(curves.length === 0 ? ["No curve yet."] : []),
    ],
  };
}

function movedSection(learning: Learning): DocumentSection[] {
  const series = movedSeries(learning).filter(({ name }) => name !== "trunk" && name !== "puzzle rows");
  if (series.length === 0) return [];
  const since = learning.training.at(-1)?.since ?? 0;
  const charts = series.map(
    ({ name, points }): Curve => ({ title: name, x: "step", unit: "", noisy: false, series: [{ name: "relative distance", points }] }),
  );
  const from = since === 0 ? "from the start" : `from step ${since}, where the last process took up the training`;
  return [{ title: "Parts of the trunk", about: `Euclidean distance ${from}, over the length there.`, charts }];
}

function tasksSection(learning: Learning): DocumentSection[] {
  const tasks = taskCurves(learning);
  if (tasks.length === 0) return [];
  const number = (value: number | undefined): string => (value === undefined ? "-" : value.toFixed(3));
  const percent = (value: number | undefined): string => (value === undefined ? "-" : `${(100 * value).toFixed(0)} %`);
  const rows = tasks
    .slice(0, MOST_TASKS)
    .map(({ id, samples, lmLoss, exact }) => [
      id,
      String(samples),
      number(lmLoss[0]?.[1]),
      number(lmLoss.at(-1)?.[1]),
      percent(exact[0]?.[1]),
      percent(exact.at(-1)?.[1]),
    ]);
  const cut = tasks.length > rows.length ? ` The first ${rows.length} of ${tasks.length} are shown.` : "";
  return [
    {
      title: "Tasks",
      about: `Those that fare worst at the end first; loss and share wholly right of samples since the point before.${cut}`,
      table: { columns: ["task", "samples", "first loss", "last loss", "first right", "last right"], rows },
    },
  ];
}

/** What the log says, progress apart. */
function logTable(events: readonly RunEvent[]): NonNullable<DocumentSection["table"]> {
  const told = events.filter(({ event, level }) => event !== "progress" && level >= 30);
  return {
    columns: ["after", "event", "what"],
    rows: told.map(({ seconds, event, text }) => [formatDuration(seconds), event, text]),
    texts: true,
  };
}
