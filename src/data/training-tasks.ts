/** Which tasks of several sets are trained on: each once, small enough for the canvas, and none that is held out. */
import type { Grid } from "../arc/grid.ts";
import type { Task } from "../arc/task.ts";
import { canonicalPairKey, contentKey } from "./canonical.ts";

/** Tasks from one file. */
export interface TaskSet {
  /** the file's name */
  readonly name: string;
  /** with the answers to their tests where these are trained on */
  readonly tasks: readonly Task[];
}

/** What became of one set's tasks; the counts add up to `given`. */
export interface SetReport {
  readonly name: string;
  readonly given: number;
  /** tasks whose id, or whose content, came before */
  readonly repeated: number;
  readonly tooLarge: number;
  readonly heldOut: number;
  readonly kept: number;
}

/** A task to train on that is, or shares a pair with, one that is held out. */
export interface Overlap {
  readonly set: string;
  readonly id: string;
  readonly heldOutSet: string;
  readonly heldOutId: string;
  readonly how: "same id" | "same task" | "a pair in common" | "a test input in common";
}

export interface TaskSelection {
  readonly tasks: readonly Task[];
  readonly sets: readonly SetReport[];
  readonly overlaps: readonly Overlap[];
}

/**
 * Chooses the tasks to train on. Of tasks with one id, or with the same pairs up to symmetry and recolouring, the first is kept; then those that
 * have a grid larger than the canvas go, and those that overlap with a held-out one: the same id, or any pair in common up to symmetry and
 * recolouring. A held-out test without an answer is compared by its input, if that is large enough to tell tasks apart.
 *
 * @param canvas cells a side
 */
export function selectTrainingTasks(sets: readonly TaskSet[], heldOut: readonly TaskSet[], canvas: number): TaskSelection {
  const overlapOf = heldOutSearch(heldOut, canvas);
  const ids = new Set<string>();
  const contents = new Set<string>();
  const tasks: Task[] = [];
  const overlaps: Overlap[] = [];
  const reports = sets.map(({ name, tasks: given }): SetReport => {
    const counts = { repeated: 0, tooLarge: 0, heldOut: 0, kept: 0 };
    for (const task of given) {
      if (ids.has(task.id)) {
        counts.repeated++;
        continue;
      }
      ids.add(task.id);
      if (!fitsCanvas(task, canvas)) {
        counts.tooLarge++;
        continue;
      }
      const content = contentKey(task);
      if (contents.has(content)) {
        counts.repeated++;
        continue;
      }
      contents.add(content);
      const overlap = overlapOf(task);
      if (overlap) {
        overlaps.push({ set: name, id: task.id, ...overlap });
        counts.heldOut++;
        continue;
      }
      tasks.push(task);
      counts.kept++;
    }
    return { name, given: given.length, ...counts };
  });
  return { tasks, sets: reports, overlaps };
}

/** Whether every grid of a task, known answers included, lies on a canvas of so many cells a side. */
export function fitsCanvas({ train, test }: Task, canvas: number): boolean {
  const fits = (grid: Grid): boolean => grid.rows <= canvas && grid.cols <= canvas;
  return (
    train.every(({ input, output }) => fits(input) && fits(output)) &&
    test.every(({ input, output }) => fits(input) && (!output || fits(output)))
  );
}

/** Cells from which on an input alone is more than a coincidence: many tasks share the 3 x 3 ones. */
const TELLING_CELLS = 16;

/** A function that finds what is held out of a task that fits the canvas. */
function heldOutSearch(sets: readonly TaskSet[], canvas: number): (task: Task) => Omit<Overlap, "set" | "id"> | undefined {
  interface Owner {
    readonly heldOutSet: string;
    readonly heldOutId: string;
  }
  const byId = new Map<string, Owner>();
  const byContent = new Map<string, Owner>();
  const byPair = new Map<string, Owner>();
  const byInput = new Map<string, Owner>();
  for (const { name, tasks } of sets) {
    for (const task of tasks) {
      const owner = { heldOutSet: name, heldOutId: task.id };
      byId.set(task.id, owner);
      if (fitsCanvas(task, canvas)) byContent.set(contentKey(task), owner);
      for (const pair of [...task.train, ...task.test]) {
        if (!fitsCanvas({ id: "", train: [], test: [pair] }, canvas)) continue; // no pair of a task that fits is like it
        if (pair.output) byPair.set(canonicalPairKey(pair), owner);
        else if (pair.input.cells.length >= TELLING_CELLS) byInput.set(canonicalPairKey(pair), owner);
      }
    }
  }
  return (task) => {
    const id = byId.get(task.id);
    if (id) return { ...id, how: "same id" };
    if (byPair.size + byInput.size === 0) return undefined;
    const content = byContent.get(contentKey(task));
    if (content) return { ...content, how: "same task" };
    const pairs = [...task.train, ...task.test];
    for (const pair of pairs) {
      const owner = byPair.get(canonicalPairKey(pair));
      if (owner) return { ...owner, how: "a pair in common" };
    }
    if (byInput.size === 0) return undefined;
    for (const { input } of pairs) {
      const owner = byInput.get(canonicalPairKey({ input }));
      if (owner) return { ...owner, how: "a test input in common" };
    }
    return undefined;
  };
}
