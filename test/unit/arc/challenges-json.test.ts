import assert from "node:assert/strict";
import { test } from "node:test";
import { type BadTask, describeBadTasks, parseChallenges, testInputsOf } from "../../../src/arc/challenges-json.ts";
import { gridToRows } from "../../../src/arc/grid.ts";
import { InputError } from "../../../src/errors.ts";

const PAIR = '{"input": [[1, 2]], "output": [[3], [4]]}';
const GOOD = `{"train": [${PAIR}], "test": [{"input": [[5]]}]}`;

function problemsOfFile(text: string): readonly string[] {
  try {
    parseChallenges(text, "tasks.json");
  } catch (error) {
    assert.ok(error instanceof InputError, String(error));
    assert.equal(error.where, "tasks.json");
    return error.problems;
  }
  throw new Error("the file was accepted");
}

function badTask(taskText: string): BadTask {
  const { tasks, bad } = parseChallenges(`{"good": ${GOOD}, "bad": ${taskText}}`, "tasks.json");
  assert.deepEqual(
    tasks.map(({ id }) => id),
    ["good"],
  );
  assert.equal(bad.length, 1);
  return bad[0]!;
}

/** The problems of a task whose only test input is this grid. */
function problemsOfGrid(grid: string): readonly string[] {
  return badTask(`{"train": [${PAIR}], "test": [{"input": ${grid}}]}`).problems;
}

const nested = (rows: number, cols: number): string => JSON.stringify(Array.from({ length: rows }, () => new Array<number>(cols).fill(0)));

test("a good task is read with its pairs, and without answers", () => {
  const { tasks, bad, notes } = parseChallenges(
    `\uFEFF{"a": {"train": [${PAIR}], "test": [{"input": [[5, 6]], "output": [[7]]}, {"input": [[8]]}]}}\n`,
    "f",
  );
  assert.deepEqual(bad, []);
  assert.equal(tasks.length, 1);
  const task = tasks[0]!;
  assert.deepEqual(
    task.train.map(({ input, output }) => [gridToRows(input), gridToRows(output)]),
    [[[[1, 2]], [[3], [4]]]],
  );
  assert.deepEqual(
    task.test.map(({ input }) => gridToRows(input)),
    [[[5, 6]], [[8]]],
  );
  assert.ok(task.test.every((pair) => !("output" in pair)));
  assert.deepEqual(notes, ["1 test pair has its output in this file; not used"]);
});

test("ids keep the order of the file, digits and names of object parts included", () => {
  const ids = ["zz", "22168020", "__proto__", "10", "../x", "constructor", "9", "", "ä\n"];
  const { tasks, entries } = parseChallenges(`{${ids.map((id) => `${JSON.stringify(id)}: ${GOOD}`).join(",")}}`, "f");
  assert.deepEqual(
    tasks.map(({ id }) => id),
    ids,
  );
  assert.deepEqual(
    entries.map(({ id }) => id),
    ids,
  );
});

test("a task that names test before train says so", () => {
  const { tasks } = parseChallenges(`{"a": ${GOOD}, "b": {"test": [{"input": [[5]]}], "train": [${PAIR}]}}`, "f");
  assert.equal(tasks[0]!.testFirst, undefined);
  assert.equal(tasks[1]!.testFirst, true);
});

test("a ragged row is named with the rows above it", () => {
  assert.deepEqual(problemsOfGrid("[[0,0,0,0,0,0,0,0,0],[0,0,0,0,0,0,0,0,0],[0,0,0,0,0,0,0,0,0],[0,0,0,0,0,0,0,0]]"), [
    "test 0, input row 3 has 8 cells, rows 0-2 have 9; every row of a grid must be equally long",
  ]);
  assert.deepEqual(problemsOfGrid("[[0,0],[0]]"), [
    "test 0, input row 1 has 1 cell, row 0 has 2; every row of a grid must be equally long",
  ]);
});

test("cells that are no colour are named, the first by place and the others by number", () => {
  assert.deepEqual(problemsOfGrid("[[0,1],[2,10]]"), ["test 0, input row 1, column 1 is 10; a cell is a whole number 0 to 9"]);
  assert.deepEqual(problemsOfGrid('[["1",-1,0.5]]'), [
    'test 0, input row 0, column 0 is "1"; a cell is a whole number 0 to 9 (2 more cells are wrong)',
  ]);
  assert.deepEqual(problemsOfGrid("[[1,null,true]]"), [
    "test 0, input row 0, column 1 is null; a cell is a whole number 0 to 9 (1 more cell is wrong)",
  ]);
});

test("grids with too many or no rows or cells are named; 30 x 30 is fine", () => {
  assert.deepEqual(problemsOfGrid(nested(31, 31)), ["test 0, input has 31 rows; a grid has 1 to 30"]);
  assert.deepEqual(problemsOfGrid(nested(30, 31)), ["test 0, input row 0 has 31 cells; a row has 1 to 30"]);
  assert.deepEqual(problemsOfGrid("[]"), ["test 0, input has no rows; a grid has 1 to 30"]);
  assert.deepEqual(problemsOfGrid("[[],[]]"), ["test 0, input row 0 has no cells; a row has 1 to 30"]);
  const { tasks } = parseChallenges(`{"a": {"train": [${PAIR}], "test": [{"input": ${nested(30, 30)}}]}}`, "f");
  assert.equal(tasks[0]!.test[0]!.input.cells.length, 900);
});

test("what is no grid is named by its kind", () => {
  assert.deepEqual(problemsOfGrid('"[[1]]"'), ["test 0, input is a text, not a list of rows"]);
  assert.deepEqual(problemsOfGrid("[[1],2]"), ["test 0, input row 1 is a number, not a list of cells"]);
  assert.deepEqual(badTask(`{"train": [${PAIR}, 3], "test": [{}]}`).problems, [
    "train 1, input is missing",
    "train 1, output is missing",
    "test 0, input is missing",
  ]);
});

test("a task without pairs, lists or an object is bad, and its test inputs are counted as far as they can be read", () => {
  const cases: [text: string, testInputs: number, problems: string[]][] = [
    [`{"train": [], "test": [{"input": [[1]]}, {"input": [[2]]}]}`, 2, ["has no train pair; one at least is needed"]],
    [`{"train": [${PAIR}], "test": []}`, 0, ["has no test input"]],
    [`{"train": [${PAIR}]}`, 1, ["has no test list"]],
    [`{"train": {}, "test": 7}`, 1, ["train is an object, not a list of pairs", "test is a number, not a list of pairs"]],
    ["[1]", 1, ["is a list, not an object with train and test"]],
    ["null", 1, ["is null, not an object with train and test"]],
    [`{"train": [${PAIR}], "train": [${PAIR}], "test": [{"input": [[1]]}]}`, 1, ["has the key train more than once"]],
    ["{}", 1, ["has no train list", "has no test list"]],
  ];
  for (const [text, testInputs, problems] of cases) {
    const bad = badTask(text);
    assert.deepEqual([testInputsOf(bad), bad.problems], [testInputs, problems], text);
  }
});

test("all problems of a bad task are listed, and its readable test inputs kept", () => {
  const bad = badTask(`{"train": [{"input": [[10]], "output": []}], "test": [{"input": [[1, 2]]}, {"input": [[1], [2, 3]]}]}`);
  assert.deepEqual(describeBadTasks("f.json", [bad]), [
    "f.json: task bad, train 0, input row 0, column 0 is 10; a cell is a whole number 0 to 9",
    "f.json: task bad, train 0, output has no rows; a grid has 1 to 30",
    "f.json: task bad, test 1, input row 1 has 2 cells, row 0 has 1; every row of a grid must be equally long",
  ]);
  assert.deepEqual(
    bad.inputs?.map((grid) => grid && gridToRows(grid)),
    [[[1, 2]], undefined],
  );
});

test("very many problems and test inputs of one task are cut short", () => {
  const bad = badTask(`{"train": [${PAIR}], "test": [${new Array(5000).fill("0").join(",")}]}`);
  assert.equal(bad.problems.length, 50);
  assert.equal(bad.problems.at(-1), "... and 952 more problems");
  assert.equal(bad.testInputs, 1000);
});

test("a task twice with the same content is one task and a note, with different content an error that names it", () => {
  const other = GOOD.replaceAll(" ", "");
  const { tasks, notes } = parseChallenges(`{"a": ${GOOD}, "b": ${GOOD}, "a": ${other}}`, "f");
  assert.deepEqual(
    tasks.map(({ id }) => id),
    ["a", "b"],
  );
  assert.deepEqual(notes, ["task a stands twice with the same content; it is taken once"]);
  assert.deepEqual(problemsOfFile(`{"a": ${GOOD}, "b": ${GOOD}, "a": ${GOOD.replace("5", "6")}, "b": {}}`), [
    "task a stands twice with different content",
    "task b stands twice with different content",
  ]);
});

test("a file that is wrong as a whole is refused with what it is", () => {
  const cases: [text: string, problem: RegExp][] = [
    ["", /^is empty; expected a JSON object of tasks$/],
    [" \n", /^is empty/],
    ["{}", /^holds no task: it is an empty object$/],
    [
      "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
      /^is a Git LFS pointer, not the file itself; run `git lfs pull`/,
    ],
    ["\n<!DOCTYPE html><html></html>", /^is a web page \(HTML\), not JSON; download the raw file$/],
    ["[1, 2]", /^is not a JSON object of tasks: it starts with "\[1, 2\]"$/],
    [`{"a": [[[1]]], "b": [[[2]]]}`, /^holds no task; every value is a list: is this a solutions file or a submission\?$/],
    [`{"a": 1, "b": "x"}`, /^holds no task; expected \{"id"/],
    [`{"a": ${GOOD},\n "b" 1}`, /^is not JSON: line 2, column 6: expected a colon, found "1\}"$/],
    [`{"a": ${GOOD}`, /^is not JSON: line 1, column \d+: expected a comma or \}, the file ends$/],
    [`{"a": ${GOOD}} x`, /expected the end of the file, found "x"$/],
    [`{"a": NaN}`, /^is not JSON: line 1, column 7: expected a value, found "NaN\}"$/],
    [`{"a": [1,]}`, /^is not JSON: line 1, column 10: expected a value, found "\]\}"$/],
    [`{"a": 01}`, /^is not JSON: line 1, column 8: expected a comma or \}, found "1\}"$/],
    [`{'a': 1}`, /expected a key or text in double quotes/],
    [`{"a\tb": 1}`, /control characters must be escaped/],
    ['{"a": "\\x"}', /expected an escape of JSON/],
  ];
  for (const [text, problem] of cases) {
    const problems = problemsOfFile(text);
    assert.equal(problems.length, 1, text);
    assert.match(problems[0]!, problem, text);
  }
});

test("an endless task costs that task, an endless list of tasks is refused", () => {
  assert.deepEqual(badTask(`{"train": [], "test": [${"0,".repeat(2_500_000)}0]}`).problems, [
    "has 5000026 characters; at most 4000000 are read",
  ]);
  const many = Array.from({ length: 100_001 }, (_, i) => `"${i}":{}`).join(",");
  assert.match(problemsOfFile(`{${many}}`)[0]!, /^is too large: line 1, column \d+: expected at most 100000 members in an object/);
});

test("nesting deeper than any task has is refused", () => {
  const nest = (levels: number): string => `{"a": ${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}, "b": ${GOOD}}`;
  assert.equal(parseChallenges(nest(64), "f").tasks.length, 1);
  assert.match(problemsOfFile(nest(66))[0]!, /^is too large: line 1, column \d+: expected at most 64 levels of nesting/);
});

test("50 MB of nonsense is refused in seconds and with a short message", () => {
  const size = 50_000_000;
  for (const text of [
    "[".repeat(size),
    `{"a":${"[".repeat(size)}`,
    `{"a":"${"x".repeat(size)}`,
    `{"a":${"1,".repeat(size / 2)}`,
    "\0".repeat(size),
    "\n".repeat(size),
  ]) {
    const started = performance.now();
    const problems = problemsOfFile(text);
    assert.ok(problems.join().length < 200, problems.join().slice(0, 500));
    assert.ok(performance.now() - started < 5000, `${performance.now() - started} ms for ${text.slice(0, 10)}`);
  }
});
