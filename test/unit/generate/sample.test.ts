import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import yargs from "yargs";
import { parseChallenges } from "../../../src/arc/challenges-json.ts";
import { equalGrids, gridKey } from "../../../src/arc/grid.ts";
import { parseSolutions, withSolutions } from "../../../src/arc/solutions-json.ts";
import type { Pair } from "../../../src/arc/task.ts";
import { generateCommand } from "../../../src/cli/generate.ts";
import { UserError } from "../../../src/errors.ts";
import { generateRules, HELD_OUT_KINDS, isReservedRule, KINDS, kindNamed, LARGE_KIND } from "../../../src/generate/generate.ts";
import { sampleTasks } from "../../../src/generate/sample.ts";
import { createRandom } from "../../../src/random.ts";

const CHALLENGES = "submission/sample-challenges.json";
const SOLUTIONS = "submission/sample-solutions.json";

/** Runs `generate` in this process, its files in a folder that is gone afterwards. */
async function generated(args: string[]): Promise<{ challenges: string; solutions: string }> {
  const folder = mkdtempSync(join(tmpdir(), "generate-"));
  const [out, solutions] = [join(folder, "c.json"), join(folder, "s.json")];
  const log = console.log;
  console.log = () => {};
  try {
    await yargs(["generate", ...args, "--out", out, "--solutions", solutions])
      .command(generateCommand)
      .exitProcess(false)
      .fail((_, error) => {
        throw error;
      })
      .parseAsync();
    return { challenges: readFileSync(out, "utf8"), solutions: readFileSync(solutions, "utf8") };
  } finally {
    console.log = log;
    rmSync(folder, { recursive: true });
  }
}

test("generate --sample gives the committed sample files back, byte for byte", async () => {
  const { challenges, solutions } = await generated(["--sample"]);
  assert.equal(challenges, readFileSync(CHALLENGES, "utf8"));
  assert.equal(solutions, readFileSync(SOLUTIONS, "utf8"));
});

test("the sample files are 20 sound tasks with an answer for each of their 22 test inputs", () => {
  const { tasks, bad, notes } = parseChallenges(readFileSync(CHALLENGES, "utf8"), CHALLENGES);
  const { tasks: solved, missing, surplus } = withSolutions(tasks, parseSolutions(readFileSync(SOLUTIONS, "utf8"), SOLUTIONS));
  assert.deepEqual([bad, notes, missing, surplus], [[], [], [], []]);
  assert.equal(solved.length, 20);
  assert.equal(solved.flatMap((task) => task.test).length, 22);
  assert.ok(solved.every((task) => task.train.length === 3 || task.train.length === 4));
  assert.ok(solved.every((task) => /^[0-9a-f]{8}$/.test(task.id)));
});

test("the samples are one task each of sixteen kinds that training knows and of the four held out", () => {
  const kinds = sampleTasks().map(({ kind }) => kind);
  assert.equal(new Set(kinds).size, 20);
  assert.deepEqual(kinds.filter((kind) => HELD_OUT_KINDS.includes(kind)).sort(), [...HELD_OUT_KINDS].sort());
});

test("no rule that training may use explains a sample task of a large kind", () => {
  for (const { kind: name, task } of sampleTasks()) {
    const kind = kindNamed(name);
    if (kind.ruleCount < LARGE_KIND) continue;
    const fitting = [...kind.rules()].filter((rule) => task.train.every(({ input, output }) => equalGrids(rule.answer(input), output)));
    assert.ok(fitting.length > 0, `${name}: its own rule fits`);
    assert.ok(
      fitting.every((rule) => isReservedRule(kind, rule)),
      `${name}: ${fitting.map((rule) => rule.label)}`,
    );
  }
});

test("no pair of a sample task is among 50 training pairs of every rule", () => {
  const shown = new Set(sampleTasks().flatMap(({ task }) => [...task.train, ...task.test].map(({ input }) => gridKey(input))));
  const random = createRandom("training");
  for (const rule of generateRules({ rulesPerKind: 40, seed: 1 })) {
    for (let i = 0; i < 50; i++) assert.ok(!shown.has(gridKey(rule.pair(random).input)), rule.label);
  }
});

test("training rules differ, are never reserved and never of a kind held out", () => {
  const rules = generateRules({ rulesPerKind: 1e9, seed: 5 });
  const labels = new Set(rules.map((rule) => rule.label));
  assert.equal(labels.size, rules.length);
  for (const kind of KINDS) {
    const of = [...kind.rules()].filter((rule) => labels.has(rule.label));
    const expected = HELD_OUT_KINDS.includes(kind.name) ? 0 : [...kind.rules()].filter((rule) => !isReservedRule(kind, rule)).length;
    assert.equal(of.length, expected, kind.name);
    assert.ok(kind.ruleCount < LARGE_KIND || expected < kind.ruleCount, `${kind.name} has a reserved rule`);
  }
});

test("rules of a kind held out are refused, and so is an unknown kind", () => {
  assert.throws(() => generateRules({ kinds: ["cross"], rulesPerKind: 1, seed: 1 }), UserError);
  assert.throws(() => generateRules({ kinds: ["crossing"], rulesPerKind: 1, seed: 1 }), /no kind of task is called crossing/);
});

test("generate takes the kinds in turn and gives other tasks for another seed", async () => {
  const args = ["--kinds", "ray,crop", "--tasks", "5", "--pairs", "4", "--tests", "2"];
  const first = await generated([...args, "--seed", "a"]);
  const { tasks } = parseChallenges(first.challenges, "first");
  assert.equal(tasks.length, 5);
  assert.ok(tasks.every((task) => task.train.length === 4 && task.test.length === 2));
  const sameSize = (pair: Pair): boolean => pair.input.rows === pair.output.rows && pair.input.cols === pair.output.cols;
  assert.deepEqual(
    tasks.map((task) => task.train.every(sameSize)),
    [true, false, true, false, true],
  );
  assert.deepEqual(await generated([...args, "--seed", "a"]), first);
  assert.notDeepEqual(await generated([...args, "--seed", "b"]), first);
});

test("generate refuses numbers that make no task", async () => {
  await assert.rejects(generated(["--pairs", "0"]), /--pairs 0: expected a whole number 1..10/);
  await assert.rejects(generated(["--tasks", "1.5"]), UserError);
});
