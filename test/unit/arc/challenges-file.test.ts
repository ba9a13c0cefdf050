import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { readChallenges, readSolutions } from "../../../src/arc/challenges-file.ts";
import { gridToRows } from "../../../src/arc/grid.ts";
import { InputError, UserError } from "../../../src/errors.ts";

const TASK = '{"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3]], "output": [[9]]}]}';
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trm-challenges-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test("a folder of task files gives tasks by file name, and their outputs as solutions", () => {
  put("b.json", TASK);
  put("22168020.json", `\uFEFF${TASK}\n`);
  put("notes.txt", "no task");
  put(".hidden.json", "no task");
  const { tasks, bad, solutions } = readChallenges(folder);
  assert.deepEqual(
    tasks.map(({ id }) => id),
    ["22168020", "b"],
  );
  assert.deepEqual(bad, []);
  assert.ok(tasks.every(({ test }) => test.every((pair) => !("output" in pair))));
  assert.deepEqual(gridToRows(solutions!.get("b")![0]!), [[9]]);
  assert.deepEqual(readSolutions(folder), solutions);
});

test("a broken file of a folder costs that task, and the folder then gives no solutions", () => {
  put("a.json", TASK);
  put("b.json", '{"train": [');
  put("c.json", '{"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3]]}]}');
  const { tasks, bad, entries, solutions } = readChallenges(folder);
  assert.deepEqual(
    tasks.map(({ id }) => id),
    ["a", "c"],
  );
  assert.deepEqual(bad, [{ id: "b", testInputs: 1, problems: ["is not JSON: line 1, column 12: expected a value, the file ends"] }]);
  assert.deepEqual(
    entries.map(({ id }) => id),
    ["a", "b", "c"],
  );
  assert.equal(solutions, undefined);
  assert.throws(
    () => readSolutions(folder),
    new InputError(folder, ["b.json is not JSON: line 1, column 12: expected a value, the file ends", "task c, test 0, output is missing"]),
  );
});

test("challenges and solutions files are read by path", () => {
  assert.equal(readChallenges(put("c.json", `{"a": ${TASK}}`)).tasks.length, 1);
  assert.equal(readSolutions(put("s.json", '{"a": [[[9]]]}')).size, 1);
});

test("what can't be read says what to do", () => {
  assert.throws(
    () => readChallenges(join(folder, "none.json")),
    new UserError(`${join(folder, "none.json")}: does not exist; check the path`),
  );
  assert.throws(() => readSolutions(join(put("f", ""), "x")), /does not exist; a part of the path is a file/);
  const empty = join(folder, "empty");
  mkdirSync(empty);
  assert.throws(
    () => readChallenges(empty),
    new UserError(`${empty}: holds no .json file; pass a challenges file or a folder of task files`),
  );
  put("x_challenges.json", "{}");
  assert.throws(
    () => readChallenges(folder),
    new UserError(`${folder}: is a folder of whole sets (x_challenges.json); pass one of these files`),
  );
});

test("a folder without a single task file is refused with every file's problem", () => {
  put("package.json", '{"name": "x"}');
  put("list.json", "[]");
  assert.throws(
    () => readChallenges(folder),
    new InputError(folder, [
      'list.json is not a JSON object of train and test pairs: it starts with "[]"',
      "package.json has neither train nor test: it is no task file",
    ]),
  );
});
