/** What a pair shows, whatever its colours and orientation: a key that finds a task again in another set. */
import type { Grid } from "../arc/grid.ts";
import type { Task, TestPair } from "../arc/task.ts";
import { COLOR_COUNT } from "../augment/color-permutation.ts";
import { DIHEDRAL_COUNT, readingOrder } from "../augment/dihedral.ts";

/**
 * A text that two pairs share if a symmetry and a recolouring (of all ten colours, black too) make one of the other.
 *
 * It is the least of the eight texts that a pair's turned and mirrored forms give when colours are numbered as they come. A pair whose output
 * isn't known gives the key of its input alone.
 */
export function canonicalPairKey(pair: TestPair): string {
  const grids = pair.output ? [pair.input, pair.output] : [pair.input];
  let least: string | undefined;
  for (let dihedral = 0; dihedral < DIHEDRAL_COUNT; dihedral++) {
    const numbers = new Int8Array(COLOR_COUNT).fill(-1);
    let colors = 0;
    const spell = (grid: Grid): string => {
      const { rows, cols, start, rowStep, colStep } = readingOrder(grid, dihedral);
      const codes = new Array<number>(rows * cols);
      for (let r = 0, i = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++) {
          const color = grid.cells[start + r * rowStep + c * colStep]!;
          if (numbers[color] === -1) numbers[color] = colors++;
          codes[i++] = 48 + numbers[color]!;
        }
      }
      return `${rows}x${cols}:${String.fromCharCode(...codes)}`;
    };
    const key = grids.map(spell).join("|");
    if (least === undefined || key < least) least = key;
  }
  return least!;
}

/** Keys of all pairs of a task, tests too; those of tests without an answer are keys of inputs. */
export function canonicalKeys(task: Task): string[] {
  return [...task.train, ...task.test].map(canonicalPairKey);
}

/** A text that tasks with the same pairs share, in any order, tests and demonstrations alike. */
export function contentKey(task: Task): string {
  return canonicalKeys(task).sort().join("\n");
}
