import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { assertValid, BUNDLE, folder, put, runArguments } from "./toy.ts";

/** A bundle beside a binding, and a library, that are files but can't be loaded. */
const bundle = join(folder, "broken", "trm.mjs");
put("broken/tfjs_binding.node", "no binding");
copyFileSync(BUNDLE, bundle);
put("broken/tf/libtensorflow_cc.so.2", "");
/** A driver that shows two GPUs. */
const path = `${join(put("bin/nvidia-smi", '#!/bin/sh\necho "GPU 0: NVIDIA L4"\necho "GPU 1: NVIDIA L4"\n'), "..")}:${process.env.PATH}`;
chmodSync(join(folder, "bin", "nvidia-smi"), 0o755);

function run(args: readonly string[], fault = ""): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [bundle, ...args], {
    encoding: "utf8",
    env: { ...process.env, PATH: path, TRM_FAULT_INJECTION: fault },
  });
}

async function options(name: string, engine: string, ...more: string[]): Promise<{ args: string[]; out: string }> {
  const { args, out } = await runArguments(name, "300s");
  return { args: [...args, "--engine", engine, "--limit", "2", "--steps", "2", "--workers", "4", ...more], out };
}

test("fewer GPUs than workers asked for, and a TensorFlow that does not load: both are said, and the run goes on on wasm", async () => {
  const { args, out } = await options("auto", "auto", "--json");
  const { status, stdout, stderr } = run(args);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /warning: --workers 4, but 2 GPUs are visible: one worker on each, the global batch stays as it is/);
  assert.match(stderr, /2 workers on tensorflow/);
  assert.match(stderr, /warning: .*tfjs_binding\.node cannot be loaded: .*; GOING ON WITH THE WASM ENGINE/);
  assert.match(stderr, /4 workers on wasm \(TensorFlow failed\)/);
  const result = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as Record<string, unknown>;
  assert.equal(result.steps, 2);
  assert.equal(result.engine, "wasm");
  await assertValid(out);
});

test("where TensorFlow ends every worker that loads it, the run goes on on wasm within seconds; asked for by name, it ends", async () => {
  const { args, out } = await options("crashes", "auto", "--json");
  const { status, stdout, stderr } = run(args, "start");
  assert.equal(status, 0, stderr);
  assert.match(stderr, /worker \d of 2 ended by SIGABRT; GOING ON WITH THE WASM ENGINE/);
  assert.ok([...stderr.matchAll(/ended by SIGABRT; it is started again/g)].length < 10, stderr);
  const result = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as Record<string, unknown>;
  assert.deepEqual([result.steps, result.engine], [2, "wasm"]);
  await assertValid(out);
  const named = run((await options("crashes-named", "tensorflow")).args, "start");
  assert.match(named.stderr, /ended by SIGABRT; the best submission so far stands/);
});

test("a TensorFlow that was asked for by name and does not load ends the run with the reason", async () => {
  const { args, out } = await options("named", "tensorflow");
  const { status, stderr } = run(args);
  assert.equal(status, 1, stderr);
  assert.match(stderr, /tfjs_binding\.node cannot be loaded: .*run `npm run tensorflow` again or pass --engine wasm/);
  assert.doesNotMatch(stderr, /\n\s+at /);
  await assertValid(out);
});

test("a run that requires more GPUs than there are does not begin", async () => {
  const { args, out } = await options("required", "auto", "--require-gpus", "3");
  const { status, stderr } = run(args);
  assert.equal(status, 1);
  assert.match(stderr, /--require-gpus 3: 2 GPUs are visible; check the machine \(nvidia-smi, CUDA_VISIBLE_DEVICES, `trm doctor`\)/);
  assert.doesNotMatch(stderr, /workers on/);
  assert.ok(existsSync(out), "the fallback answers stand all the same");
});
