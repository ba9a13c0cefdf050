import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { microBatchFor, stepBytesPerRow } from "../../../src/budget/memory.ts";
import { TINY } from "../train/tiny-replica.ts";

test("a pass holds no more rows than fit, at least one, and the passes are evenly filled", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 0, max: 3000 }), (rows, fit) => {
      const micro = microBatchFor(fit * 100 + 50, 100, rows);
      assert.ok(micro >= 1 && micro <= rows && micro <= Math.max(1, fit));
      const passes = Math.ceil(rows / micro);
      assert.equal(passes, Math.ceil(rows / Math.max(1, Math.min(rows, fit))), "no more passes than needed");
      assert.ok(passes * micro - rows < passes, "the last pass lacks less than one row for each pass");
    }),
  );
});

test("a row's memory grows with its positions: in proportion, and with their square where scores are kept", () => {
  const bytes = (positions: number, keeps: boolean): number => stepBytesPerRow(TINY, positions, keeps);
  assert.equal(bytes(200, false), 2 * bytes(100, false));
  const scores = (positions: number): number => bytes(positions, true) - bytes(positions, false);
  assert.ok(Math.abs(scores(200) / scores(100) - 4) < 1e-12);
  // 6 x 16 + 3 x 24 numbers a token and block; 3 passes of 1 layer; 4 bytes; 1.6 for what is temporary.
  assert.ok(Math.abs(bytes(100, false) - 4 * 1.6 * 3 * 100 * (6 * 16 + 3 * 24)) < 1e-6);
});
