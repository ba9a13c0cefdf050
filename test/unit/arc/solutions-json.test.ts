import assert from "node:assert/strict";
import { test } from "node:test";
import { parseChallenges } from "../../../src/arc/challenges-json.ts";
import { gridToRows } from "../../../src/arc/grid.ts";
import { parseSolutions, withSolutions } from "../../../src/arc/solutions-json.ts";
import { InputError } from "../../../src/errors.ts";

const TASK = '{"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3]], "output": [[9]]}, {"input": [[4]]}]}';

test("solutions are read in file order, whatever the ids", () => {
  const solutions = parseSolutions('{"b": [[[1]], [[2, 3]]], "7": [[[4]]], "__proto__": [[[5]]], "7": [[[4]]]}', "s");
  assert.deepEqual(
    [...solutions].map(([id, grids]) => [id, grids.map(gridToRows)]),
    [
      ["b", [[[1]], [[2, 3]]]],
      ["7", [[[4]]]],
      ["__proto__", [[[5]]]],
    ],
  );
});

test("everything wrong with a solutions file is listed at once", () => {
  assert.throws(
    () => parseSolutions('{"a": [[[10]], [[1], [2, 3]]], "b": 3, "c": [[[1]]], "c": [[[2]]], "d": []}', "s.json"),
    new InputError("s.json", [
      "task a, output 0 row 0, column 0 is 10; a cell is a whole number 0 to 9",
      "task a, output 1 row 1 has 2 cells, row 0 has 1; every row of a grid must be equally long",
      "task b is a number, not a list of grids",
      "task c stands twice with different content",
    ]),
  );
  assert.throws(() => parseSolutions(`{"a": ${TASK}}`, "s"), /every value is an object: is this a challenges file\?/);
  assert.throws(() => parseSolutions("{}", "s"), /holds no solution/);
});

test("tasks get the outputs of the solutions alone; what is missing or too much is said", () => {
  const { tasks } = parseChallenges(`{"a": ${TASK}, "b": ${TASK}, "c": ${TASK}, "d": ${TASK}}`, "f");
  const solutions = parseSolutions('{"a": [[[5]], [[6]]], "b": [[[5]]], "c": [[[5]], [[6]], [[7]]], "x": [[[1]]]}', "s");
  const solved = withSolutions(tasks, solutions);
  const outputs = solved.tasks.map(({ test }) => test.map(({ output }) => output && gridToRows(output)));
  assert.deepEqual(outputs, [
    [[[5]], [[6]]],
    [[[5]], undefined],
    [[[5]], [[6]]],
    [undefined, undefined],
  ]);
  assert.deepEqual(solved.missing, ["task b has 2 test inputs but 1 solutions", "task d has no solution"]);
  assert.deepEqual(solved.surplus, ["task x has a solution but is not among the tasks", "task c has 2 test inputs but 3 solutions"]);
});
