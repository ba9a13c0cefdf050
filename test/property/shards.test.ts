import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { splitByCost, taskCost } from "../../src/adapt/shard.ts";
import { type Grid, gridFromRows, gridKey } from "../../src/arc/grid.ts";
import type { Task } from "../../src/arc/task.ts";
import { AnswerMerge, mergeAnswers } from "../../src/vote/merge.ts";
import type { RankedAnswer } from "../../src/vote/rank.ts";

const square = (side: number): Grid => gridFromRows(Array.from({ length: side }, () => new Array<number>(side).fill(1)));
const anyTasks: fc.Arbitrary<Task[]> = fc
  .array(
    fc.record({ side: fc.integer({ min: 1, max: 30 }), pairs: fc.integer({ min: 1, max: 8 }), tests: fc.integer({ min: 1, max: 3 }) }),
    {
      maxLength: 40,
    },
  )
  .map((shapes) =>
    shapes.map(({ side, pairs, tests }, i) => ({
      id: `t${i}`,
      train: Array.from({ length: pairs }, () => ({ input: square(side), output: square(side) })),
      test: Array.from({ length: tests }, () => ({ input: square(side) })),
    })),
  );
const idsOf = (tasks: readonly Task[]): string[] => tasks.map(({ id }) => id);

test("shards hold every task once, in their order; none costs more than the mean and one task; the order of the tasks does not matter", () => {
  fc.assert(
    fc.property(anyTasks, fc.integer({ min: 1, max: 9 }), (tasks, count) => {
      const shards = splitByCost(tasks, count);
      assert.equal(shards.length, count);
      assert.deepEqual(shards.flatMap(idsOf).sort(), idsOf(tasks).sort());
      const costs = tasks.map(taskCost);
      const mean = costs.reduce((a, b) => a + b, 0) / count;
      for (const shard of shards) {
        const cost = shard.reduce((sum, task) => sum + taskCost(task), 0);
        assert.ok(cost <= mean + Math.max(0, ...costs), `${cost}, mean ${mean}`);
        assert.deepEqual(idsOf(shard), idsOf(tasks.filter((task) => shard.includes(task))));
      }
      const turned = splitByCost(tasks.toReversed(), count);
      assert.deepEqual(
        turned.map((shard) => idsOf(shard).sort()),
        shards.map((shard) => idsOf(shard).sort()),
      );
    }),
    { numRuns: 200 },
  );
});

test("a task costs the cells of its canvas for each demonstration and each test input", () => {
  const task = (side: number, pairs: number, tests: number): Task => ({
    id: "t",
    train: Array.from({ length: pairs }, () => ({ input: square(side), output: square(side) })),
    test: Array.from({ length: tests }, () => ({ input: square(side) })),
  });
  assert.equal(taskCost(task(9, 3, 2)), 10 * 10 * 5); // a canvas has a margin of one cell
  assert.equal(taskCost(task(30, 1, 1)), 30 * 30 * 2);
});

/** Files of a few tasks; votes and confidences that add up without rounding. */
const anyFile = fc
  .array(
    fc.tuple(
      fc.constantFrom("a", "b", "7"),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 4 })), { maxLength: 5 }),
    ),
    { maxLength: 4 },
  )
  .map(
    (tasks) =>
      new Map(
        tasks.map(([id, list]): [string, RankedAnswer[][]] => [
          id,
          [list.map(([color, votes, q]) => ({ grid: gridFromRows([[color]]), votes: 2 ** votes, meanQ: q / 4 }))],
        ]),
      ),
  );

test("merging files is associative and free of their order, whichever are merged first", () => {
  const weight = fc.constantFrom(1, 2, 0.5);
  fc.assert(
    fc.property(fc.array(fc.tuple(anyFile, weight), { minLength: 1, maxLength: 5 }), fc.nat(), fc.boolean(), (files, at, turn) => {
      const named = files.map(([answers, weight], i) => ({ where: `${i}`, answers, weight }));
      const cut = at % (files.length + 1);
      const half = (where: string, part: typeof named) => ({ where, answers: mergeAnswers(part), weight: 1 });
      const [left, right] = [half("left", named.slice(0, cut)), half("right", named.slice(cut))];
      const nested = mergeAnswers(turn ? [right, left] : [left, right]);
      const whole = mergeAnswers(named);
      assert.deepEqual([...nested.keys()].sort(), [...whole.keys()].sort());
      for (const [id, [list]] of whole) {
        const byKey = new Map(nested.get(id)![0]!.map((answer) => [gridKey(answer.grid), answer]));
        assert.equal(byKey.size, list!.length);
        for (const { grid, votes, meanQ } of list!) {
          const same = byKey.get(gridKey(grid))!;
          assert.equal(same.votes, votes);
          assert.ok(Math.abs(same.meanQ - meanQ) < 1e-12);
        }
      }
    }),
  );
});

test("what is cut after merging is the tail", () => {
  fc.assert(
    fc.property(fc.array(anyFile, { minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 4 }), (files, best) => {
      const [whole, cut] = [new AnswerMerge(), new AnswerMerge()];
      for (const [i, answers] of files.entries()) for (const merge of [whole, cut]) merge.add({ where: `${i}`, answers, weight: 1 });
      const all = whole.take();
      assert.deepEqual(
        [...cut.take(best)],
        [...all].map(([id, lists]) => [id, lists.map((list) => list.slice(0, best))]),
      );
      assert.equal(whole.take().size, 0, "what was given is forgotten");
    }),
  );
});
