import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Entry, parseChallenges } from "../../../src/arc/challenges-json.ts";
import { type Grid, gridFromRows, gridToRows } from "../../../src/arc/grid.ts";
import { InputError } from "../../../src/errors.ts";
import { alignAnswers, chooseAttempts } from "../../../src/submission/choose.ts";
import { fallbackAttempts, fallbackSubmission } from "../../../src/submission/fallback.ts";
import { formatSubmission } from "../../../src/submission/format.ts";
import { validateSubmission } from "../../../src/submission/validate.ts";
import { writeSubmission } from "../../../src/submission/write.ts";

type Rows = number[][];
const pair = (input: Rows, output: Rows): string => JSON.stringify({ input, output });
const task = (train: string[], tests: Rows[]): string =>
  `{"train": [${train}], "test": ${JSON.stringify(tests.map((input) => ({ input })))}}`;
const entriesOf = (tasks: Record<string, string> | [string, string][]): readonly Entry[] =>
  parseChallenges(`{${(Array.isArray(tasks) ? tasks : Object.entries(tasks)).map(([id, text]) => `${JSON.stringify(id)}: ${text}`)}}`, "f")
    .entries;
const rowsOf = (grids: readonly Grid[]): Rows[] => grids.map(gridToRows);

const SAME_SHAPE = task([pair([[1, 1]], [[2, 2]]), pair([[3], [3]], [[2], [4]])], [[[5, 6, 7]], [[8]]]);
const ONE_SHAPE = task([pair([[1]], [[2, 3]]), pair([[4, 4, 4]], [[2, 5]]), pair([[1]], [[2, 5]])], [[[5, 6, 7]]]);
const FREE = task([pair([[1]], [[2, 3]]), pair([[4]], [[3]])], [[[5]]]);

test("the fallback is the input where outputs keep the input's shape, with a plain grid as second", () => {
  const [entry] = entriesOf({ a: SAME_SHAPE });
  assert.deepEqual(rowsOf(fallbackAttempts(entry!, 0)), [[[5, 6, 7]], [[2, 2, 2]]]);
  assert.deepEqual(rowsOf(fallbackAttempts(entry!, 1)), [[[8]], [[2]]]);
  const [fixed] = entriesOf({ a: task([pair([[1, 1]], [[2, 2]]), pair([[3, 3]], [[2, 2]])], [[[5, 6]]]) });
  assert.deepEqual(rowsOf(fallbackAttempts(fixed!, 0)), [[[5, 6]], [[2, 2]]], "also where all have one shape");
});

test("the fallback has the shape and the most frequent cells of the outputs where these share a shape of their own", () => {
  const [entry] = entriesOf({ a: ONE_SHAPE });
  assert.deepEqual(rowsOf(fallbackAttempts(entry!, 0, 3)), [[[2, 5]], [[2, 2]], [[0]]]);
});

test("where nothing is known of the shape the fallback is the input, then one cell of the commonest colour", () => {
  const [entry] = entriesOf({ a: FREE });
  assert.deepEqual(rowsOf(fallbackAttempts(entry!, 0)), [[[5]], [[3]]]);
});

test("a bad task falls back on its input if that is readable, else on one black cell", () => {
  const entries = entriesOf({
    a: FREE,
    b: '{"train": [], "test": [{"input": [[7, 7]]}, {"input": [[70]]}]}',
    c: "3",
    d: '{"train": [], "test": []}',
  });
  assert.deepEqual(
    [...fallbackSubmission(entries)].map(([id, tests]) => [id, tests.map(rowsOf)]),
    [
      ["a", [[[[5]], [[3]]]]],
      [
        "b",
        [
          [[[7, 7]], [[0]]],
          [[[0]], [[0]]],
        ],
      ],
      ["c", [[[[0]], [[0]]]]],
      ["d", []],
    ],
  );
  assert.deepEqual(validateSubmission(formatSubmission(fallbackSubmission(entries)), entries), []);
});

test("a submission's text keeps the order of the challenges, for ids of digits and __proto__ too", () => {
  const entries = entriesOf([
    ["z", FREE],
    ["10", FREE],
    ["__proto__", FREE],
    ["9", SAME_SHAPE],
  ]);
  assert.equal(
    formatSubmission(fallbackSubmission(entries)),
    [
      '{"z": [{"attempt_1": [[5]], "attempt_2": [[3]]}],',
      '"10": [{"attempt_1": [[5]], "attempt_2": [[3]]}],',
      '"__proto__": [{"attempt_1": [[5]], "attempt_2": [[3]]}],',
      '"9": [{"attempt_1": [[5,6,7]], "attempt_2": [[2,2,2]]}, {"attempt_1": [[8]], "attempt_2": [[2]]}]}',
      "",
    ].join("\n"),
  );
});

test("voted answers are handed in, empty ones passed over, and gaps filled without moving later tests", () => {
  const entries = entriesOf({ a: SAME_SHAPE, b: FREE });
  const answer = (rows: Rows) => ({ grid: gridFromRows(rows), votes: 1, meanQ: 0.5 });
  const ranked = new Map([["a", [[], [answer([]), answer([[1]]), answer([[2]]), answer([[3]])]]]]);
  const { submission, fallbackInputs } = chooseAttempts(entries, ranked);
  assert.deepEqual(
    [...submission.values()].map((tests) => tests.map(rowsOf)),
    [
      [
        [[[5, 6, 7]], [[2, 2, 2]]],
        [[[1]], [[2]]],
      ],
      [[[[5]], [[3]]]],
    ],
  );
  assert.equal(fallbackInputs, 2);
  const single = chooseAttempts(entries, new Map([["b", [[answer([[5]])]]]])).submission.get("b")!;
  assert.deepEqual(rowsOf(single[0]!), [[[5]], [[3]]], "a fallback equal to the answer is no second attempt");
});

test("answers for another number of test inputs, or for none of the tasks, are refused", () => {
  const entries = entriesOf({ a: SAME_SHAPE, b: FREE });
  assert.throws(
    () => alignAnswers(entries, new Map([["a", [[]]]]), "c.json"),
    new InputError("c.json", ["task a has 2 test inputs, but 1 are answered"]),
  );
  assert.throws(() => alignAnswers(entries, new Map([["x", [[]]]]), "c.json"), /none of its tasks is among those answered \(x, \.\.\.\)/);
  const { answers, notes } = alignAnswers(
    entries,
    new Map([
      ["x", [[]]],
      ["b", [[]]],
    ]),
    "c.json",
  );
  assert.deepEqual(
    [...answers],
    [
      ["a", [[], []]],
      ["b", [[]]],
    ],
  );
  assert.deepEqual(notes, [
    "c.json: 1 answered tasks are not among its tasks and are left out (x, ...)",
    "c.json: 1 of its tasks have no answer; they get fallbacks",
  ]);
});

test("validation finds everything that is wrong with a submission", () => {
  const entries = entriesOf({ a: SAME_SHAPE, b: FREE, c: FREE });
  const ok = '{"attempt_1": [[1]], "attempt_2": [[2]]}';
  const text = `{"a": [${ok}], "b": [{"attempt_1": [[1, 10]], "attempt_3": [[1]]}], "x": [], "x": []}`;
  assert.deepEqual(validateSubmission(text, entries), [
    "task a has 1 entry for 2 test inputs",
    "task b, test 0, attempt_1 row 0, column 1 is 10; a cell is a whole number 0 to 9",
    "task b, test 0, attempt_2 is missing",
    "task b, test 0 has attempt_3 besides attempt_1 and attempt_2",
    "task x is not among the challenges",
    "task x stands twice",
    "task x is not among the challenges",
    "task c has no answer",
  ]);
  const one = entriesOf({ b: FREE });
  const problemsOf = (grid: string): string[] => validateSubmission(`{"b": [{"attempt_1": ${grid}, "attempt_2": [[0]]}]}`, one);
  assert.deepEqual(problemsOf("[[0, 9]]"), []);
  assert.deepEqual(problemsOf("[]"), ["task b, test 0, attempt_1 has no rows; a grid has 1 to 30"]);
  assert.deepEqual(problemsOf("[[0],[1,2]]"), [
    "task b, test 0, attempt_1 row 1 has 2 cells, row 0 has 1; every row of a grid must be equally long",
  ]);
  assert.deepEqual(problemsOf("[[0.5]]"), ["task b, test 0, attempt_1 row 0, column 0 is 0.5; a cell is a whole number 0 to 9"]);
  assert.deepEqual(problemsOf(JSON.stringify(new Array(31).fill([0]))), ["task b, test 0, attempt_1 has 31 rows; a grid has 1 to 30"]);
  assert.deepEqual(validateSubmission('{"b": 1}', one), ["task b is a number, not a list with one entry per test input"]);
  assert.deepEqual(validateSubmission('{"b": [[[1]]]}', one), ["task b, test 0 is a list, not an object with attempt_1 and attempt_2"]);
  assert.match(validateSubmission('{"b": ', one)[0]!, /^is not JSON: line 1, column 7/);
});

test("a submission that is not valid is never written over a good one", () => {
  const folder = mkdtempSync(join(tmpdir(), "trm-submission-"));
  try {
    const path = join(folder, "submission.json");
    const entries = entriesOf({ a: FREE });
    writeSubmission(path, fallbackSubmission(entries), entries);
    const before = readFileSync(path, "utf8");
    assert.deepEqual(validateSubmission(before, entries), []);
    assert.throws(
      () => writeSubmission(path, new Map(), entries),
      /refused to write a submission that is not valid:\ntask a has no answer/,
    );
    assert.equal(readFileSync(path, "utf8"), before);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
