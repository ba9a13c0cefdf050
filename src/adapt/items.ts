/** The predictions that a run can make: every test input under every variant. */
import type { Task } from "../arc/task.ts";
import type { CanvasGroups } from "../encode/canvas-groups.ts";
import type { PredictionItem } from "../parallel/job.ts";
import type { RunRequest } from "./request.ts";

/** Every test input under one variant; 0 is the original. */
export function itemsOf(tasks: readonly Task[], variant: number): PredictionItem[] {
  return tasks.flatMap(({ test }, task) => test.map((_, testIndex) => ({ task, testIndex, variant })));
}

/** The same items apart by the canvas's place, where there are several; all of them together where not. */
export function itemsByCanvas(
  items: readonly PredictionItem[],
  canvases: CanvasGroups | undefined,
): (readonly [canvas: number, items: readonly PredictionItem[]])[] {
  if (!canvases) return [[0, items]];
  return [...canvases.sides.keys()]
    .map((canvas) => [canvas, items.filter(({ task }) => canvases.ofTask[task] === canvas)] as const)
    .filter(([, own]) => own.length > 0);
}

/** Which worker has a task where each adapts to its own. */
export function ownerOf(task: number, workers: number): number {
  return task % workers;
}

/**
 * The first items, as many for each worker: of its own where each has its own (see `ownersOf`), else of all.
 *
 * @returns them and the rest, in the order that they had
 */
export function firstOfEach(
  items: readonly PredictionItem[],
  count: number,
  { owner, workers }: { owner(item: PredictionItem): number; workers: number },
): [first: PredictionItem[], rest: PredictionItem[]] {
  const taken = new Map<number, number>();
  const first: PredictionItem[] = [];
  const rest: PredictionItem[] = [];
  for (const item of items) {
    const rank = owner(item);
    const before = taken.get(rank) ?? 0;
    const isFirst = before < (rank < 0 ? workers * count : count);
    if (isFirst) taken.set(rank, before + 1);
    (isFirst ? first : rest).push(item);
  }
  return [first, rest];
}

/** Which worker must make a prediction; negative where any may. */
export function ownersOf({ joined, workers }: RunRequest): (item: PredictionItem) => number {
  return ({ task }) => (joined ? -1 : ownerOf(task, workers));
}
