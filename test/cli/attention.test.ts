/** Workers in which attention by cuDNN fails, as real processes: XLA's compiler for a CPU does not know it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { chooseEngine, workerEnvironment } from "../../src/backend/choose.ts";
import { locateTensorFlow } from "../../src/backend/locate-tensorflow.ts";
import { assertValid, BUNDLE, childrenOf, folder, lastLine, put, runArguments, SAMPLE_SOLUTIONS, start, trm } from "./toy.ts";

const search = locateTensorFlow();
const missing = search.found ? false : `no ${search.missing.join("; no ")}; \`npm run tensorflow\` gets it`;
const skip = process.env.TRM_REQUIRE_TENSORFLOW !== "1" && missing;

const PRETRAINING = "--steps 2 --hidden-size 16 --num-heads 2 --rules-per-kind 1 --batch-size 4".split(" ");
/** Has it tried. */
const TRIED = "--engine tensorflow --compile xla --precision bf16 --attention fused --limit 2 --json".split(" ");
const FAILS = /worker 0: \w+ step: attention by cuDNN fails here; it is composed from now on/g;

test("a run whose workers die over attention by cuDNN goes on with composed attention, each after one loss", { skip }, async () => {
  process.env.TRM_FAULT_INJECTION = "attention";
  try {
    const { args, out } = await runArguments("dies", "600s");
    const ended = await trm(...args, ...TRIED, "--workers", "2", "--steps", "4");
    const result = lastLine(ended);
    assert.deepEqual([result.lost, result.steps, result.workers], [2, 4, 2]);
    for (const rank of [0, 1]) {
      const said = `worker ${rank} of 2 ended by SIGABRT while attention by cuDNN ran for the first time; this worker composes attention from now on`;
      assert.equal(ended.stderr.split(said).length - 1, 1, ended.stderr);
    }
    assert.doesNotMatch(ended.stderr, /attention by cuDNN fails/); // neither tries again
    await assertValid(out);
  } finally {
    delete process.env.TRM_FAULT_INJECTION;
  }
});

test("run, evaluate and pretrain hand the choice to their workers", async () => {
  const { args } = await runArguments("asked", "60s");
  const evaluated = ["evaluate", ...args.slice(1, args.indexOf("--batch-size")), "--solutions", SAMPLE_SOLUTIONS, "--vote-variants", "2"];
  const pretrained = ["pretrain", ...PRETRAINING, "--engine", "wasm", "--out", join(folder, "asked", "model")];
  for (const command of [args, evaluated, pretrained]) {
    const { status, stderr } = await trm(...command, "--attention", "fused", "--workers", "1");
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^--attention fused: the wasm engine has no cuDNN; pass --engine tensorflow$/m);
    assert.doesNotMatch(stderr, /is started again|internal:/);
  }
});

test("rows at a time are planned for composed attention where it was asked for, and on GPUs too old for cuDNN's", { skip }, async () => {
  const driver = join(folder, "driver");
  const { args } = await runArguments("planned", "60s");
  const run = [...args.slice(0, args.indexOf("--engine")), "--batch-size", "96"];
  const pretrain = [
    "pretrain",
    ...PRETRAINING.slice(0, -2),
    "--batch-size",
    "96",
    "--canvas",
    "30",
    "--out",
    join(folder, "planned", "model"),
  ];
  const path = process.env.PATH;
  process.env.PATH = `${driver}:${path}`;
  /** Rows that a command plans on a GPU; it is ended before it could train. */
  const rows = async (command: readonly string[], capability: string, attention: string): Promise<number> => {
    const says = '-L) echo "GPU 0: a card";; *memory.total*) echo 1500;;';
    put("driver/nvidia-smi", `#!/bin/sh\ncase "$*" in ${says} *compute_cap*) echo ${capability};; *) exit 2;; esac\n`);
    chmodSync(join(driver, "nvidia-smi"), 0o755);
    const { child, ended, said } = start(
      ...command,
      "--engine",
      "tensorflow",
      "--attention",
      attention,
      "--recompute",
      "off",
      "--workers",
      "1",
    );
    await said(/rows at a time in each/);
    child.kill("SIGTERM");
    return Number(/(\d+) rows at a time in each/.exec((await ended).stderr)![1]);
  };
  try {
    for (const command of [[...run, "--canvas", "30"], pretrain]) {
      const fused = await rows(command, "8.9", "auto");
      const composed = await rows(command, "8.9", "composed");
      assert.ok(composed < fused && composed > 1, `${composed} composed, ${fused} by cuDNN`);
      assert.equal(await rows(command, "7.5", "auto"), composed);
      assert.equal(await rows(command, "[N/A]", "auto"), fused);
    }
  } finally {
    process.env.PATH = path;
  }
});

test("the probe of it, which doctor makes where there is a GPU, tells why it does not run; the engine works all the same", {
  skip,
}, async () => {
  const engine = chooseEngine("tensorflow");
  const args = [BUNDLE, "probe", "--engine", "tensorflow", "--binding", engine.location!.binding, "--attention"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...workerEnvironment(engine, 1) } });
  const answer = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
  assert.equal(answer.works, true);
  assert.match(answer.attention, /fmhaSoftmax/);
});

test("where it fails with an error no worker is lost and it is not tried again, in later processes neither; a loss later on is not put down to it", {
  skip,
}, async () => {
  const { args, out } = await runArguments("fails", "600s");
  const running = start(...args, ...TRIED, "--workers", "1", "--steps", "300");
  await running.said(/train +step/);
  process.kill(childrenOf(running.child.pid!)[0]!, "SIGKILL");
  const ended = await running.ended;
  const result = lastLine(ended);
  assert.deepEqual([result.lost, result.steps], [1, 300]);
  assert.match(ended.stderr, /worker 0 of 1 ended by SIGKILL; it is started again/);
  assert.equal(ended.stderr.match(FAILS)?.length, 1, "the process that takes its place composes from the first");
  await assertValid(out);
});
