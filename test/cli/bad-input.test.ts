import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { assertValid, type Ended, folder, lastLine, put, runArguments, SAMPLE, toyCheckpoint, trm } from "./toy.ts";

const GOOD = '{"train": [{"input": [[1, 2]], "output": [[2, 1]]}], "test": [{"input": [[3, 4]]}]}';
const trainInput = (input: string): string => `{"train": [{"input": ${input}, "output": [[1]]}], "test": [{"input": [[3, 4]]}]}`;
const square = (side: number): string => JSON.stringify(Array.from({ length: side }, () => new Array<number>(side).fill(1)));

/** Asserts a refusal: status 1, one message that says this, no stack trace, no bug of ours. */
function assertRefused({ status, stdout, stderr }: Ended, message: RegExp): void {
  assert.equal(status, 1, stderr);
  assert.match(stderr, message);
  assert.doesNotMatch(stderr, /\n\s+at |internal:/);
  assert.equal(stdout, "");
}

/** Asserts that a run with these options on top is refused before anything is written. */
async function refused(message: RegExp, ...options: string[]): Promise<void> {
  const name = `refused-${Math.random()}`;
  const { args } = await runArguments(name, "20s");
  assertRefused(await trm(...args, ...options), message);
  assert.ok(!existsSync(join(folder, name)), "something was written");
}

test("a challenges file that is wrong as a whole is refused with its name and what is wrong", async () => {
  const nonsense = Buffer.alloc(50 * 2 ** 20, '\u00e9\u0000{["nonsense', "latin1");
  const twice = `{"a": ${GOOD}, "b": ${GOOD}, "a": ${trainInput("[[5]]")}}`;
  for (const [name, content, message] of [
    ["text.json", "hello", /text\.json: is not a JSON object of tasks: it starts with "hello"/],
    ["cut.json", `{"a": ${GOOD}, "b": {"train": [`, /cut\.json: .+/],
    ["empty.json", "{}", /empty\.json: holds no task/],
    ["list.json", `[${GOOD}]`, /list\.json: is not a JSON object of tasks/],
    ["twice.json", twice, /twice\.json: task a stands twice with different content/],
    ["nonsense.json", nonsense, /nonsense\.json: .+/],
    ["solutions.json", '{"a": [[[1]]]}', /solutions\.json: holds no task; every value is a list: is this a solutions file/],
  ] as const) {
    await refused(message, "--challenges", put(name, content));
  }
  await refused(/none\.json: does not exist; check the path/, "--challenges", join(folder, "none.json"));
});

test("one bad task costs that task: a warning that names the spot, its fallback, and the run goes on with the others", async () => {
  const bad: readonly (readonly [id: string, task: string, spot: RegExp])[] = [
    ["ragged", trainInput("[[1, 2], [3]]"), /task ragged, train 0, input.*row 1 has 1/],
    ["color", trainInput("[[1, 10]]"), /task color, train 0, input.*10/],
    ["large", trainInput(square(31)), /task large, train 0, input.*31/],
    ["notest", '{"train": [{"input": [[1]], "output": [[1]]}], "test": []}', /task notest, has no test input/],
    ["notrain", '{"train": [], "test": [{"input": [[7]]}]}', /task notrain, has no train pair/],
  ];
  const tasks = [...bad.map(([id, task]) => `"${id}": ${task}`), `"good": ${GOOD}`];
  const challenges = put("some-bad.json", `{${tasks.join(", ")}}`);
  const { args, out } = await runArguments("some-bad", "300s", challenges);
  const strict = await trm(...args, "--strict");
  assert.equal(strict.status, 1);
  for (const [id, , spot] of bad) assert.match(strict.stderr, spot, id);
  const ended = await trm(...args, "--steps", "1", "--workers", "1", "--json");
  const result = lastLine(ended);
  for (const [id, , spot] of bad) assert.match(ended.stderr, new RegExp(`warning: .*some-bad\\.json: ${spot.source}`), id);
  await assertValid(out, challenges);
  const submission = JSON.parse(readFileSync(out, "utf8")) as Record<string, { attempt_1: number[][] }[]>;
  assert.deepEqual(submission.ragged![0]!.attempt_1, [[3, 4]], "the fallback of a task whose test input can be read is that input");
  assert.deepEqual(submission.notest, [], "no test input, no answer");
  assert.deepEqual({ tasks: result.tasks, votes: result.votes }, { tasks: 6, votes: 3 });
});

test("a file in which all tasks are bad still gets a valid submission of fallbacks, with warnings", async () => {
  const challenges = put("all-bad.json", `{"a": ${trainInput("[[1, 2], [3]]")}, "b": ${trainInput("[[11]]")}}`);
  const { args, out } = await runArguments("all-bad", "20s", challenges);
  const ended = await trm(...args, "--json");
  const result = lastLine(ended);
  assert.match(ended.stderr, /warning: .*task a[\s\S]*warning: .*task b/);
  assert.equal(result.fallbackInputs, 2);
  assert.ok(ended.seconds < 15, "there was nothing to wait for");
  await assertValid(out, challenges);
});

/** The toy checkpoint with some files put in place of its own. */
async function checkpointWith(name: string, files: Record<string, string | Uint8Array>): Promise<string> {
  const toy = await toyCheckpoint();
  const copy = join(folder, name);
  mkdirSync(copy);
  for (const file of readdirSync(toy)) copyFileSync(join(toy, file), join(copy, file));
  for (const [file, content] of Object.entries(files)) writeFileSync(join(copy, file), content);
  return copy;
}

test("a checkpoint that is missing, cut short or of another shape is refused with the file and what does not fit", async () => {
  const toy = await toyCheckpoint();
  const config = JSON.parse(readFileSync(join(toy, "config.json"), "utf8")) as { model: object };
  const other = JSON.stringify({ ...config, model: { ...config.model, hiddenSize: 32, puzzleEmbeddingSize: 32 } });
  const weights = readFileSync(join(toy, "model.safetensors"));
  const cases: readonly (readonly [checkpoint: string, message: RegExp])[] = [
    [join(folder, "nowhere"), /nowhere: no such folder; a checkpoint is a folder with config\.json and model\.safetensors/],
    [join(toy, "config.json"), /config\.json: is a file; a checkpoint is a folder/],
    [
      await checkpointWith("other-shape", { "config.json": other }),
      /other-shape\/model\.safetensors: \d+ problems\n[\s\S]*\[\d+, 16\][\s\S]*32/,
    ],
    [await checkpointWith("no-json", { "config.json": "{" }), /no-json\/config\.json: .*JSON/],
    [
      await checkpointWith("cut-short", { "model.safetensors": weights.subarray(0, weights.length - 1000) }),
      /cut-short\/model\.safetensors: .+/,
    ],
    [await checkpointWith("header-only", { "model.safetensors": weights.subarray(0, 100) }), /header-only\/model\.safetensors: .+/],
  ];
  for (const [i, [checkpoint, message]] of cases.entries()) {
    const { args, out } = await runArguments(`checkpoint-${i}`, "20s");
    assertRefused(await trm(...args, "--checkpoint", checkpoint, "--log-level", "error"), message);
    await assertValid(out); // the fallbacks come first
  }
});

test("an option that is unknown or has a wrong value is refused, by its name and with what is expected", async () => {
  await refused(/Unknown argument: bugdet/, "--bugdet", "3s");
  await refused(/--budget: its value is missing/, "--budget");
  await refused(/--budget "abc" is not a duration; write it as/, "--budget", "abc");
  await refused(/--budget "abc"/, "--budget", "1s", "--budget", "abc"); // the last one counts
  await refused(/--preset dmeo: no such preset; did you mean demo\?/, "--preset", "dmeo");
  await refused(/--workers 0: expected auto or a whole number in 1\.\.64/, "--workers", "0");
  await refused(/--canvas 31: expected auto, grouped or a whole number in 1\.\.30/, "--canvas", "31");
  await refused(/--steps: expected a number/, "--steps", "abc");
  await refused(/--steps -1: expected a whole number from 0 up/, "--steps", "-1");
  await refused(/--limit 0: expected a whole number from 1 up/, "--limit", "0");
  await refused(/--micro-batch 1\.5: expected a whole number from 1 up/, "--micro-batch", "1.5");
  await refused(/--batch-size is 0; expected a whole number in 1\.\.65536/, "--batch-size", "0");
  await refused(/engine.*"fast".*"wasm"/, "--engine", "fast");
  await refused(/--tasks: no task x/, "--tasks", "x");
  assertRefused(await trm("rnu"), /rnu: no such command. Did you mean run\?/);
  assertRefused(await trm(), /name a command/);
  assertRefused(await trm("pretrain", "--out", join(folder, "p")), /give --steps, --epochs or --budget/);
});

test("--out in a folder that is not there is made; below a file it is refused", async () => {
  const deep = join(folder, "a", "b", "c", "s.json");
  const { args } = await runArguments("deep", "300s");
  lastLine(await trm(...args, "--out", deep, "--steps", "0", "--limit", "1", "--workers", "1", "--json"));
  await assertValid(deep);
  const file = put("file", "");
  const below = join(file, "submission.json");
  assertRefused(await trm(...args, "--out", below), /--out .*file\/submission\.json: can't be written: /);
  assert.equal(readFileSync(file, "utf8"), "");
  assertRefused(await trm(...args, "--out", folder), /--out .*: can't be written: /);
});

test("a run folder that can't be made, or a --config or --solutions file that can't be read, is refused", async () => {
  const { args } = await runArguments("aside", "20s");
  const below = join(put("plain", ""), "run");
  assertRefused(await trm(...args, "--run-dir", below), /--run-dir .*plain\/run: can't be written: /);
  assertRefused(await trm(...args, "--config", join(folder, "no-config.json")), /--config .*no-config\.json: /);
  assertRefused(await trm(...args, "--solutions", SAMPLE), /sample-challenges\.json: /);
});
