import assert from "node:assert/strict";
import { test } from "node:test";
import { gridFromRows, gridToRows } from "../../../src/arc/grid.ts";
import { InputError } from "../../../src/errors.ts";
import { formatCandidates, parseAnswers } from "../../../src/predict/candidate-file.ts";

test("the file has the documented form and keeps the ten best", () => {
  const list = Array.from({ length: 12 }, (_, i) => ({ grid: gridFromRows([[i % 10]]), votes: 12 - i, meanQ: 0.5 }));
  const text = formatCandidates(
    new Map([
      ["10", [list, []]],
      ["a", [[{ grid: gridFromRows([]), votes: 1.5, meanQ: 0 }]]],
    ]),
  );
  const value = JSON.parse(text);
  assert.equal(value.version, 1);
  assert.equal(value.tasks["10"][0].length, 10);
  assert.deepEqual(value.tasks["10"][0][0], { grid: [[0]], votes: 12, meanQ: 0.5 });
  assert.deepEqual(value.tasks["10"][1], []);
  assert.deepEqual(value.tasks.a, [[{ grid: [], votes: 1.5, meanQ: 0 }]]);
});

test("a submission is read as votes: one more for the first attempt, equal attempts together", () => {
  const answers = parseAnswers(
    '{"b": [{"attempt_1": [[1]], "attempt_2": [[2]]}, {"attempt_1": [[3]], "attempt_2": [[3]]}], "9": [], "version": []}',
    "f",
  );
  assert.deepEqual(
    [...answers].map(([id, tests]) => [id, tests.map((list) => list.map(({ grid, votes, meanQ }) => [gridToRows(grid), votes, meanQ]))]),
    [
      [
        "b",
        [
          [
            [[[1]], 2, 0.5],
            [[[2]], 1, 0.5],
          ],
          [[[[3]], 3, 0.5]],
        ],
      ],
      ["9", []],
      ["version", []],
    ],
  );
});

test("everything wrong with a candidate file is listed at once", () => {
  const text = `{"version": 1, "tasks": {"a": 1, "b": [2], "b": [], "c": [[3, {"grid": [[10]], "votes": 0, "meanQ": 2}, {"grid": [[1]], "votes": "x"}]]}}`;
  assert.throws(
    () => parseAnswers(text, "c.json"),
    new InputError("c.json", [
      "task a is a number, not a list with one entry per test input",
      "task b, test 0 is a number, not a list of candidates",
      "task b stands twice",
      "task c, test 0, candidate 0 is a number, not an object with grid, votes and meanQ",
      "task c, test 0, candidate 1, grid row 0, column 0 is 10; a cell is a whole number 0 to 9",
      "task c, test 0, candidate 1, votes is 0; expected a number above 0",
      "task c, test 0, candidate 1, meanQ is 2; expected a number 0 to 1",
      "task c, test 0, candidate 2, votes is a text; expected a number above 0",
      "task c, test 0, candidate 2, meanQ is missing; expected a number 0 to 1",
    ]),
  );
  assert.throws(
    () => parseAnswers('{"version": 2, "tasks": [], "x": 0}', "c.json"),
    new InputError("c.json", ["has version 2; this program reads version 1 of candidate files", "has no object tasks"]),
  );
});

test("what another system says of itself beside the tasks is passed over", () => {
  const tasks = '{"a": [[{"grid": [[1]], "votes": 2, "meanQ": 0.5}]]}';
  assert.deepEqual(
    parseAnswers(`{"system": {"name": "x"}, "version": 1, "tasks": ${tasks}}`, "c.json"),
    parseAnswers(`{"version": 1, "tasks": ${tasks}}`, "c.json"),
  );
});

test("everything wrong with a submission is listed at once", () => {
  assert.throws(
    () => parseAnswers('{"a": [{"attempt_1": [[1], 2], "attempt_2": [[1]], "x": 0}, 5], "b": {}, "c": [{}]}', "s.json"),
    new InputError("s.json", [
      "task a, test 0 has x, which is no attempt",
      "task a, test 0, attempt_1 row 1 is a number, not a list of cells",
      "task a, test 1 is a number, not an object with attempt_1 and attempt_2",
      "task b is an object, not a list with one entry per test input",
      "task c, test 0, attempt_1 is missing",
    ]),
  );
});
