import assert from "node:assert/strict";
import { test } from "node:test";
import { type Grid, gridFromRows, gridToRows } from "../../../src/arc/grid.ts";
import { Tally } from "../../../src/vote/tally.ts";

const A = gridFromRows([[1]]);
const B = gridFromRows([[2]]);
const C = gridFromRows([[3]]);
const EMPTY = gridFromRows([]);

function tallyOf(votes: readonly [grid: Grid, qHaltLogit: number, order?: number][]): Tally {
  const tally = new Tally();
  votes.forEach(([grid, qHaltLogit, order], i) => {
    tally.add({ taskId: "t", testIndex: 0, grid, qHaltLogit, order: order ?? i });
  });
  return tally;
}

const winners = (tally: Tally): number[][][] => tally.ranked("t", 0).map(({ grid }) => gridToRows(grid));

test("more votes win over more confidence, then the higher mean confidence wins", () => {
  assert.deepEqual(
    winners(
      tallyOf([
        [A, 9],
        [B, -3],
        [C, 1],
        [B, -3],
        [C, 0],
      ]),
    ),
    [[[3]], [[2]], [[1]]],
  );
});

test("votes and mean confidence are those of the answer", () => {
  const [first] = tallyOf([
    [A, 0],
    [A, Math.log(3)],
  ]).ranked("t", 0);
  assert.deepEqual(first, { grid: A, votes: 2, meanQ: 0.625 }); // sigmoid: 1/2 and 3/4
});

test("an exact tie goes to the answer planned first, though it arrived last", () => {
  assert.deepEqual(
    winners(
      tallyOf([
        [A, 1, 7],
        [B, 1, 3],
        [C, 1, 5],
      ]),
    ),
    [[[2]], [[3]], [[1]]],
  );
});

test("a prediction that is delivered twice counts once", () => {
  const tally = tallyOf([[A, 1, 4]]);
  assert.equal(tally.add({ taskId: "t", testIndex: 0, grid: A, qHaltLogit: 1, order: 4 }), false);
  assert.equal(tally.votes("t", 0), 1);
  assert.equal(tally.add({ taskId: "t", testIndex: 1, grid: A, qHaltLogit: 1, order: 4 }), true);
});

test("a halting logit that is not a number counts as no confidence", () => {
  assert.deepEqual(
    winners(
      tallyOf([
        [A, Number.NaN],
        [B, -20],
      ]),
    ),
    [[[2]], [[1]]],
  );
});

test("ids may be any text and test inputs without votes give empty lists", () => {
  const tally = new Tally();
  tally.add({ taskId: "__proto__", testIndex: 1, grid: A, qHaltLogit: 0, order: 0 });
  const all = tally.rankedAll([
    { id: "10", testInputs: 1 },
    { id: "__proto__", testInputs: 3 },
  ]);
  assert.deepEqual(
    [...all].map(([id, lists]) => [id, lists.map((list) => list.length)]),
    [
      ["10", [0]],
      ["__proto__", [0, 1, 0]],
    ],
  );
});

test("a test input is decided with the first vote after which neither answer can change, and later votes don't count", () => {
  const decidedAfter = (planned: number, ...grids: Grid[]): number | undefined => {
    const tally = new Tally(planned);
    for (const [order, grid] of grids.entries()) {
      tally.add({ taskId: "t", testIndex: 0, grid, qHaltLogit: 0, order });
      if (tally.isDecided("t", 0)) {
        assert.equal(tally.add({ taskId: "t", testIndex: 0, grid: C, qHaltLogit: 0, order: order + 1 }), false);
        assert.equal(tally.votes("t", 0), order + 1);
        return order + 1;
      }
    }
    return undefined;
  };
  assert.equal(decidedAfter(10, A, A, A, A, A, A, B, B, B, B), 9, "the last vote can neither give B as many as A nor make another second");
  assert.equal(decidedAfter(10, A, A, A, A, A, B, B, B, B, B), 10, "A and B may change places to the last");
  assert.equal(decidedAfter(10, A, A, A, A, A, B, B, B, C, B), 9, "the last vote can't lift C above B, nor B above A");
  assert.equal(decidedAfter(9, A, A, A, A, A, A, A, A), undefined, "the last vote may be the second answer");
  assert.equal(decidedAfter(8, A, A, A, A, B, B, EMPTY, EMPTY), 7, "the empty grid is no rival, but takes votes");
});

test("where a vote is missing, those after it decide nothing; when it comes, those that are not needed are taken out", () => {
  const vote = (grid: Grid, order: number) => ({ taskId: "t", testIndex: 0, grid, qHaltLogit: 0, order });
  const tally = new Tally(10);
  for (const order of [0, 1, 2, 3, 4, 5]) tally.add(vote(A, order));
  for (const order of [7, 8]) tally.add(vote(B, order));
  tally.add(vote(C, 9));
  assert.equal(tally.isDecided("t", 0), false);
  assert.deepEqual(winners(tally), [[[1]], [[2]], [[3]]]);
  tally.add(vote(B, 6));
  assert.equal(tally.isDecided("t", 0), true);
  assert.deepEqual([winners(tally), tally.votes("t", 0), tally.total], [[[[1]], [[2]]], 9, 9]);
});
