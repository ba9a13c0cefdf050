import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { rowSimilarity } from "../../../src/model/row-similarity.ts";

const near = (value: number, expected: number): void => assert.ok(Math.abs(value - expected) < 1e-6, `${value}, expected ${expected}`);
const rowsOf = (...tasks: number[][][]) => tasks.map((rows) => rows.map((row) => Float32Array.from(row)));

test("rows of one task at a right angle, the other task's opposite to one of them", () => {
  const { within, across, length, rows } = rowSimilarity(
    rowsOf(
      [
        [2, 0],
        [0, 2],
      ],
      [[-3, 0]],
    ),
    2,
  );
  near(within, 0);
  near(across, -0.5); // -1 with the first, 0 with the second
  near(length, 7 / 3);
  assert.equal(rows, 3);
});

test("where there is no pair to compare there is no number", () => {
  assert.ok(Number.isNaN(rowSimilarity(rowsOf([[1, 0]], [[0, 1]]), 2).within));
  assert.ok(
    Number.isNaN(
      rowSimilarity(
        rowsOf([
          [1, 0],
          [0, 1],
        ]),
        2,
      ).across,
    ),
  );
  assert.equal(rowSimilarity(rowsOf([[0, 0]]), 2).rows, 0);
});

test("the means are those over all pairs, one by one", () => {
  const number = fc.float({ min: -4, max: 4, noNaN: true });
  const row = fc.array(number, { minLength: 3, maxLength: 3 }).filter((values) => Math.hypot(...values) > 0.1);
  fc.assert(
    fc.property(fc.array(fc.array(row, { maxLength: 4 }), { minLength: 1, maxLength: 5 }), (tasks) => {
      const cosine = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0) / (Math.hypot(...a) * Math.hypot(...b));
      const all = tasks.flatMap((rows, task) => rows.map((values) => ({ task, values: values.map(Math.fround) })));
      const sums = { within: [0, 0], across: [0, 0] };
      for (const [i, a] of all.entries()) {
        for (const b of all.slice(i + 1)) {
          const sum = a.task === b.task ? sums.within : sums.across;
          sum[0]! += cosine(a.values, b.values);
          sum[1]!++;
        }
      }
      const found = rowSimilarity(rowsOf(...tasks), 3);
      for (const name of ["within", "across"] as const) {
        const [sum, count] = sums[name] as [number, number];
        if (count > 0) near(found[name], sum / count);
        else assert.ok(Number.isNaN(found[name]));
      }
    }),
  );
});
