import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "trm-cli-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function trm(...args: string[]): { status: number | null; stdout: string; stderr: string; last: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["submission/trm.mjs", ...args], { encoding: "utf8", timeout: 60_000 });
  return { status, stdout, stderr, last: stdout.trimEnd().split("\n").at(-1) ?? "" };
}

const attempts = (first: number, second: number): string => `{"attempt_1": [[${first}]], "attempt_2": [[${second}]]}`;
const task = (tests: number): string =>
  `{"train": [{"input": [[1]], "output": [[2]]}], "test": [${new Array(tests).fill('{"input": [[3]]}')}]}`;
const challenges = put("challenges.json", `{"b": ${task(2)}, "7": ${task(1)}}`);
const solutions = put("solutions.json", '{"b": [[[1]], [[2]]], "7": [[[3]]]}');
const good = put("good.json", `{"b": [${attempts(1, 9)}, ${attempts(9, 2)}], "7": [${attempts(8, 9)}]}`);

test("score prints a table, or one JSON object with --json", () => {
  const table = trm("score", good, "--solutions", solutions);
  assert.equal(table.status, 0, table.stderr);
  assert.match(table.stdout, /pass@2 +66\.67 % +50\.00 %/);
  const { status, last } = trm("score", good, "--solutions", solutions, "--challenges", challenges, "--json");
  assert.equal(status, 0);
  assert.deepEqual(JSON.parse(last), {
    "pass@1": 1 / 3,
    "pass@1PerTask": 1 / 4,
    "pass@2": 2 / 3,
    "pass@2PerTask": 1 / 2,
    oracle: 2 / 3,
    tasks: 2,
    testInputs: 3,
    tasksSolved: 1,
    unanswered: 0,
  });
});

test("score ends with status 1 and one message where the files don't fit or are not there", () => {
  const other = put("other.json", `{"x": [${attempts(1, 2)}]}`);
  const foreign = trm("score", other, "--solutions", solutions);
  assert.equal(foreign.status, 1);
  assert.match(foreign.stderr, /answers no task of .*solutions\.json; are these files of the same set\?/);
  assert.doesNotMatch(foreign.stderr, /\n\s+at /);
  assert.match(trm("score", join(folder, "none.json"), "--solutions", solutions).stderr, /none\.json: does not exist; check the path/);
});

test("validate accepts a good submission and lists everything wrong with a bad one", () => {
  const fine = trm("validate", good, "--challenges", challenges);
  assert.equal(fine.status, 0, fine.stderr);
  assert.match(fine.stdout, /valid, 2 tasks, 3 test inputs/);
  const bad = put("bad.json", `{"b": [{"attempt_1": [[10]], "attempt_2": [[1]]}], "x": []}`);
  const { status, stderr, last } = trm("validate", bad, "--challenges", challenges, "--json");
  assert.equal(status, 1);
  const problems = [
    "task b has 1 entry for 2 test inputs",
    "task b, test 0, attempt_1 row 0, column 0 is 10; a cell is a whole number 0 to 9",
    "task x is not among the challenges",
    "task 7 has no answer",
  ];
  for (const problem of problems) assert.ok(stderr.includes(problem), `${problem} is not in ${stderr}`);
  assert.deepEqual(JSON.parse(last), { valid: false, problems, tasks: 2, testInputs: 3 });
});

test("merge joins candidates and submissions by weight, in the challenges' order, and fills what is missing", () => {
  const candidates = put(
    "candidates.json",
    '{"version": 1, "tasks": {"b": [[{"grid": [[4]], "votes": 2, "meanQ": 0.5}, {"grid": [[1]], "votes": 1, "meanQ": 0.9}], []]}}',
  );
  const part = put("part.json", `{"b": [${attempts(1, 5)}, ${attempts(6, 2)}]}`);
  const out = join(folder, "merged.json");
  const joined = join(folder, "merged-candidates.json");
  const { status, last, stderr } = trm(
    "merge",
    candidates,
    part,
    "--weights",
    "3,1",
    "--out",
    out,
    "--candidates",
    joined,
    "--challenges",
    challenges,
    "--json",
  );
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(last), { submission: out, candidates: joined, tasks: 2, testInputs: 3, fallbackInputs: 1 });
  assert.equal(readFileSync(out, "utf8"), `{"b": [${attempts(4, 1)}, ${attempts(6, 2)}],\n"7": [${attempts(3, 2)}]}\n`);
  assert.deepEqual(JSON.parse(readFileSync(joined, "utf8")).tasks.b[0][0], { grid: [[4]], votes: 6, meanQ: 0.5 });
  assert.equal(trm("validate", out, "--challenges", challenges).status, 0);
});

test("an empty first attempt of a submission takes its place: the second one is not the first", () => {
  const file = put("empty-first.json", '{"t": [{"attempt_1": [], "attempt_2": [[1]]}]}');
  const truth = put("empty-first-truth.json", '{"t": [[[1]]]}');
  const score = JSON.parse(trm("score", file, "--solutions", truth, "--json").last) as Record<string, number>;
  assert.deepEqual([score["pass@1"], score["pass@2"]], [0, 1]);
});

test("merge keeps ten answers to each test input in --candidates, or as many as --keep-answers says", () => {
  const twelve = Array.from({ length: 12 }, (_, i) => ({ grid: [[i % 10, i < 10 ? 0 : 1]], votes: 20 - i, meanQ: 0.5 }));
  const many = put("twelve.json", JSON.stringify({ version: 1, tasks: { b: [twelve, []] } }));
  const kept = (...options: string[]): number => {
    const joined = join(folder, "kept-candidates.json");
    assert.equal(trm("merge", many, "--out", join(folder, "kept.json"), "--candidates", joined, ...options).status, 0);
    return JSON.parse(readFileSync(joined, "utf8")).tasks.b[0].length;
  };
  assert.deepEqual([kept(), kept("--keep-answers", "11"), kept("--keep-answers", "50")], [10, 11, 12]);
  assert.match(trm("merge", many, "--keep-answers", "2.5").stderr, /--keep-answers 2\.5: expected a whole number from 2 up/);
});

test("merge refuses weights that don't fit the files, and writes nothing", () => {
  const out = join(folder, "never.json");
  const { status, stderr } = trm("merge", good, "--weights", "1,2", "--out", out);
  assert.equal(status, 1);
  assert.match(stderr, /--weights 1,2: has 2 numbers for 1 files/);
  assert.throws(() => readFileSync(out), { code: "ENOENT" });
});

/** What other systems hand in for 60 tasks: one with ten attempts that is right in its third, one with two that is right where the task is even. */
function otherSystems(): { ten: string; two: string; truth: string; tasks: string } {
  const ids = Array.from({ length: 60 }, (_, i) => `t${i}`);
  const ten = ids.map((id) => {
    const list = Array.from({ length: 10 }, (_, k) => `"attempt_${k + 1}": [[${k === 2 ? 1 : [5, 6, 1, 7, 8, 9, 0, 5, 6, 7][k]}]]`);
    return `"${id}": [{${list.join(", ")}}]`;
  });
  const two = ids.map((id, i) => `"${id}": [${i % 2 === 0 ? attempts(1, 2) : attempts(3, 2)}]`);
  return {
    ten: put("ten.json", `{${ten.join(", ")}}`),
    two: put("two.json", `{${two.join(", ")}}`),
    truth: put("truth.json", `{${ids.map((id) => `"${id}": [[[1]]]`).join(", ")}}`),
    tasks: put("tasks.json", `{${ids.map((id) => `"${id}": ${task(1)}`).join(", ")}}`),
  };
}

test("merge --solutions finds weights over files of two and of ten attempts, and tells what each adds; --weights then gives the same", () => {
  const { ten, two, truth, tasks } = otherSystems();
  const [found, given] = [join(folder, "found.json"), join(folder, "given.json")];
  const { status, last, stderr } = trm("merge", ten, two, "--solutions", truth, "--challenges", tasks, "--out", found, "--json");
  assert.equal(status, 0, stderr);
  const { weights, weighing } = JSON.parse(last);
  assert.deepEqual([weighing.tasks, weighing.testInputs, weighing.crossValidated.folds], [60, 60, 5]);
  const [first, second] = weighing.systems;
  assert.deepEqual([first.file, first["pass@2"], first.only, second["pass@1"], second["pass@2"], second.only], [ten, 0, 0, 0.5, 0.5, 0.5]);
  assert.equal(weighing.oracle, 0.5);
  assert.ok(second.adds >= 0.5);
  assert.equal(trm("merge", ten, two, "--weights", weights.join(","), "--challenges", tasks, "--out", given).status, 0);
  assert.equal(readFileSync(given, "utf8"), readFileSync(found, "utf8"));
  const scored = JSON.parse(trm("score", found, "--solutions", truth, "--json").last);
  assert.equal(scored["pass@2"], (weighing.holds ? weighing.found : weighing.equal)["pass@2"]);
  const table = trm("merge", ten, two, "--solutions", truth, "--challenges", tasks, "--out", found);
  assert.match(table.stdout, /--weights [\d.]+,[\d.]+$/m);
  assert.match(table.stdout, /two\.json +[\d.]+ +50\.00 % +50\.00 % +50\.00 % {2}\+[\d.]+ % ± [\d.]+/);
  const both = trm("merge", ten, two, "--solutions", truth, "--weights", "1,1", "--out", found);
  assert.match(both.stderr, /--solutions finds weights: leave --weights out/);
});
