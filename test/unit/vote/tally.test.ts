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

test("the two best can change while the third, or a new answer, can still reach the second", () => {
  const five = (grid: Grid, n: number): [Grid, number][] => Array.from({ length: n }, () => [grid, 0]);
  const tally = tallyOf([...five(A, 5), ...five(B, 4), ...five(C, 1)]);
  assert.equal(tally.canBestChange("t", 0, 0), false);
  assert.equal(tally.canBestChange("t", 0, 2), false);
  assert.equal(tally.canBestChange("t", 0, 3), true, "3 votes more make a tie");
  assert.equal(tally.canBestChange("t", 0, 3, 1), true);
  assert.equal(tally.canBestChange("t", 0, 0, 1), false);
  assert.equal(tallyOf(five(A, 9)).canBestChange("t", 0, 1), true, "there is no second answer yet");
  assert.equal(new Tally().canBestChange("t", 0, 1), true);
  const withEmpty = tallyOf([...five(A, 5), ...five(EMPTY, 4), ...five(B, 3)]);
  assert.equal(withEmpty.canBestChange("t", 0, 2), false, "the empty grid is no rival");
  assert.equal(withEmpty.canBestChange("t", 0, 3), true);
});
