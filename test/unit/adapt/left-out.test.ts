import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { leaveOut, leftOutItems, undivided, withLeftOut } from "../../../src/adapt/left-out.ts";
import type { Task } from "../../../src/arc/task.ts";
import { anyGrid } from "../../property/any-grid.ts";

const anyPair = fc.record({ input: anyGrid, output: anyGrid });
const anyTasks: fc.Arbitrary<Task[]> = fc
  .array(
    fc.record({
      train: fc.array(anyPair, { minLength: 1, maxLength: 6 }),
      test: fc.array(fc.record({ input: anyGrid }), { maxLength: 3 }),
    }),
    {
      maxLength: 4,
    },
  )
  .map((tasks) => tasks.map((task, i) => ({ id: `t${i}`, ...task })));

test("what is held back is no longer trained on, nothing is lost, and enough is left to learn from", () => {
  fc.assert(
    fc.property(anyTasks, fc.integer({ min: 1, max: 4 }), (tasks, count) => {
      const left = leaveOut(tasks, count);
      assert.deepEqual(undivided(left), tasks);
      tasks.forEach(({ train, test: tests }, i) => {
        const { train: kept } = left.tasks[i]!;
        assert.equal(left.pairs[i]!.length, Math.max(0, Math.min(count, train.length - 2)));
        assert.deepEqual([...kept, ...left.pairs[i]!], train);
        assert.deepEqual(withLeftOut(left)[i]!.test, [...tests, ...left.pairs[i]!]);
      });
    }),
  );
});

test("each pair held back is predicted under four variants, at the place where workers have it", () => {
  fc.assert(
    fc.property(anyTasks, fc.integer({ min: 1, max: 9 }), (tasks, variants) => {
      const left = leaveOut(tasks, 2);
      const items = leftOutItems(left, variants);
      assert.equal(items.length, left.pairs.flat().length * Math.min(4, variants));
      const given = withLeftOut(left);
      for (const { task, testIndex, withLoss } of items) {
        assert.equal(withLoss, true);
        assert.equal(given[task]!.test[testIndex], left.pairs[task]![testIndex - tasks[task]!.test.length]);
      }
    }),
  );
});
