import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Grid, gridFromRows, gridKey } from "../../src/arc/grid.ts";
import { contestOf, equalWeights, findWeights, solvedBy, weighSystems } from "../../src/vote/find-weights.ts";
import { mergeRanked } from "../../src/vote/merge.ts";
import { type RankedAnswer, rankOrderFree } from "../../src/vote/rank.ts";

const COLORS = [0, 1, 2, 3, 4];
const grid = (color: number): Grid => gridFromRows(color === 0 ? [] : [[color]]);
/** Votes and confidences that add up without rounding. */
const anyList: fc.Arbitrary<RankedAnswer[]> = fc
  .uniqueArray(fc.record({ color: fc.constantFrom(...COLORS), votes: fc.integer({ min: 0, max: 3 }), q: fc.integer({ min: 0, max: 4 }) }), {
    selector: ({ color }) => color,
    maxLength: 5,
  })
  .map((list) => rankOrderFree(list.map(({ color, votes, q }) => ({ grid: grid(color), votes: 2 ** votes, meanQ: q / 4 }))));

test("what weights solve is what merging with them, and handing in the two best, solves", () => {
  const weight = fc.constantFrom(0, 0.25, 1, 2);
  const scene = fc
    .integer({ min: 1, max: 4 })
    .chain((systems) =>
      fc.tuple(
        fc.array(fc.array(anyList, { minLength: systems, maxLength: systems }), { minLength: 1, maxLength: 5 }),
        fc.array(weight, { minLength: systems, maxLength: systems }),
      ),
    );
  fc.assert(
    fc.property(scene, ([inputs, weights]) => {
      const systems = weights.map((_, system) => new Map(inputs.map((lists, i) => [`t${i}`, [lists[system]!]])));
      const truth = grid(1);
      const contest = contestOf(systems, new Map(inputs.map((_, i) => [`t${i}`, [truth]])));
      const places = inputs.map((lists) =>
        mergeRanked(lists.map((answers, system) => ({ answers, weight: weights[system]! })))
          .filter((answer) => answer.grid.rows > 0)
          .findIndex((answer) => gridKey(answer.grid) === gridKey(truth)),
      );
      const within = (k: number): number => places.filter((place) => place >= 0 && place < k).length;
      assert.deepEqual(solvedBy(contest, weights), { within1: within(1), within2: within(2) });
    }),
    { numRuns: 1000 },
  );
});

test("weights that are found never solve less than equal ones where they were found", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyList, anyList, anyList), { minLength: 1, maxLength: 8 }), (inputs) => {
      const systems = [0, 1, 2].map((system) => new Map(inputs.map((lists, i) => [`t${i}`, [lists[system]!]])));
      const contest = contestOf(systems, new Map(inputs.map((_, i) => [`t${i}`, [grid(1)]])));
      const [found, equal] = [solvedBy(contest, findWeights(contest)), solvedBy(contest, equalWeights(contest))];
      assert.ok(found.within2 >= equal.within2);
    }),
    { numRuns: 60 },
  );
});

const answers = (...list: [color: number, votes: number][]): RankedAnswer[] =>
  list.map(([color, votes]) => ({ grid: grid(color), votes, meanQ: 0.5 }));

test("a system that is right outweighs two that agree on the wrong answers, and what each adds is told", () => {
  const tasks = Array.from({ length: 40 }, (_, i) => `t${i}`);
  const right = new Map(tasks.map((id) => [id, [answers([1, 10], [4, 1])]]));
  const wrong = new Map(tasks.map((id) => [id, [answers([2, 100], [3, 100])]]));
  const weighing = weighSystems(contestOf([right, wrong, wrong], new Map(tasks.map((id) => [id, [grid(1)]]))));
  assert.equal(weighing.equal.within2, 0, "two systems with the same wrong answers win by numbers");
  assert.deepEqual([weighing.found.within2, weighing.crossValidated.within2, weighing.holds, weighing.oracle], [40, 40, true, 40]);
  assert.deepEqual(
    weighing.systems.map(({ alone, only, adds }) => [alone.within2, only, adds?.inputs]),
    [
      [40, 40, 40],
      [0, 0, 0],
      [0, 0, 0],
    ],
  );
  assert.ok(weighing.weights[0]! > weighing.weights[1]!);
});

test("what fits the tasks by chance alone is not taken for a gain: weights that don't hold are not used", () => {
  // of each task one of two systems is right, as a coin falls, and says nothing of how sure it is
  const tasks = Array.from({ length: 60 }, (_, i) => `t${i}`);
  const coin = (i: number): boolean => ((i * 2654435761) >>> 7) % 2 === 0;
  const system = (when: boolean) =>
    new Map(tasks.map((id, i) => [id, [coin(i) === when ? answers([1, 3], [2, 2]) : answers([3, 3], [4, 2])]]));
  const weighing = weighSystems(contestOf([system(true), system(false)], new Map(tasks.map((id) => [id, [grid(1)]]))));
  assert.equal(weighing.equal.within2, 60, "both first answers are handed in");
  assert.equal(weighing.holds, false);
  assert.deepEqual(weighing.weights, [1, 1]);
});
