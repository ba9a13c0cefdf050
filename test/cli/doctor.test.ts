import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BUNDLE, folder, put, toyCheckpoint } from "./toy.ts";

/** A copy of the bundle with nothing around it; on the PATH are only the stand-ins given. */
function alone(scripts: Record<string, string> = {}) {
  const place = join(mkdtempSync(join(folder, "alone-")), "bundle");
  const path = join(place, "..", "bin");
  for (const made of [place, path]) mkdirSync(made);
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(path, name), 0o755);
  }
  copyFileSync(BUNDLE, join(place, "trm.mjs"));
  const trm = (args: string[], env: Record<string, string> = {}) =>
    spawnSync(process.execPath, [join(place, "trm.mjs"), ...args], { cwd: place, encoding: "utf8", env: { PATH: path, ...env } });
  const json = (args: string[] = [], env: Record<string, string> = {}) => {
    const { status, stdout, stderr } = trm(["doctor", "--json", ...args], env);
    assert.doesNotMatch(stderr, /\n\s+at |internal:/);
    return { status, diagnosis: JSON.parse(stdout.trimEnd().split("\n").at(-1)!) };
  };
  return { place, trm, json };
}

test("doctor tells machine and engines; without TensorFlow it says what is missing, and wasm is enough for status 0", () => {
  const { json } = alone();
  const { status, diagnosis } = json();
  assert.equal(status, 0);
  const { machine, engines, engine, gpus } = diagnosis;
  assert.equal(machine.node, process.version);
  assert.ok(machine.cores >= 1 && machine.memory.availableBytes > 2 ** 20 && machine.memory.availableBytes <= machine.memory.totalBytes);
  assert.ok(machine.disks.length > 0 && machine.disks.every((disk: { freeBytes: number }) => disk.freeBytes > 0));
  assert.equal(engines.wasm.works, true, engines.wasm.why);
  let best = engines.wasm.gflops;
  for (let tries = 1; tries < 3 && best <= 2; tries++) best = Math.max(best, json().diagnosis.engines.wasm.gflops); // others may want the processor too
  assert.ok(best > 2, `${best} GFLOP/s is no SIMD`);
  assert.equal(engines.tensorflow.works, false);
  assert.match(engines.tensorflow.why, /^no tfjs_binding\.node \(looked at: .*\); no TensorFlow library \(looked for .*\)/);
  assert.match(engines.tensorflow.why, /`npm run tensorflow` gets it/);
  assert.equal(engine, "wasm");
  assert.deepEqual(gpus, { count: gpus.count, names: [] });
});

test("doctor in words: a line for each thing, and the engine that auto takes", () => {
  const { status, stdout } = alone().trm(["doctor"]);
  assert.equal(status, 0);
  for (const name of ["node", "processor", "memory", "disk", "wasm", "TensorFlow", "GPUs", "bundle"])
    assert.match(stdout, new RegExp(`^${name} +\\S`, "m"));
  assert.match(stdout, /--engine auto takes wasm/);
});

test("a binding and a library that do not load are told of with the linker's reason", () => {
  const { place, json } = alone();
  writeFileSync(join(place, "tfjs_binding.node"), "");
  mkdirSync(join(place, "tf"));
  writeFileSync(join(place, "tf", "libtensorflow_cc.so.2"), "");
  const { status, diagnosis } = json();
  assert.equal(status, 0);
  const { tensorflow } = diagnosis.engines;
  assert.equal(tensorflow.libraryFolder, join(place, "tf"));
  assert.equal(tensorflow.binding, join(place, "tfjs_binding.node"));
  assert.match(tensorflow.why, /cannot be loaded: .*file too short.*a file is damaged/);
});

test("no engine at all ends doctor with status 1", () => {
  // a node that cannot compile WebAssembly, in the child processes too
  const { status, diagnosis } = alone().json([], { NODE_OPTIONS: "--jitless" });
  assert.equal(diagnosis.engines.wasm.works, false);
  assert.match(diagnosis.engines.wasm.why, /\S/);
  assert.equal(diagnosis.engine, null);
  assert.equal(status, 1);
});

test("the cards and the driver are those that nvidia-smi lists, less what CUDA_VISIBLE_DEVICES hides", () => {
  const list = 'printf "GPU 0: NVIDIA L4 (UUID: a)\\nGPU 1: NVIDIA L4 (UUID: b)\\n"';
  const query = 'printf "NVIDIA L4, 23034 MiB, 535.1\\nNVIDIA L4, 23034 MiB, 535.1\\n"';
  const { json } = alone({ "nvidia-smi": `case "$1" in -L) ${list};; *) ${query};; esac` });
  const { gpus } = json().diagnosis;
  assert.deepEqual(gpus, { count: 2, names: ["NVIDIA L4, 23034 MiB", "NVIDIA L4, 23034 MiB"], driver: "535.1" });
  assert.equal(json([], { CUDA_VISIBLE_DEVICES: "1" }).diagnosis.gpus.count, 1);
});

test("a checkpoint is checked where one is given", async () => {
  const { json } = alone();
  const checkpoint = await toyCheckpoint();
  assert.equal(json(["--checkpoint", checkpoint]).diagnosis.checkpoint.ok, true);
  put("broken/config.json", readFileSync(join(checkpoint, "config.json")));
  put("broken/model.safetensors", readFileSync(join(checkpoint, "model.safetensors")).subarray(0, 5000));
  const { ok, text } = json(["--checkpoint", join(folder, "broken")]).diagnosis.checkpoint;
  assert.equal(ok, false);
  assert.match(text, /model\.safetensors/);
});

test("the bundle's files are compared with its manifest, if there is one", () => {
  const { place, json } = alone();
  const sha256 = createHash("sha256").update(readFileSync(BUNDLE)).digest("hex");
  writeFileSync(join(place, "manifest.json"), JSON.stringify({ files: { "trm.mjs": { sha256 }, node: { sha256 } } }));
  assert.deepEqual(json().diagnosis.bundle, { files: 2, problems: ["node is missing"] });
});
