import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Grid } from "../../src/arc/grid.ts";
import type { Task } from "../../src/arc/task.ts";
import { planPuzzles } from "../../src/data/build.ts";
import { openStream } from "../../src/data/stream.ts";
import { groupByCanvas, rowsByCanvas, spreadRows } from "../../src/encode/canvas-groups.ts";
import { canvasSideFor } from "../../src/encode/canvas-side.ts";
import { createRandom } from "../../src/random.ts";

const square = (side: number, color = 0): Grid => ({ rows: side, cols: side, cells: new Uint8Array(side * side).fill(color) });

/** A task of square grids, so many demonstrations of one size each. */
function taskOf(id: string, side: number, pairs: number): Task {
  const train = Array.from({ length: pairs }, (_, i) => ({ input: square(side, i % 10), output: square(side, (i + 1) % 10) }));
  return { id, train, test: [{ input: square(side) }] };
}

const someTasks = fc
  .array(fc.record({ side: fc.integer({ min: 1, max: 30 }), pairs: fc.integer({ min: 1, max: 6 }) }), { minLength: 1, maxLength: 40 })
  .map((all) => all.map(({ side, pairs }, i) => taskOf(`t${i}`, side, pairs)));
const terms = fc.record({
  most: fc.integer({ min: 1, max: 5 }),
  trained: fc.constantFrom(0, 10, 30),
  rows: fc.integer({ min: 1, max: 100 }),
  tokens: fc.constantFrom(0, 512, 8192),
});
const costOf = (side: number): number => side ** 2 * (100 + side ** 2);

test("every task is on the smallest canvas of the run that holds it; there are no more canvases than allowed, and none without tasks", () => {
  fc.assert(
    fc.property(someTasks, terms, (tasks, { most, trained, rows, tokens }) => {
      const leastRows = (side: number): number => tokens / side ** 2;
      const { sides, ofTask } = groupByCanvas(tasks, { most, trained, rows, cost: costOf, leastRows });
      assert.ok(sides.length <= most);
      assert.deepEqual(
        sides,
        [...new Set(sides)].sort((a, b) => a - b),
      );
      tasks.forEach((task, i) => {
        const needed = canvasSideFor([task], 1, trained);
        assert.ok(sides[ofTask[i]!]! >= needed);
        assert.ok(ofTask[i] === 0 || sides[ofTask[i]! - 1]! < needed);
      });
      assert.equal(new Set(ofTask).size, sides.length);
      if (sides.length === 1) return;
      const pairs = sides.map((_, canvas) => tasks.reduce((sum, { train }, i) => sum + (ofTask[i] === canvas ? train.length : 0), 0));
      const all = pairs.reduce((a, b) => a + b);
      for (const count of pairs) assert.ok(count * rows >= all, "a row on each canvas");
      const costOn = (side: number, share: number): number => Math.max(rows * share, leastRows(side)) * costOf(side);
      const cost = pairs.reduce((sum, count, canvas) => sum + costOn(sides[canvas]!, count / all), 0);
      assert.ok(cost < 0.95 * costOn(sides.at(-1)!, 1), "one more canvas has to pay");
      if (tokens > 0) assert.ok(rows * sides.at(-1)! ** 2 > tokens, "rows too few to fill a processor stay together");
    }),
    { numRuns: 300 },
  );
});

test("a canvas that would save less than a twentieth is not worth its compiling", () => {
  const sidesFor = (small: number): readonly number[] => {
    const tasks = [taskOf("small", 4, small), taskOf("large", 19, 100 - small)];
    return groupByCanvas(tasks, { most: 4, rows: 1000, cost: costOf, leastRows: () => 0 }).sides;
  };
  assert.deepEqual([sidesFor(4), sidesFor(6)], [[20], [5, 20]]);
});

test("no other choice of as many canvases is cheaper", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 8 }), (sizes) => {
      const tasks = sizes.map((side, i) => taskOf(`t${i}`, side, 1 + (i % 3)));
      const { sides } = groupByCanvas(tasks, { most: 3, rows: 1000, cost: costOf, leastRows: () => 0 });
      const needed = tasks.map((task) => canvasSideFor([task]));
      const priceOf = (choice: readonly number[]): number =>
        tasks.reduce((sum, { train }, i) => sum + train.length * costOf(choice.find((side) => side >= needed[i]!)!), 0);
      const distinct = [...new Set(needed)];
      const largest = Math.max(...needed);
      for (const a of distinct)
        for (const b of distinct) {
          const choice = [...new Set([a, b, largest])].sort((x, y) => x - y);
          if (choice.length <= sides.length) assert.ok(priceOf(sides) <= priceOf(choice), `${sides} and ${choice}`);
        }
    }),
  );
});

test("rows are shared out in proportion to the pairs, all of them, at least one to each canvas that has pairs", () => {
  const counts = fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 5 }).filter((all) => all.some((count) => count > 0));
  fc.assert(
    fc.property(counts, fc.integer({ min: 5, max: 400 }), (pairs, rows) => {
      const given = rowsByCanvas(pairs, rows);
      const all = pairs.reduce((a, b) => a + b);
      assert.equal(
        given.reduce((a, b) => a + b),
        rows,
      );
      given.forEach((count, i) => {
        const exact = (rows * pairs[i]!) / all;
        assert.equal(count > 0, pairs[i]! > 0);
        if (pairs.every((each) => each === 0 || (rows * each) / all >= 1)) assert.ok(Math.abs(count - exact) < 1, `${count} for ${exact}`);
      });
    }),
  );
  assert.throws(() => rowsByCanvas([1, 1, 1], 2), RangeError);
});

test("any stretch of a batch has of each canvas about its share of rows, so that workers have equally much to do", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 5 }), (counts) => {
      const ofRow = spreadRows(counts);
      const rows = ofRow.length;
      for (const [canvas, count] of counts.entries()) assert.equal(ofRow.filter((each) => each === canvas).length, count);
      for (let end = 0, have = counts.map(() => 0); end < rows; end++) {
        have = have.map((count, canvas) => count + Number(ofRow[end] === canvas));
        have.forEach((count, canvas) => {
          const share = (counts[canvas]! * (end + 1)) / rows;
          assert.ok(Math.abs(count - share) <= counts.length, `${count} of canvas ${canvas} in ${end + 1} rows, not ${share}`);
        });
      }
    }),
  );
});

test("a row draws from the tasks of its canvas alone, and the rows of a canvas go through all its pairs once an epoch", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 6 }), fc.nat(), (pairs, seed) => {
      const tasks = pairs.map((count, i) => taskOf(`t${i}`, i % 2 === 0 ? 2 : 4, count));
      const { groups } = planPuzzles([{ tasks, trainOnTests: false }], { variants: 3, random: createRandom(seed) });
      const sides = [3, 5];
      const ofTask = ({ train }: Task): number => (train[0]!.input.rows === 2 ? 0 : 1);
      const byCanvas = sides.map((_, canvas) => tasks.reduce((sum, task) => sum + (ofTask(task) === canvas ? task.train.length : 0), 0));
      const ofRow = spreadRows(rowsByCanvas(byCanvas, 7));
      const options = { side: 5, random: createRandom(seed), order: "shuffled" } as const;
      const stream = openStream(groups, options, { sides, ofTask, ofRow });
      assert.equal(stream.epochLength, byCanvas[0]! + byCanvas[1]!);
      const drawn = sides.map(() => [] as string[]);
      for (let draw = 0; draw < 20; draw++) {
        ofRow.forEach((canvas, row) => {
          const { inputs, puzzleId } = stream.exampleAt(draw * ofRow.length + row);
          assert.equal(inputs.length, sides[canvas]! ** 2);
          const group = groups.findLast(({ firstPuzzleId }) => firstPuzzleId <= puzzleId)!;
          assert.equal(ofTask(group.task), canvas);
          drawn[canvas]!.push(group.task.id);
        });
      }
      drawn.forEach((ids, canvas) => {
        const epoch = byCanvas[canvas]!;
        for (let begin = 0; begin + epoch <= ids.length; begin += epoch) {
          const seen = ids.slice(begin, begin + epoch);
          for (const task of tasks)
            if (ofTask(task) === canvas) assert.equal(seen.filter((id) => id === task.id).length, task.train.length);
        }
      });
    }),
    { numRuns: 30 },
  );
});

test("without canvases of several sizes the stream is that of all tasks", () => {
  const tasks = [taskOf("a", 2, 3), taskOf("b", 4, 2)];
  const { groups } = planPuzzles([{ tasks, trainOnTests: false }], { variants: 3, random: createRandom(1) });
  const stream = openStream(groups, { side: 6, random: createRandom(2), order: "shuffled" });
  const seen = Array.from({ length: stream.epochLength }, (_, i) => stream.exampleAt(i).inputs.length);
  assert.deepEqual(seen, new Array<number>(5).fill(36));
});
