import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { loadTrainingState } from "../../src/checkpoint/training-state.ts";
import { folder, lastLine, SAMPLE, SAMPLE_SOLUTIONS, start, toyCheckpoint, trm } from "./toy.ts";

const COURSE =
  "--hidden-size 16 --num-heads 2 --batch-size 6 --canvas 8 --engine wasm --variants 5 --json --steps 40 --lr-trunk 1e-2 --ema-decay 0.9".split(
    " ",
  );
const ENCODER =
  "--embedding both --encoder-layers 1 --encoder-pairs 3 --generated-share 0.5 --rules-per-kind 1 --row-visits 6 --row-slots 10".split(" ");
const into = (name: string): string[] => ["--out", join(folder, name), "--state", join(folder, `${name}-state`)];

test("a training of an encoder that was killed ends as an unbroken one, bit for bit", async () => {
  const arguments_ = ["pretrain", ...COURSE, ...ENCODER, "--tasks", SAMPLE, "--solutions", SAMPLE_SOLUTIONS];
  lastLine(await trm(...arguments_, ...into("unbroken")));
  const killed = start(...arguments_, ...into("killed"), "--save-every", "0.3");
  await killed.said(/: step [1-9]/);
  killed.child.kill("SIGKILL");
  await killed.ended;
  const { step } = loadTrainingState(join(folder, "killed-state"))!.record;
  assert.ok(Number(step) > 0 && Number(step) < 40, `killed after step ${step}: no test of anything`);
  lastLine(await trm("pretrain", ...into("killed"), "--resume", join(folder, "killed-state"), "--engine", "wasm", "--json"));
  for (const file of ["killed/model.safetensors", ...readdirSync(join(folder, "killed-state")).map((name) => `killed-state/${name}`)]) {
    if (file.endsWith("training.json")) continue; // says how long it took
    assert.ok(readFileSync(join(folder, file)).equals(readFileSync(join(folder, file.replace("killed", "unbroken")))), file);
  }
  const { config, encoder } = loadCheckpoint(join(folder, "killed"));
  assert.deepEqual(config.encoder, { layers: 1, pairs: 3 });
  assert.ok(
    encoder!.get("encoder.out.weight")!.data.some((value) => Math.abs(value) > 0.01),
    "it has learned something",
  );
});

test("--lr-encoder is the encoder's rate alone; with --embedding encoder there is no table", async () => {
  const course = COURSE.map((word) => (word === "40" ? "1" : word));
  const trained = async (name: string, ...options: string[]) => {
    lastLine(await trm("pretrain", ...course, "--tasks", SAMPLE, ...into(name), ...options));
    return loadCheckpoint(join(folder, name));
  };
  const [slow, fast] = [
    await trained("slow", ...ENCODER, "--lr-encoder", "1e-4"),
    await trained("fast", ...ENCODER, "--lr-encoder", "1e-1"),
  ];
  assert.deepEqual(slow.trunk, fast.trunk);
  assert.notDeepEqual(slow.encoder, fast.encoder);
  const alone = await trained("encoder-alone", "--embedding", "encoder", "--encoder-layers", "1");
  assert.equal(alone.config.encoder?.layers, 1);
  const rowsOf = (name: string): number => (loadTrainingState(join(folder, `${name}-state`))!.puzzles as number[]).length;
  assert.ok(rowsOf("slow") > 0);
  assert.equal(rowsOf("encoder-alone"), 0);
});

test("zero-shot answers are those of the encoder's rows: others than from the mean, the same from one worker and from two", async () => {
  const answersOf = async (name: string, ...options: string[]): Promise<string> => {
    const out = join(folder, name, "submission.json");
    const common = "--method none --train-variants 1 --vote-variants 2 --canvas 8 --engine wasm --budget 60s --limit 6 --json".split(" ");
    const ended = await trm(
      "run",
      "--challenges",
      SAMPLE,
      "--checkpoint",
      join(folder, "unbroken"),
      "--out",
      out,
      "--vote-all",
      ...common,
      ...options,
    );
    assert.equal(lastLine(ended).complete, true, ended.stderr);
    return readFileSync(join(folder, name, "candidates.json"), "utf8");
  };
  const alone = await answersOf("alone", "--start", "encoder", "--workers", "1");
  assert.equal(await answersOf("two", "--start", "encoder", "--workers", "2", "--micro-batch", "3"), alone);
  assert.notEqual(await answersOf("mean", "--start", "mean", "--workers", "1"), alone);
});

type Pass = Readonly<Record<"pass@1", number>>;

test("the first answers of a run are the encoder's, though the rows that it trains begin at the mean", async () => {
  const sample = ["--checkpoint", resolve("checkpoints/sample"), "--preset", "demo", "--canvas", "8", "--engine", "wasm", "--workers", "1"];
  const files = ["--challenges", SAMPLE, "--solutions", SAMPLE_SOLUTIONS, "--budget", "60s", "--json"];
  const scoreOf = async (name: string, ...options: string[]): Promise<number> => {
    const ended = await trm("run", ...files, ...sample, "--out", join(folder, name, "submission.json"), ...options);
    const { curve, score } = lastLine(ended) as { curve: { step: number; score: Pass }[]; score: Pass };
    if (options.includes("none")) return score["pass@1"];
    assert.match(ended.stderr, /answers with the encoder's rows to 22 of 22 test inputs/);
    return curve.find(({ step }) => step === 0)!.score["pass@1"];
  };
  const one = ["--train-variants", "0", "--vote-variants", "1"];
  const zeroShot = await scoreOf("zero-shot", "--method", "none", "--start", "encoder", ...one);
  assert.ok(zeroShot > 0.2, `${zeroShot}`);
  assert.equal(await scoreOf("first", "--steps", "1", ...one), zeroShot);
  assert.ok((await scoreOf("mean", "--method", "none", "--start", "mean", ...one)) < 0.1);
});

test("a checkpoint without an encoder can't be begun with, and is told how to get one", async () => {
  const checkpoint = await toyCheckpoint();
  const { status, stderr } = await trm(
    "run",
    "--challenges",
    SAMPLE,
    "--checkpoint",
    checkpoint,
    "--out",
    join(folder, "none.json"),
    "--start",
    "encoder",
  );
  assert.equal(status, 1);
  assert.match(stderr, /has no encoder to begin puzzle rows with; `trm pretrain --from \S+ --embedding both` trains one/);
});
