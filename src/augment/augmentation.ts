/** A plan to change a task's looks without changing what it is about. */
import type { Grid } from "../arc/grid.ts";
import type { Task } from "../arc/task.ts";
import { UserError } from "../errors.ts";
import type { Random } from "../random.ts";
import {
  applyColorPermutation,
  drawColorPermutation,
  identityColorPermutation,
  invertColorPermutation,
  isColorPermutation,
} from "./color-permutation.ts";
import { applyDihedral, DIHEDRAL_COUNT, undoDihedral } from "./dihedral.ts";

/** Colours first, then the symmetry. */
export interface Augmentation {
  /** 0..7, see dihedral.ts */
  readonly dihedral: number;
  /** uint8[10]: new colour of each old one; a permutation that keeps 0 */
  readonly colorPermutation: Uint8Array;
}

/** A task whose grids were augmented, and how. */
export interface AugmentedTask {
  /** augmented grids; its id is the augmentation id */
  readonly task: Task;
  readonly augmentation: Augmentation;
  /** id of the task that this is a variant of */
  readonly sourceId: string;
}

/** Stands between the parts of an augmentation id. */
const SEPARATOR = "|||";

/** The augmentation that changes nothing. */
export function identityAugmentation(): Augmentation {
  return { dihedral: 0, colorPermutation: identityColorPermutation() };
}

/** Whether an augmentation changes nothing. */
export function isIdentity({ dihedral, colorPermutation }: Augmentation): boolean {
  return dihedral === 0 && colorPermutation.every((to, from) => to === from);
}

/** A random augmentation, all equally likely; the symmetry is drawn first, as in TRM dataset/build_arc_dataset.py. */
export function drawAugmentation(random: Random): Augmentation {
  const dihedral = random.int(0, DIHEDRAL_COUNT - 1);
  return { dihedral, colorPermutation: drawColorPermutation(random) };
}

/** A grid recoloured, then turned or mirrored. */
export function applyAugmentation(grid: Grid, { dihedral, colorPermutation }: Augmentation): Grid {
  return applyColorPermutation(applyDihedral(grid, dihedral), colorPermutation); // the two commute
}

/** The grid that `applyAugmentation` made this one of. */
export function undoAugmentation(grid: Grid, { dihedral, colorPermutation }: Augmentation): Grid {
  return applyColorPermutation(undoDihedral(grid, dihedral), invertColorPermutation(colorPermutation));
}

/** A task with all its grids augmented. */
export function augmentTask(task: Task, augmentation: Augmentation): AugmentedTask {
  const apply = (grid: Grid): Grid => applyAugmentation(grid, augmentation);
  return {
    task: {
      ...task,
      id: augmentationId(task.id, augmentation),
      train: task.train.map(({ input, output }) => ({ input: apply(input), output: apply(output) })),
      test: task.test.map(({ input, output }) => ({ input: apply(input), ...(output && { output: apply(output) }) })),
    },
    augmentation,
    sourceId: task.id,
  };
}

/**
 * The name of a variant: `<task>|||t<symmetry>|||<new colour of 0..9>`, or the bare task id where nothing changes.
 *
 * The released code can also write the identity in full (`...|||t0|||0123456789`); there it is dropped as a duplicate of the original,
 * and here a variant has one name only. Both forms can be parsed.
 */
export function augmentationId(taskId: string, augmentation: Augmentation): string {
  if (isIdentity(augmentation)) return taskId;
  return [taskId, `t${augmentation.dihedral}`, augmentation.colorPermutation.join("")].join(SEPARATOR);
}

/**
 * What an augmentation id says. As in the released code, the task's id is the text before the first `|||`, and the last two parts say how it
 * was augmented: ids of tasks that have `|||` in them are cut short, so keep the task beside the id where they may occur (puzzle-ids.ts does).
 *
 * @throws UserError where there is a `|||` but no symmetry and recolouring at the end
 */
export function parseAugmentationId(id: string): { readonly taskId: string; readonly augmentation: Augmentation } {
  const parts = id.split(SEPARATOR);
  if (parts.length === 1) return { taskId: id, augmentation: identityAugmentation() };
  const [symmetry, colors] = parts.length < 3 ? ["", ""] : parts.slice(-2);
  const colorPermutation = Uint8Array.from(colors!, Number);
  if (!/^t[0-7]$/.test(symmetry!) || !/^\d{10}$/.test(colors!) || !isColorPermutation(colorPermutation)) {
    throw new UserError(
      `augmentation id ${id}: needs to end in |||t<0..7>|||<ten digits, each once, 0 first>; only what \`trm\` or TRM's code wrote can be read`,
    );
  }
  return { taskId: parts[0]!, augmentation: { dihedral: Number(symmetry!.slice(1)), colorPermutation } };
}
