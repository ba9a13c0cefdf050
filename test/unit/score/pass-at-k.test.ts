import assert from "node:assert/strict";
import { test } from "node:test";
import { type Grid, gridFromRows } from "../../../src/arc/grid.ts";
import { scoreAnswers, scoreTable, scoreToJson } from "../../../src/score/pass-at-k.ts";

const g = (color: number): Grid => gridFromRows([[color]]);
const list = (...colors: number[]): { grid: Grid }[] => colors.map((color) => ({ grid: g(color) }));

test("pass@K is a mean over test inputs, pass@KPerTask one over tasks", () => {
  const solutions = new Map([
    ["a", [g(1), g(2), g(3)]], // places 1, 2, none
    ["b", [g(4)]], // place 1
  ]);
  const answers = new Map([
    ["b", [list(4)]],
    ["a", [list(1, 9), list(9, 2), list(8, 9)]],
  ]);
  const score = scoreAnswers(answers, solutions);
  assert.deepEqual(scoreToJson(score), {
    "pass@1": 2 / 4,
    "pass@1PerTask": (1 / 3 + 1) / 2,
    "pass@2": 3 / 4,
    "pass@2PerTask": (2 / 3 + 1) / 2,
    oracle: 3 / 4,
    tasks: 2,
    testInputs: 4,
    tasksSolved: 1,
    unanswered: 0,
  });
  assert.deepEqual(
    [...score.places],
    [
      ["a", [1, 2, null]],
      ["b", [1]],
    ],
  );
  assert.match(scoreTable(score), /pass@2 +75\.00 % +83\.33 %\n1 of 2 tasks solved with two attempts; 4 test inputs, 0 without an answer/);
});

test("K goes as far as the lists are long", () => {
  const solutions = new Map([["a", [g(1)]]]);
  const ks = (length: number): string[] => [
    ...scoreAnswers(new Map([["a", [list(...new Array<number>(length).fill(2))]]]), solutions).passAtK.keys(),
  ];
  assert.deepEqual(ks(0), ["pass@1", "pass@1PerTask", "pass@2", "pass@2PerTask"]);
  assert.equal(ks(9).at(-2), "pass@5");
  assert.equal(ks(10).at(-2), "pass@10");
  assert.equal(ks(100).at(-2), "pass@100");
});

test("a task or test input without answers counts as wrong, and is said", () => {
  const solutions = new Map([
    ["a", [g(1), g(1)]],
    ["b", [g(1)]],
  ]);
  const score = scoreAnswers(
    new Map([
      ["a", [list(1)]],
      ["x", [list(1)]],
    ]),
    solutions,
  );
  assert.equal(score.passAtK.get("pass@1"), 1 / 3);
  assert.equal(score.unanswered, 2);
  assert.deepEqual(score.notes, [
    "1 answered tasks have no solution and don't count (x)",
    "1 tasks with a solution have no answer and count as wrong (b)",
    "task a has answers to 1 test inputs but 2 solutions",
  ]);
});
