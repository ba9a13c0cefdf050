/** The predictions that a run can make: every test input under every variant. */
import type { Task } from "../arc/task.ts";
import type { CanvasGroups } from "../encode/canvas-groups.ts";
import type { PredictionItem } from "../parallel/job.ts";
import type { RunRequest } from "./request.ts";

/** Every test input under one variant; 0 is the original. */
export function itemsOf(tasks: readonly Task[], variant: number): PredictionItem[] {
  return tasks.flatMap(({ test }, task) => test.map((_, testIndex) => ({ task, testIndex, variant })));
}

/** The same items apart by canvas, where there are several; all of them together where not. */
export function itemsByCanvas(items: readonly PredictionItem[], canvases: CanvasGroups | undefined): (readonly PredictionItem[])[] {
  if (!canvases) return [items];
  return canvases.sides.map((_, canvas) => items.filter(({ task }) => canvases.ofTask[task] === canvas)).filter(({ length }) => length > 0);
}

/** Which worker has a task where each adapts to its own. */
export function ownerOf(task: number, workers: number): number {
  return task % workers;
}

/** Which worker must make a prediction; negative where any may. */
export function ownersOf({ joined, workers }: RunRequest): (item: PredictionItem) => number {
  return ({ task }) => (joined ? -1 : ownerOf(task, workers));
}
