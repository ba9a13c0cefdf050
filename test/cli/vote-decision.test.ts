/** Votes that can't change an answer any more are not made: with real workers, lost ones, and runs taken up again. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { saveCheckpoint } from "../../src/checkpoint/save.ts";
import { FIRST_COLOR } from "../../src/encode/vocabulary.ts";
import { assertValid, childrenOf, type Ended, folder, lastLine, type Running, runArguments, start, toyCheckpoint } from "./toy.ts";

const VARIANTS = 64;
const OPTIONS = ["--method", "none", "--train-variants", String(VARIANTS - 1), "--vote-variants", String(VARIANTS), "--limit", "7"];

/** Starts a run that only predicts; `--json`, with a folder. */
async function begin(name: string, ...options: string[]): Promise<{ running: Running; out: string; runDir: string }> {
  const { args, out } = await runArguments(name, "600s");
  const runDir = join(folder, name, "run");
  return { running: start(...args, ...OPTIONS, "--workers", "2", "--run-dir", runDir, "--json", ...options), out, runDir };
}

interface Result {
  readonly ended: Ended;
  readonly submission: string;
  readonly result: Record<string, number | boolean>;
  /** votes of each answer that is kept, of each test input */
  readonly votes: number[][];
}

async function resultOf({ running, out, runDir }: Awaited<ReturnType<typeof begin>>): Promise<Result> {
  const ended = await running.ended;
  const result = lastLine(ended) as Record<string, number | boolean>;
  await assertValid(out);
  const { tasks } = JSON.parse(readFileSync(join(runDir, "candidates.json"), "utf8")) as { tasks: Record<string, { votes: number }[][]> };
  const votes = Object.values(tasks).flatMap((inputs) => inputs.map((answers) => answers.map((answer) => answer.votes)));
  return { ended, submission: readFileSync(out, "utf8"), result, votes };
}

let all: Result;
let cut: Result;
before(async () => {
  all = await resultOf(await begin("all", "--vote-all"));
  cut = await resultOf(await begin("cut"));
});

test("a run that stops voting where an input is decided hands in what one that spends all variants does, and tells what it saved", (t) => {
  const inputs = 8;
  assert.deepEqual([all.result.savedPredictions, all.result.decidedInputs, all.result.complete], [0, 0, true]);
  assert.match(all.ended.stderr, new RegExp(` ${inputs * VARIANTS} predictions of ${inputs * VARIANTS} `));
  const saved = cut.result.savedPredictions as number;
  t.diagnostic(`${saved} of ${inputs * VARIANTS} predictions saved`); // few: this model answers almost every variant in a way of its own
  assert.deepEqual([cut.result.decidedInputs, cut.result.complete], [inputs, true]);
  const told = saved > 0 ? `.*two answers to 8 of 8 test inputs, which saved ${saved} predictions` : ""; // none where both workers were at the last ones
  assert.match(cut.ended.stderr, new RegExp(` ${inputs * VARIANTS - saved} predictions of ${inputs * VARIANTS} ${told}`));
  assert.match(cut.ended.stderr, /predict +\d+\/\d+ predictions, \d\/8 test inputs decided/);
  assert.ok((cut.result.votes as number) <= (all.result.votes as number) - saved);
  assert.equal(cut.submission, all.submission);
});

test("the votes are the same on one worker as on two, though two have predictions under way when an input is decided", async () => {
  const alone = await resultOf(await begin("alone", "--workers", "1"));
  assert.deepEqual([alone.submission, alone.votes], [cut.submission, cut.votes]);
});

/**
 * A checkpoint of the toy's shape that gives one of two answers, by the sign of the puzzle row's first number, which three rows of four have positive:
 * the whole canvas or the cells of the input, in colour 0. @returns its folder
 */
async function twoAnswersCheckpoint(): Promise<string> {
  const checkpoint = loadCheckpoint(await toyCheckpoint());
  const { hiddenSize: D, vocabularySize } = checkpoint.config.model;
  for (const { data } of checkpoint.trunk.values()) data.fill(0);
  const set = (name: string, row: number, col: number, weight = 1): void => {
    checkpoint.trunk.get(name)!.data[row * D + col] = weight;
  };
  for (let token = FIRST_COLOR; token < vocabularySize; token++) set("embed_tokens.embedding_weight", token, 1); // a cell is told from what is around
  set("L_level.layers.0.self_attn.qkv_proj.weight", 2 * D, 0); // the row's first number goes to every position
  set("L_level.layers.0.self_attn.o_proj.weight", 0, 0);
  set("lm_head.weight", FIRST_COLOR, 0); // everywhere where it is positive, and nowhere else but where
  set("lm_head.weight", FIRST_COLOR, 1, 100); // a cell is
  const { mean, std } = checkpoint.puzzleEmbedding;
  for (const numbers of [mean, std]) numbers.fill(0);
  [mean[0], std[0]] = [0.67, 1];
  const path = join(folder, "two-answers-checkpoint");
  saveCheckpoint(path, { ...checkpoint, modelCard: "gives one of two answers\n" });
  return path;
}

test("where variants agree on two answers, many are not asked any more", async () => {
  const options = ["--checkpoint", await twoAnswersCheckpoint(), "--start", "normal"];
  const whole = await resultOf(await begin("two-all", "--vote-all", ...options));
  const short = await resultOf(await begin("two", ...options));
  for (const [first, second, ...others] of whole.votes.slice(0, 8)) {
    assert.deepEqual([first! + second!, others], [VARIANTS, []]);
    assert.ok(first! > second! && second! > 0, `${first} and ${second} votes`);
  }
  const saved = short.result.savedPredictions as number;
  assert.ok(saved > 16, `${saved} predictions saved`);
  assert.deepEqual([short.result.decidedInputs, short.submission], [8, whole.submission]);
});

test("with --sync none each worker stops at its own decided inputs", async () => {
  const whole = await resultOf(await begin("apart-all", "--sync", "none", "--vote-all"));
  const short = await resultOf(await begin("apart", "--sync", "none"));
  assert.equal(short.result.decidedInputs, 8);
  assert.equal(short.submission, whole.submission);
});

test("a worker that is lost while it predicts, and a run that is killed and taken up again, change none of it", async () => {
  const lost = await begin("lost");
  await lost.running.said(/predict +\d+\/\d+/);
  await sleep(100);
  process.kill(childrenOf(lost.running.child.pid!)[0]!, "SIGKILL");
  const afterLoss = await resultOf(lost);
  assert.equal(afterLoss.result.lost, 1, "the worker was to be lost in its work");
  assert.deepEqual([afterLoss.submission, afterLoss.votes], [cut.submission, cut.votes]);
  const killed = await begin("killed");
  await killed.running.said(/predict +\d+\/\d+/);
  await sleep(300);
  for (const pid of [killed.running.child.pid!, ...childrenOf(killed.running.child.pid!)]) process.kill(pid, "SIGKILL");
  await killed.running.ended;
  const resumed = await resultOf({ ...killed, running: start("run", "--resume", killed.runDir, "--json") });
  assert.match(resumed.ended.stderr, /taken up again in phase predict/);
  assert.deepEqual([resumed.submission, resumed.votes, resumed.result.complete], [cut.submission, cut.votes, true]);
});
