import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  assertValid,
  childrenOf,
  folder,
  keysInOrder,
  largeTasks,
  lastLine,
  peakBytes,
  put,
  roomySeconds,
  runArguments,
  SAMPLE,
  SAMPLE_SOLUTIONS,
  scratch,
  slackSeconds,
  start,
  trm,
} from "./toy.ts";

const MIB = 2 ** 20;
const ids = (path: string): string[] => keysInOrder(readFileSync(path, "utf8"));
const sampleIds = [...readFileSync(SAMPLE, "utf8").matchAll(/^\s*\{?\s*"([^"]+)": \{/gm)].map(([, id]) => id!);

test("run adapts, predicts and votes within its budget, and leaves a valid submission and what --json promises", async () => {
  const budget = await roomySeconds();
  const { args, out } = await runArguments("whole", `${budget}s`);
  const running = start(...args, "--solutions", SAMPLE_SOLUTIONS, "--workers", "2", "--run-dir", dirname(out), "--json");
  await running.said(/train +step/);
  await sleep(1000); // the peak of memory is that of a step
  const parentBytes = peakBytes(running.child.pid!);
  const workerBytes = childrenOf(running.child.pid!).map(peakBytes);
  const ended = await running.ended;
  const result = lastLine(ended);
  assert.ok(ended.seconds <= budget + 2, `a budget of ${budget} s took ${ended.seconds} s\n${ended.stderr}`);
  await assertValid(out);
  assert.deepEqual(ids(out), sampleIds, "ids in the order of the challenges");

  const candidates = join(out, "../candidates.json");
  assert.deepEqual(
    {
      submission: result.submission,
      candidates: result.candidates,
      tasks: result.tasks,
      testInputs: result.testInputs,
      workers: result.workers,
    },
    { submission: out, candidates, tasks: 20, testInputs: 22, workers: 2 },
  );
  assert.ok((result.steps as number) > 0, ended.stderr);
  assert.equal(result.engine, "wasm");
  assert.match(result.engineDescription as string, /wasm/);
  const seconds = result.seconds as Record<string, number>;
  assert.deepEqual(Object.keys(seconds), ["load", "adapt", "predict", "total"]);
  assert.ok(
    Object.values(seconds).every((value) => value > 0) && seconds.total! >= seconds.load! + seconds.adapt! + seconds.predict! - 0.01,
  );
  assert.ok(seconds.total! <= ended.seconds, "the run's own clock starts no earlier than the process");
  assert.ok((result.fallbackInputs as number) >= 0 && (result.fallbackInputs as number) <= 22);
  const score = result.score as Record<string, number>;
  for (const name of ["pass@1", "pass@2", "pass@1PerTask", "pass@2PerTask"]) assert.ok(score[name]! >= 0 && score[name]! <= 1, name);

  // The learning curve: scored before, on the way as often as planned, and at the end.
  const curve = result.curve as { step: number; seconds: number; score: Record<string, number> }[];
  const events = readFileSync(join(dirname(out), "events.jsonl"), "utf8")
    .trimEnd()
    .split("\n");
  const plans = events.map((line) => JSON.parse(line)).filter(({ event }) => event === "plan"); // the first one: interims stay as it has them
  const plan = plans[0] as { trainSeconds: number; interims: { count: number; seconds: number } };
  assert.ok(plan.interims.count * plan.interims.seconds <= 0.061 * plan.trainSeconds, JSON.stringify(plan));
  assert.equal(curve.length, plan.interims.count + 2);
  assert.equal(curve[0]!.step, 0);
  assert.equal(curve.at(-1)!.step, result.steps);
  curve.slice(1).forEach((point, i) => {
    assert.ok(point.step >= curve[i]!.step && point.seconds > curve[i]!.seconds, `point ${i + 1} comes after the one before`);
  });
  for (const { score: at } of curve) assert.ok(["pass@1", "pass@2", "pass@10"].every((name) => at[name]! >= 0 && at[name]! <= 1));
  assert.equal(curve.at(-1)!.score["pass@2"], score["pass@2"]);

  const { tasks } = JSON.parse(readFileSync(candidates, "utf8")) as { tasks: Record<string, { votes: number }[][]> };
  assert.deepEqual(Object.keys(tasks).sort(), [...sampleIds].sort());
  const inputs = Object.values(tasks).flat();
  assert.ok(inputs.every((answers) => answers.every(({ votes }) => votes >= 1)));
  const unanswered = inputs.filter((answers) => answers.length === 0).length; // by a machine that is very busy
  assert.ok(unanswered === result.fallbackInputs && unanswered < 22, `${unanswered} without an answer, ${result.fallbackInputs} told`);

  assert.ok((result.parentRssBytes as number) < 300 * MIB && parentBytes < 300 * MIB, `parent ${parentBytes}`);
  for (const bytes of result.workerRssBytes as number[]) assert.ok(bytes > 0 && bytes < 1000 * MIB, `worker ${bytes}`);
  assert.equal(workerBytes.length, 2);
  for (const bytes of workerBytes) assert.ok(bytes > 0 && bytes < 1000 * MIB, `worker from outside ${bytes}`);
  assert.deepEqual(readdirSync(scratch), [], "no socket folder is left over");
});

test("run --tasks and --limit work on some tasks and give the others fallbacks", async () => {
  const [first, second, third] = sampleIds as [string, string, string];
  const many = ["--train-variants", "7", "--vote-variants", "8"];
  const some = await runArguments("some", "300s");
  const result = lastLine(await trm(...some.args, ...many, "--tasks", `${third},${first}`, "--method", "none", "--workers", "1", "--json"));
  const [bytes] = result.workerRssBytes as number[];
  assert.ok(bytes! > 10 * MIB, `${bytes}: told by workers that do nothing but predict, too`);
  assert.deepEqual(ids(some.out), sampleIds);
  await assertValid(some.out);
  const answersIn = (path: string): Record<string, unknown[][]> => JSON.parse(readFileSync(join(path, "../candidates.json"), "utf8")).tasks;
  const answered = (path: string): string[] => {
    const tasks = answersIn(path);
    return sampleIds.filter((id) => tasks[id]?.some((answers) => answers.length > 0));
  };
  assert.deepEqual(answered(some.out), [first, third]);
  assert.ok((result.fallbackInputs as number) >= 18);
  const limited = await runArguments("limited", "300s");
  lastLine(await trm(...limited.args, ...many, "--limit", "2", "--keep-answers", "2", "--method", "none", "--workers", "1", "--json"));
  assert.deepEqual(answered(limited.out), [first, second]);
  const most = (path: string): number =>
    Math.max(...Object.values(answersIn(path)).flatMap((tests) => tests.map((answers) => answers.length)));
  assert.ok(most(some.out) > 2, `${most(some.out)} different answers`);
  assert.equal(most(limited.out), 2, "--keep-answers 2");
  const none = await trm(...limited.args, "--keep-answers", "1");
  assert.equal(none.status, 1);
  assert.match(none.stderr, /--keep-answers 1: expected a whole number from 2 up/);
});

test("tasks that do not fit a canvas that was asked for keep fallbacks, and cost the others nothing", async () => {
  const { args, out } = await runArguments("narrow", "300s");
  const narrow = await trm(...args, "--canvas", "6", "--method", "none", "--workers", "1", "--json");
  const result = lastLine(narrow);
  assert.match(narrow.stderr, /6 of 20 tasks have grids of more than 6 cells a side \(--canvas\): they keep fallback answers/);
  assert.deepEqual([result.tasks, result.testInputs, result.canvas, result.fallbackInputs], [20, 22, 6, 7]);
  await assertValid(out);
  const none = await trm(...args, "--canvas", "5", "--method", "none");
  assert.equal(none.status, 1);
  assert.match(none.stderr, /--canvas 5: every task has a larger grid; --canvas auto takes what the tasks need/);
});

test("run --leave-out holds demonstrations back and tells how well they are answered, before and after", async () => {
  const { args } = await runArguments("left-out", "300s");
  const tasks = Object.values(JSON.parse(readFileSync(SAMPLE, "utf8")) as Record<string, { train: unknown[] }>);
  const held = tasks.filter(({ train }) => train.length >= 3).length;
  assert.ok(held > 0);
  const leaving = lastLine(await trm(...args, "--leave-out", "1", "--steps", "3", "--canvas", "8", "--json"));
  const [before, after, ...more] = leaving.leftOut as { step: number; pairs: number; predictions: number; exact: number; lmLoss: number }[];
  assert.equal(more.length, 0);
  assert.deepEqual([before!.step, after!.step], [0, 3]);
  for (const { pairs, predictions, exact, lmLoss } of [before!, after!]) {
    assert.equal(pairs, held);
    assert.ok(predictions >= pairs && exact >= 0 && exact <= 1 && lmLoss > 0, JSON.stringify({ predictions, exact, lmLoss }));
  }
  assert.notEqual(before!.lmLoss, after!.lmLoss);
  assert.equal(leaving.testInputs, 22, "tests are answered as ever, left-out pairs are none of them");
  assert.equal(lastLine(await trm(...args, "--steps", "0", "--json")).leftOut, undefined);
});

test("a run folder has the submission too, wherever else it goes", async () => {
  const { args, out } = await runArguments("elsewhere", "300s");
  const runDir = join(folder, "elsewhere-run");
  const running = start(...args, "--run-dir", runDir, "--limit", "2", "--method", "none", "--workers", "1", "--json");
  await running.said(/fallback answers for all/);
  lastLine(await running.ended);
  assert.equal(readFileSync(join(runDir, "submission.json"), "utf8"), readFileSync(out, "utf8"));
  await assertValid(out);
});

test("run --sync none has each of two workers adapt to its own tasks, and answers all of them", async () => {
  const { args, out } = await runArguments("apart", "300s");
  const ended = await trm(...args, "--sync", "none", "--workers", "2", "--steps", "2", "--limit", "4", "--json");
  const result = lastLine(ended);
  assert.equal(result.steps, 2);
  assert.equal(result.votes, 3 * 4, "each of the four inputs once before training, and twice after"); // 2 variants
  await assertValid(out);
});

/** Votes and halting probabilities: any change of the weights that predict shows in them. */
async function candidatesOf(name: string, ...options: string[]): Promise<string> {
  const { args, out } = await runArguments(name, "300s");
  lastLine(await trm(...args, "--limit", "3", "--workers", "1", "--ema-decay", "0", "--json", ...options));
  return readFileSync(join(out, "../candidates.json"), "utf8");
}

test("run --method embeddings moves the puzzle rows alone; none and --steps 0 move nothing", async () => {
  const none = await candidatesOf("none", "--method", "none");
  assert.equal(await candidatesOf("no-steps", "--steps", "0"), none);
  const still = ["--steps", "2", "--lr-puzzle", "0", "--lr-trunk", "0.05"]; // rows stand still: what changes is the trunk
  assert.equal(await candidatesOf("rows-still", "--method", "embeddings", ...still), none, "the trunk has moved");
  assert.notEqual(await candidatesOf("full-still", "--method", "full", ...still), none, "a moved trunk would not have shown");
  const rows = await candidatesOf("rows", "--method", "embeddings", "--steps", "2", "--lr-puzzle", "0.5");
  assert.notEqual(rows, none, "the rows have not moved");
});

test("a task of few distinct variants gets as many votes as it has variants", async () => {
  // Two symmetries and nine colours make 18 different looks of it.
  const pair = {
    input: [
      [0, 5],
      [5, 0],
    ],
    output: [[5]],
  };
  const { train, test: tests } = Object.values(JSON.parse(readFileSync(SAMPLE, "utf8")))[0] as { train: unknown[]; test: unknown[] };
  const file = put(
    "few.json",
    JSON.stringify({ few: { train: [pair, pair], test: [{ input: pair.input }] }, many: { train, test: tests.slice(0, 1) } }),
  );
  const { args, out } = await runArguments("few", "300s", file);
  const ended = await trm(...args, "--method", "none", "--train-variants", "30", "--vote-variants", "25", "--vote-all", "--json");
  const { lost, complete } = lastLine(ended);
  assert.deepEqual([lost, complete], [0, true]);
  const { tasks } = JSON.parse(readFileSync(join(dirname(out), "candidates.json"), "utf8"));
  const votes = (id: string): number => tasks[id][0].reduce((sum: number, each: { votes: number }) => sum + each.votes, 0);
  assert.ok(votes("few") <= 18 && votes("many") <= 25 && votes("many") > votes("few"), `${votes("few")} and ${votes("many")}`);
});

test("the same seed and number of workers give the same candidates", async () => {
  const twice = ["first-time", "second-time"].map(async (name) => {
    const { args, out } = await runArguments(name, "300s");
    lastLine(await trm(...args, "--limit", "3", "--workers", "2", "--steps", "3", "--seed", "7", "--json"));
    return readFileSync(join(out, "../candidates.json"), "utf8");
  });
  assert.equal(await twice[0], await twice[1]);
});

for (const budget of [1, 3]) {
  test(`a budget of ${budget} s that is too small to adapt is kept, with a warning and a valid submission`, async () => {
    const { args, out } = await runArguments(`budget-${budget}`, `${budget}s`);
    const ended = await trm(...args, "--batch-size", "4096", "--workers", "2", "--json");
    const result = lastLine(ended);
    assert.ok(ended.seconds <= budget + (await slackSeconds()), `took ${ended.seconds} s`);
    assert.equal(result.steps, 0);
    assert.match(ended.stderr, /warning: the budget of [13]s left no time for a (training step|prediction); these are/);
    await assertValid(out);
  });
}

test("tasks with 30 x 30 grids are done in time: fewer votes, none missing", async () => {
  const { args, out } = await runArguments("large", "8s", largeTasks(10));
  const ended = await trm(...args, "--workers", "2", "--json");
  const result = lastLine(ended);
  assert.ok(ended.seconds <= 10, `took ${ended.seconds} s\n${ended.stderr}`);
  assert.equal(result.canvas, 30);
  await assertValid(out, largeTasks(10));
});

test("a reader of the log that goes away does not end the run", async () => {
  const { args, out } = await runArguments("deaf", "300s");
  const running = start(...args, "--limit", "2", "--steps", "1", "--workers", "1", "--log-level", "debug");
  running.child.stderr!.destroy();
  running.child.stdout!.destroy();
  const { status } = await running.ended;
  assert.equal(status, 0);
  const { tasks } = JSON.parse(readFileSync(join(out, "../candidates.json"), "utf8")) as { tasks: Record<string, unknown[][]> };
  assert.ok(tasks[sampleIds[0]!]![0]!.length > 0, "it predicted");
});
