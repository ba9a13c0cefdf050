/** `inspect` of a run's folder: what it has learned, and how. */
import { existsSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { UserError } from "../errors.ts";
import { LEARNING_FILE, type Learning, readLearning } from "../metrics/learning-file.ts";
import { curvesOf } from "../report/curves.ts";
import { taskCurves, withLearning } from "../report/learning-curves.ts";
import { learningPlot } from "../report/learning-plot.ts";
import { learningSections } from "../report/learning-text.ts";
import type { Curve } from "../report/report-data.ts";

/** What the folder of a `run` or a `pretrain` tells of its training. */
export interface RunLearning {
  readonly folder: string;
  readonly learning: Learning;
  readonly curves: readonly Curve[];
}

/** @returns undefined where the folder is none of a run */
export function readRunLearning(folder: string): RunLearning | undefined {
  const metrics = join(folder, "metrics.jsonl");
  if (!existsSync(metrics) && !existsSync(join(folder, LEARNING_FILE))) return undefined;
  const learning = readLearning(folder);
  return { folder, learning, curves: withLearning(existsSync(metrics) ? curvesOf(readFileSync(metrics, "utf8")) : [], learning) };
}

/** Text for people. @throws UserError where nothing was noted */
export function runLearningSections({ folder, learning, curves }: RunLearning): [string, string[]][] {
  const sections = learningSections(learning, curves);
  if (sections.length === 0) throw new UserError(`${folder}: nothing was noted of a training here yet`);
  return sections;
}

/** What `--json` prints of it. */
export function runLearningJson({ folder, learning, curves }: RunLearning): Record<string, unknown> {
  return { folder, training: learning.training.map(({ tasks: _, ...point }) => point), curves, tasks: taskCurves(learning) };
}

/** The text of the picture. */
export function runLearningPlot({ folder, learning, curves }: RunLearning): string {
  return learningPlot(basename(resolve(folder)), learning, curves);
}
