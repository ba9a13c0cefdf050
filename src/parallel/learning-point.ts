/** A point of a training's learning, from what its workers tell. */
import type { Fares, LearningPoint } from "../metrics/learning-file.ts";
import { addTaskSums } from "../train/task-means.ts";
import type { Diagnosis } from "./diagnosis.ts";

/** @returns undefined where no worker told anything; distances and cosines are those of the first rank */
export function learningPoint(told: readonly Diagnosis[], seconds: number): LearningPoint | undefined {
  const [first] = told;
  if (!first) return undefined;
  const { step, since, trunk, rows, similarity } = first;
  const tasks = Object.entries(addTaskSums(told.map((each) => each.tasks))).map(([id, { samples, lmLoss, exact }]): [string, Fares] => [
    id,
    [samples, lmLoss / samples, exact / samples],
  ]);
  return { kind: "training", step, seconds, since, trunk, rows, similarity, tasks: Object.fromEntries(tasks) };
}
