import assert from "node:assert/strict";
import { test } from "node:test";
import { gridFromRows, gridToRows } from "../../../src/arc/grid.ts";
import { InputError, UserError } from "../../../src/errors.ts";
import { mergeAnswers, mergeRanked } from "../../../src/vote/merge.ts";
import type { RankedAnswer } from "../../../src/vote/rank.ts";
import { parseWeights } from "../../../src/vote/weights.ts";

const answer = (color: number, votes: number, meanQ: number): RankedAnswer => ({ grid: gridFromRows([[color]]), votes, meanQ });

test("votes add up by weight, and confidence is their mean weighted by votes", () => {
  const merged = mergeRanked([
    { weight: 1, answers: [answer(1, 6, 0.5), answer(2, 2, 0.25)] },
    { weight: 3, answers: [answer(2, 2, 0.75)] },
  ]);
  assert.deepEqual(merged, [answer(2, 8, (2 * 0.25 + 6 * 0.75) / 8), answer(1, 6, 0.5)]);
});

test("an exact tie does not depend on which file comes first", () => {
  const one = { weight: 1, answers: [answer(1, 1, 0.5)] };
  const two = { weight: 1, answers: [answer(2, 1, 0.5)] };
  assert.deepEqual(mergeRanked([two, one]), [answer(1, 1, 0.5), answer(2, 1, 0.5)]);
  assert.deepEqual(mergeRanked([one, two]), mergeRanked([two, one]));
});

test("shards with different tasks come together in order of appearance, ids of digits too", () => {
  const merged = mergeAnswers([
    { where: "1", weight: 1, answers: new Map([["b", [[answer(1, 1, 0.5)]]]]) },
    { where: "2", weight: 1, answers: new Map([["7", [[], [answer(2, 1, 0.5)]]]]) },
  ]);
  assert.deepEqual(
    [...merged].map(([id, tests]) => [id, tests.map((list) => list.map(({ grid }) => gridToRows(grid)))]),
    [
      ["b", [[[[1]]]]],
      ["7", [[], [[[2]]]]],
    ],
  );
});

test("files that disagree on the number of test inputs are refused, and named", () => {
  const file = (where: string, tests: number) => ({
    where,
    weight: 1,
    answers: new Map([["t", new Array<RankedAnswer[]>(tests).fill([])]]),
  });
  assert.throws(
    () => mergeAnswers([file("a.json", 1), file("b.json", 2), file("c.json", 3)]),
    new InputError("files to merge", [
      "task t has 1 test inputs in a.json, 2 in b.json",
      "task t has 1 test inputs in a.json, 3 in c.json",
    ]),
  );
});

test("weights are one number for each file; 0 leaves one out, but not all", () => {
  assert.deepEqual(parseWeights(undefined, 3), [1, 1, 1]);
  assert.deepEqual(parseWeights("1, 2.5,.5", 3), [1, 2.5, 0.5]);
  assert.deepEqual(parseWeights("0,1", 2), [0, 1]);
  assert.throws(() => parseWeights("0,0.0", 2), /leaves every file out/);
  assert.throws(() => parseWeights("1,2", 3), new UserError("--weights 1,2: has 2 numbers for 3 files; give one for each file"));
  for (const text of ["1,x", "1,-1", "1,", "1,Infinity", "1,1e99"])
    assert.throws(() => parseWeights(text, 2), /is not a number from 0 up/, text);
});
