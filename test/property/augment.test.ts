import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { applyAugmentation, augmentationId, parseAugmentationId, undoAugmentation } from "../../src/augment/augmentation.ts";
import {
  applyColorPermutation,
  drawColorPermutation,
  invertColorPermutation,
  isColorPermutation,
} from "../../src/augment/color-permutation.ts";
import { applyDihedral, undoDihedral } from "../../src/augment/dihedral.ts";
import { drawTranslation, translationRoom } from "../../src/augment/translation.ts";
import { createRandom } from "../../src/random.ts";
import { anyAugmentation, anyDihedral, anyGrid } from "./any-grid.ts";

test("undoing a dihedral transform gives the grid back, for all eight", () => {
  fc.assert(
    fc.property(anyGrid, anyDihedral, (grid, d) => {
      assert.deepEqual(undoDihedral(applyDihedral(grid, d), d), grid);
    }),
  );
});

test("a random recolouring is a permutation that keeps black, and its inverse undoes it", () => {
  fc.assert(
    fc.property(anyGrid, fc.nat(), (grid, seed) => {
      const permutation = drawColorPermutation(createRandom(seed));
      assert.deepEqual([...permutation].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      assert.equal(permutation[0], 0);
      assert.ok(isColorPermutation(permutation));
      assert.deepEqual(applyColorPermutation(applyColorPermutation(grid, permutation), invertColorPermutation(permutation)), grid);
    }),
  );
});

test("undoing an augmentation gives the grid back, also after its id was written and parsed", () => {
  fc.assert(
    fc.property(anyGrid, anyAugmentation, (grid, augmentation) => {
      const parsed = parseAugmentationId(augmentationId("task", augmentation));
      assert.deepEqual(parsed, { taskId: "task", augmentation });
      assert.deepEqual(undoAugmentation(applyAugmentation(grid, augmentation), parsed.augmentation), grid);
    }),
  );
});

test("a random shift leaves both grids on the canvas", () => {
  fc.assert(
    fc.property(anyGrid, anyGrid, fc.nat(), (a, b, seed) => {
      const { row, col } = drawTranslation(createRandom(seed), [a, b], 30);
      assert.ok(row >= 0 && row + Math.max(a.rows, b.rows) <= 30 && col >= 0 && col + Math.max(a.cols, b.cols) <= 30);
      const room = translationRoom([a, b], 30);
      assert.ok(row <= room.row && col <= room.col);
    }),
  );
});
