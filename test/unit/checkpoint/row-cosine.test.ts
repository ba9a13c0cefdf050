import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { diagnoseRows, type RowDiagnosis } from "../../../src/checkpoint/row-cosine.ts";
import type { RowTable } from "../../../src/checkpoint/row-table.ts";

function tableOf(rows: readonly (readonly number[])[], size: number): RowTable {
  return {
    count: rows.length,
    size,
    *pieces() {
      for (let i = 0; i < rows.length; i += 3) yield Float32Array.from(rows.slice(i, i + 3).flat());
    },
  };
}

const near = (actual: number, expected: number, what: string): void =>
  assert.ok(Number.isNaN(expected) ? Number.isNaN(actual) : Math.abs(actual - expected) < 1e-9, `${what}: ${actual}, expected ${expected}`);

/** The same by going through all pairs. */
function byPairs(
  rows: readonly (readonly number[])[],
  tasks: readonly number[],
): { all: number[]; within: Map<number, number[]>; across: number[] } {
  const cosine = (a: readonly number[], b: readonly number[]): number => {
    const dot = (x: readonly number[], y: readonly number[]): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  };
  const found = { all: [] as number[], within: new Map<number, number[]>(), across: [] as number[] };
  for (let i = 0; i < rows.length; i++) {
    for (let j = 0; j < i; j++) {
      if (tasks[i] === -1 || tasks[j] === -1 || rows[i]!.every((v) => v === 0) || rows[j]!.every((v) => v === 0)) continue;
      const value = cosine(rows[i]!, rows[j]!);
      found.all.push(value);
      if (tasks[i] !== tasks[j]) found.across.push(value);
      else found.within.set(tasks[i]!, [...(found.within.get(tasks[i]!) ?? []), value]);
    }
  }
  return found;
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

test("cosines by sums are those of going through all pairs, of one task and of different ones, also where sums don't fit memory at once", () => {
  for (const maxSums of [2 ** 20, 6]) {
    // 6 numbers are the sums of two tasks: the table is read again for the others
    const cell = fc.integer({ min: -3, max: 3 });
    const row = fc.tuple(fc.integer({ min: -1, max: 4 }), fc.array(cell, { minLength: 3, maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 24 }), (drawn) => {
        const tasks = drawn.map(([task]) => task);
        const rows = drawn.map(([, row]) => row);
        const diagnosis = diagnoseRows(tableOf(rows, 3), Int32Array.from(tasks), new Float32Array(3), maxSums);
        const { cosine, rows: counted, leftOut, zeroRows } = diagnosis;
        const expected = byPairs(rows, tasks);
        assert.equal(leftOut, tasks.filter((task) => task === -1).length);
        assert.equal(counted, tasks.length - leftOut);
        assert.equal(zeroRows, drawn.filter(([task, row]) => task !== -1 && row.every((v) => v === 0)).length);
        const within = [...expected.within.values()];
        assert.deepEqual(
          [cosine.all.pairs, cosine.withinTasks!.pairs, cosine.acrossTasks!.pairs, cosine.withinTasks!.tasks],
          [expected.all.length, within.flat().length, expected.across.length, within.length],
        );
        near(cosine.all.mean, meanOf(expected.all), "all");
        near(cosine.withinTasks!.mean, meanOf(within.flat()), "within");
        near(cosine.acrossTasks!.mean, meanOf(expected.across), "across");
        if (within.length > 0) {
          const means = within.map(meanOf);
          near(cosine.withinTasks!.least, Math.min(...means), "least");
          near(cosine.withinTasks!.greatest, Math.max(...means), "greatest");
        }
      }),
      { numRuns: 200 },
    );
  }
});

test("the mean is taken off first in the second view, and rows that are the mean up to rounding have no direction there", () => {
  const diagnosis: RowDiagnosis = diagnoseRows(
    tableOf(
      [
        [11, 10],
        [9, 10],
        [10, 11],
        [10, 10.000001],
      ],
      2,
    ),
    Int32Array.of(0, 0, 1, 1),
    Float32Array.of(10, 10),
  );
  assert.equal(diagnosis.rowsAtMean, 1);
  near(diagnosis.cosineAboutMean.withinTasks!.mean, -1, "within"); // (1, 0) and (-1, 0)
  near(diagnosis.cosineAboutMean.acrossTasks!.mean, 0, "across"); // each with (0, 1)
  assert.ok(diagnosis.cosine.all.mean > 0.99);
});

test("lengths are told, and without tasks only any two rows are compared", () => {
  const { norm, cosine } = diagnoseRows(
    tableOf(
      [
        [3, 4],
        [0, 1],
        [0, 2],
        [6, 8],
      ],
      2,
    ),
    undefined,
    new Float32Array(2),
  );
  assert.deepEqual(norm, { least: 1, median: 3.5, greatest: 10 });
  assert.deepEqual(Object.keys(cosine), ["all"]);
  near(cosine.all.mean, (1 + 1 + 4 * 0.8) / 6, "all");
});
