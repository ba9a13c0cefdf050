import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { assertValid, type Ended, folder, lastLine, put, SAMPLE, SAMPLE_SOLUTIONS, scratch, toyCheckpoint, trm } from "./toy.ts";

const VARIANTS = 5;

async function evaluate(...options: string[]): Promise<Ended> {
  const given = ["--challenges", SAMPLE, "--checkpoint", await toyCheckpoint(), "--engine", "wasm", "--workers", "2"];
  return trm("evaluate", ...given, "--vote-variants", String(VARIANTS), ...options);
}

test("evaluate gives the scores of a run that learns nothing and spends all votes, and leaves no file behind", async () => {
  const out = join(folder, "none", "submission.json");
  const options = ["--challenges", SAMPLE, "--solutions", SAMPLE_SOLUTIONS, "--checkpoint", await toyCheckpoint(), "--engine", "wasm"];
  const run = lastLine(
    await trm(
      ...["run", ...options, "--workers", "2", "--budget", "100s", "--out", out, "--limit", "6", "--method", "none", "--vote-all"],
      ...["--train-variants", String(VARIANTS - 1), "--vote-variants", String(VARIANTS), "--json"],
    ),
  );
  const kept = join(folder, "evaluated", "submission.json");
  const result = lastLine(await evaluate("--solutions", SAMPLE_SOLUTIONS, "--limit", "6", "--out", kept, "--json"));
  assert.deepEqual(result.score, run.score);
  assert.equal((result.score as Record<string, number>).tasks, 6);
  assert.deepEqual([result.submission, result.complete, result.votes], [kept, true, run.votes]);
  assert.equal(readFileSync(kept, "utf8"), readFileSync(out, "utf8"));
  assert.equal(readFileSync(join(kept, "../candidates.json"), "utf8"), readFileSync(join(out, "../candidates.json"), "utf8"));
  await assertValid(kept);
  assert.deepEqual(readdirSync(scratch), []);
});

test("the table has a line a test input, and pass@K as `score` gives it for what --out keeps", async () => {
  // what the model says is the truth: one task of the two is solved then
  const first = join(folder, "first", "submission.json");
  lastLine(await evaluate("--solutions", SAMPLE_SOLUTIONS, "--limit", "2", "--out", first, "--json"));
  const said = JSON.parse(readFileSync(first, "utf8")) as Record<string, { attempt_1: number[][]; attempt_2: number[][] }[]>;
  const truth = JSON.parse(readFileSync(SAMPLE_SOLUTIONS, "utf8")) as Record<string, number[][][]>;
  const [solved, other] = [...readFileSync(SAMPLE, "utf8").matchAll(/"(\w{8})": ?\{/g)].map(([, id]) => id!) as [string, string];
  truth[solved] = said[solved]!.map(({ attempt_2 }) => attempt_2);
  truth[other] = truth[other]!.map(() => [[7, 7, 7]]);
  const solutions = put("half.json", JSON.stringify(truth));
  const ended = await evaluate("--solutions", solutions, "--tasks", `${solved},${other}`);
  assert.equal(ended.status, 0, ended.stderr);
  assert.match(ended.stdout, new RegExp(`^${solved}  test 0  .*solved \\(attempt 2\\)`, "m"));
  assert.match(ended.stdout, new RegExp(`^${other}  test 0  .*not solved`, "m"));
  assert.match(ended.stdout, /^pass@1 +0\.00 % +0\.00 %$/m);
  assert.match(ended.stdout, /^pass@2 +\d+\.00 % +50\.00 %$/m);
  assert.doesNotMatch(ended.stdout, /submission\.json/);
  assert.equal(
    ended.stdout.match(/^pass@2 .*$/m)![0],
    (await trm("score", first, "--solutions", solutions, "--challenges", challengesOf(solved, other))).stdout.match(/^pass@2 .*$/m)![0],
  );
  assert.deepEqual(readdirSync(scratch), []);
});

/** A challenges file of these sample tasks. */
function challengesOf(...ids: string[]): string {
  const tasks = JSON.parse(readFileSync(SAMPLE, "utf8")) as Record<string, unknown>;
  return put("some.json", JSON.stringify(Object.fromEntries(ids.map((id) => [id, tasks[id]]))));
}

test("what can't be scored is refused before anything is predicted", async () => {
  const none = await evaluate();
  assert.equal(none.status, 1);
  assert.match(none.stderr, /^--solutions must be given: .*sample-challenges\.json holds no outputs of its tests/);
  const foreign = await evaluate("--solutions", put("foreign.json", '{"00000000": [[[1]]]}'));
  assert.equal(foreign.status, 1);
  assert.match(foreign.stderr, /foreign\.json: solves no task of .*are these files of the same set\?/);
  const adapt = await evaluate("--solutions", SAMPLE_SOLUTIONS, "--steps", "3");
  assert.equal(adapt.status, 1);
  assert.match(adapt.stderr, /steps/);
  assert.ok(!existsSync("submission.json"));
  assert.deepEqual(readdirSync(scratch), []);
});
