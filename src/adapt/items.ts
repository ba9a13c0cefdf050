/** The predictions that a run can make: every test input under every variant. */
import type { Task } from "../arc/task.ts";
import type { PredictionItem } from "../parallel/job.ts";
import type { RunRequest } from "./request.ts";

/** Every test input under one variant; 0 is the original. */
export function itemsOf(tasks: readonly Task[], variant: number): PredictionItem[] {
  return tasks.flatMap(({ test }, task) => test.map((_, testIndex) => ({ task, testIndex, variant })));
}

/** Which worker has a task where each adapts to its own. */
export function ownerOf(task: number, workers: number): number {
  return task % workers;
}

/** Which worker must make a prediction; negative where any may. */
export function ownersOf({ joined, workers }: RunRequest): (item: PredictionItem) => number {
  return ({ task }) => (joined ? -1 : ownerOf(task, workers));
}
