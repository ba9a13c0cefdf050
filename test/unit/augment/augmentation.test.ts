import assert from "node:assert/strict";
import { test } from "node:test";
import { gridFromRows, gridToRows } from "../../../src/arc/grid.ts";
import {
  augmentationId,
  augmentTask,
  drawAugmentation,
  identityAugmentation,
  parseAugmentationId,
} from "../../../src/augment/augmentation.ts";
import { AugmentationList } from "../../../src/augment/augmentation-list.ts";
import { isColorPermutation } from "../../../src/augment/color-permutation.ts";
import { applyDihedral } from "../../../src/augment/dihedral.ts";
import { drawTranslation, translationRoom } from "../../../src/augment/translation.ts";
import { UserError } from "../../../src/errors.ts";
import { createRandom, type Random } from "../../../src/random.ts";

const turned = { dihedral: 1, colorPermutation: Uint8Array.of(0, 2, 1, 3, 4, 5, 6, 7, 8, 9) };

test("an augmented task keeps its structure, names its source and leaves unknown answers unknown", () => {
  const source = {
    id: "22168020",
    train: [{ input: gridFromRows([[1, 2]]), output: gridFromRows([[3]]) }],
    test: [{ input: gridFromRows([[0, 1]]) }],
    testFirst: true,
  };
  const { task, augmentation, sourceId } = augmentTask(source, turned);
  assert.equal(sourceId, "22168020");
  assert.equal(task.id, "22168020|||t1|||0213456789");
  assert.equal(augmentation, turned);
  assert.deepEqual(gridToRows(task.train[0]!.input), [[1], [2]]); // counter-clockwise: the right cell, 2 -> 1, comes to the top
  assert.deepEqual(gridToRows(task.test[0]!.input), [[2], [0]]);
  assert.equal("output" in task.test[0]!, false);
  assert.equal(task.testFirst, true);
});

test("the original has its bare id, and the identity in full is read as the original", () => {
  assert.equal(augmentationId("a", identityAugmentation()), "a");
  assert.deepEqual(parseAugmentationId("a|||t0|||0123456789"), { taskId: "a", augmentation: identityAugmentation() });
});

test("an id whose end is no augmentation is refused", () => {
  for (const end of ["t8|||0123456789", "t1|||012345678", "t1|||1023456789", "t1|||0113456789", "1|||0123456789", "t1"]) {
    assert.throws(() => parseAugmentationId(`a|||${end}`), UserError, end);
  }
});

test("the symmetry is drawn before the recolouring, and the row of a shift before its column", () => {
  const asked: string[] = [];
  const script = (numbers: number[]): Random => ({
    ...createRandom(0),
    int: (min, max) => {
      asked.push(`${min}..${max}`);
      return numbers.shift()!;
    },
    shuffled: (items) => {
      asked.push("shuffled");
      return items.toReversed();
    },
  });
  assert.deepEqual(drawAugmentation(script([5])), { dihedral: 5, colorPermutation: Uint8Array.of(0, 9, 8, 7, 6, 5, 4, 3, 2, 1) });
  assert.deepEqual(
    drawTranslation(
      script([2, 1]),
      [
        { rows: 3, cols: 4 },
        { rows: 5, cols: 1 },
      ],
      10,
    ),
    { row: 2, col: 1 },
  );
  assert.deepEqual(asked, ["0..7", "shuffled", "0..5", "0..6"]);
});

test("a grid too large for the canvas has no room to shift", () => {
  assert.deepEqual(translationRoom([{ rows: 5, cols: 2 }], 4), { row: 0, col: 2 });
});

test("a symmetry that there is not is a bug", () => {
  assert.throws(() => applyDihedral(gridFromRows([[1]]), 8), RangeError);
});

test("the empty grid survives every symmetry", () => {
  const empty = { rows: 0, cols: 0, cells: new Uint8Array(0) };
  for (let d = 0; d < 8; d++) assert.deepEqual(applyDihedral(empty, d), empty);
});

test("ten numbers are a recolouring only if each colour is there once and black stays", () => {
  assert.equal(isColorPermutation([0, 9, 8, 7, 6, 5, 4, 3, 2, 1]), true);
  assert.equal(isColorPermutation([1, 0, 2, 3, 4, 5, 6, 7, 8, 9]), false);
  assert.equal(isColorPermutation([0, 1, 2, 3, 4, 5, 6, 7, 8, 8]), false);
  assert.equal(isColorPermutation([0, 1, 2, 3, 4, 5, 6, 7, 8, Number.NaN]), false);
});

test("a list gives its augmentations back and has no others", () => {
  const list = AugmentationList.of([identityAugmentation(), turned]);
  assert.equal(list.length, 2);
  assert.deepEqual([list.at(0), list.at(1)], [identityAugmentation(), turned]);
  assert.equal(list.dihedral(1), 1);
  assert.throws(() => list.at(2), RangeError);
  assert.throws(() => list.dihedral(-1), RangeError);
  assert.throws(() => new AugmentationList(new Uint8Array(12)), RangeError);
});
