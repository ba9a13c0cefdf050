/** Generators of grids, augmentations and small tasks for property tests. */
import fc from "fast-check";
import type { Grid } from "../../src/arc/grid.ts";
import type { Pair, Task } from "../../src/arc/task.ts";
import type { Augmentation } from "../../src/augment/augmentation.ts";
import { drawColorPermutation } from "../../src/augment/color-permutation.ts";
import { createRandom } from "../../src/random.ts";

/** Grids of 1..maxSide rows and columns, of the first `colors` colours. */
export function gridUpTo(maxSide: number, colors = 10): fc.Arbitrary<Grid> {
  const length = fc.integer({ min: 1, max: maxSide });
  return fc
    .tuple(length, length)
    .chain(([rows, cols]) =>
      fc
        .uint8Array({ minLength: rows * cols, maxLength: rows * cols, max: colors - 1 })
        .map((cells) => ({ rows, cols, cells: Uint8Array.from(cells) })),
    );
}

export const anyGrid: fc.Arbitrary<Grid> = gridUpTo(30);

export const anyDihedral: fc.Arbitrary<number> = fc.integer({ min: 0, max: 7 });

export const anyColorPermutation: fc.Arbitrary<Uint8Array> = fc.nat().map((seed) => drawColorPermutation(createRandom(seed)));

export const anyAugmentation: fc.Arbitrary<Augmentation> = fc
  .tuple(anyDihedral, anyColorPermutation)
  .map(([dihedral, colorPermutation]) => ({ dihedral, colorPermutation }));

/** Tasks of 1..3 demonstrations and 1..2 solved tests with grids of up to 3 x 3 cells in two colours: many of their variants are equal. */
export const smallTask: fc.Arbitrary<Task> = fc.record({
  id: fc.constantFrom("a", "22168020", "c|d"),
  train: fc.array(fc.record<Pair>({ input: gridUpTo(3, 2), output: gridUpTo(3, 2) }), { minLength: 1, maxLength: 3 }),
  test: fc.array(fc.record<Pair>({ input: gridUpTo(3, 2), output: gridUpTo(3, 2) }), { minLength: 1, maxLength: 2 }),
});
