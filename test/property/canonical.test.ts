import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { applyColorPermutation } from "../../src/augment/color-permutation.ts";
import { applyDihedral } from "../../src/augment/dihedral.ts";
import { canonicalPairKey, contentKey } from "../../src/data/canonical.ts";
import { createRandom } from "../../src/random.ts";
import { anyDihedral, gridUpTo, smallTask } from "./any-grid.ts";

const anyRecolouring = fc.nat().map((seed) => Uint8Array.from(createRandom(seed).shuffled([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])));

test("a pair turned, mirrored and recoloured, black too, keeps its key", () => {
  fc.assert(
    fc.property(gridUpTo(6), gridUpTo(6), fc.boolean(), anyDihedral, anyRecolouring, (input, output, answered, dihedral, colors) => {
      const change = (grid: typeof input) => applyColorPermutation(applyDihedral(grid, dihedral), colors);
      const pair = { input, ...(answered && { output }) };
      const changed = { input: change(input), ...(answered && { output: change(output) }) };
      assert.equal(canonicalPairKey(changed), canonicalPairKey(pair));
    }),
  );
});

test("pairs that no symmetry and recolouring makes equal have different keys", () => {
  // By trying all: two colours can be exchanged or not, eight symmetries.
  const small = fc.tuple(gridUpTo(2, 2), gridUpTo(2, 2)).map(([input, output]) => ({ input, output }));
  const texts = ({ input, output }: { input: Parameters<typeof applyDihedral>[0]; output: Parameters<typeof applyDihedral>[0] }) =>
    [Uint8Array.of(0, 1), Uint8Array.of(1, 0)].flatMap((colors) =>
      [0, 1, 2, 3, 4, 5, 6, 7].map((dihedral) =>
        JSON.stringify(
          [input, output].map((grid) => {
            const { rows, cols, cells } = applyColorPermutation(applyDihedral(grid, dihedral), colors);
            return [rows, cols, [...cells]];
          }),
        ),
      ),
    );
  let equal = 0;
  fc.assert(
    fc.property(small, small, (a, b) => {
      const same = texts(a).includes(texts(b)[0]!);
      equal += Number(same);
      assert.equal(canonicalPairKey(a) === canonicalPairKey(b), same);
    }),
    { numRuns: 2000 },
  );
  assert.ok(equal > 0);
});

test("a task's content key does not depend on the order of its pairs, nor on which of them are tests", () => {
  fc.assert(
    fc.property(smallTask, ({ id, train, test }) => {
      const pairs = [...train, ...test].map(({ input, output }) => ({ input, output: output! }));
      assert.equal(contentKey({ id, train: pairs.toReversed(), test: [] }), contentKey({ id, train, test }));
    }),
  );
});
