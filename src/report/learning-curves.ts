/** The curves of a training's learning: distances from the start, cosines of rows, and what each task comes to. */
import type { Learning } from "../metrics/learning-file.ts";
import { relative } from "../model/moved.ts";
import type { Curve } from "./report-data.ts";

type Point = readonly [number, number];

/** A task's way through the training. */
export interface TaskCurve {
  readonly id: string;
  /** samples finished */
  readonly samples: number;
  /** by step; means of the samples since the point before */
  readonly lmLoss: readonly Point[];
  /** share wholly right, 0..1 */
  readonly exact: readonly Point[];
  /** of the pairs that were held back, where there are any */
  readonly leftOutExact: readonly Point[];
}

const byStep = <T extends { readonly step: number }>(points: readonly T[], pick: (point: T) => number | null | undefined): Point[] =>
  points.flatMap((point): Point[] => {
    const value = pick(point);
    return typeof value === "number" && Number.isFinite(value) ? [[point.step, value]] : [];
  });

/** Distances of the trunk's parts and of the rows relative to the start's length; of what started at zero, the distance itself. */
export function movedSeries({ training }: Learning): { readonly name: string; readonly points: Point[] }[] {
  const parts = [...new Set(training.flatMap(({ trunk }) => Object.keys(trunk)))];
  const distance = (moved: { start: number; distance: number } | undefined): number | undefined =>
    moved && (moved.start > 0 ? relative(moved) : moved.distance);
  return [
    ...parts.map((name) => ({ name, points: byStep(training, ({ trunk }) => distance(trunk[name])) })),
    { name: "puzzle rows", points: byStep(training, ({ rows }) => (rows.count > 0 ? distance(rows) : undefined)) },
  ].filter(({ points }) => points.length > 0);
}

/** As a page shows them: the whole trunk and the rows, and how alike the rows are. */
function learningCurves(learning: Learning): Curve[] {
  const moved = movedSeries(learning).filter(({ name }) => name === "trunk" || name === "puzzle rows");
  const { training } = learning;
  const alike = [
    { name: "within a task", points: byStep(training, ({ similarity }) => similarity.within) },
    { name: "across tasks", points: byStep(training, ({ similarity }) => similarity.across) },
  ].filter(({ points }) => points.length > 0);
  return [
    { title: "Distance from the start, relative", series: moved },
    { title: "Cosine of puzzle rows", series: alike },
  ].flatMap(({ title, series }) => (series.length > 0 ? [{ title, x: "step" as const, unit: "" as const, noisy: false, series }] : []));
}

/** Curves of a run, and those of its learning that they lack. */
export function withLearning(curves: readonly Curve[], learning: Learning): Curve[] {
  return [...curves, ...learningCurves(learning).filter(({ title }) => !curves.some((curve) => curve.title === title))];
}

/** Every task that was trained on or held back from, those that fare worst at the end first. */
export function taskCurves({ training, leftOut }: Learning): TaskCurve[] {
  const ids = new Set([...training, ...leftOut].flatMap(({ tasks }) => Object.keys(tasks)));
  const curves = [...ids].map(
    (id): TaskCurve => ({
      id,
      samples: training.reduce((sum, { tasks }) => sum + (tasks[id]?.[0] ?? 0), 0),
      lmLoss: byStep(training, ({ tasks }) => tasks[id]?.[1]),
      exact: byStep(training, ({ tasks }) => tasks[id]?.[2]),
      leftOutExact: byStep(leftOut, ({ tasks }) => tasks[id]?.[2]),
    }),
  );
  const last = (points: readonly Point[], none: number): number => points.at(-1)?.[1] ?? none;
  return curves.sort((a, b) => last(a.exact, -1) - last(b.exact, -1) || last(b.lmLoss, 0) - last(a.lmLoss, 0) || (a.id < b.id ? -1 : 1));
}
