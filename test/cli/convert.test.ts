import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { withFile } from "../../src/checkpoint/file.ts";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { bytesOf, pickleOf, text, zipOf } from "../unit/checkpoint/pytorch-files.ts";
import { writeLargeCheckpoint } from "./large-checkpoint.ts";
import { BUNDLE, type Ended, folder, lastLine, put, SAMPLE, trm } from "./toy.ts";

const SMALL = resolve("test/fixtures/model-small.pt");
/** What the weights of the fixture can't tell. */
const OF_SMALL = "--num-heads 4 --h-cycles 3 --l-cycles 4 --halt-max-steps 4 --prefix-length 16 --canvas 10".split(" ");
const OF_LARGE = "--num-heads 8 --h-cycles 3 --l-cycles 4 --halt-max-steps 16 --prefix-length 16".split(" ");
/** Far below the 1 GB that a user is promised; 180 MiB were measured. */
const MAX_PEAK_MIB = 400;

function assertRefused({ status, stdout, stderr }: Ended, message: RegExp): void {
  assert.equal(status, 1, stderr);
  assert.match(stderr, message);
  assert.doesNotMatch(stderr, /\n\s+at |internal:/);
  assert.equal(stdout, "");
}

/** Runs `trm` and measures its peak of resident memory by a hook in the process that knows nothing of it. */
function measured(...args: string[]): { result: Record<string, unknown>; peakMib: number } {
  const report = join(folder, "status");
  // The kernel's own figure. (resourceUsage().maxRSS begins at what the parent had when it forked.)
  const hook = put(
    "hook.cjs",
    'const fs = require("fs"); process.on("exit", () => fs.writeFileSync(process.env.STATUS_FILE, fs.readFileSync("/proc/self/status")));',
  );
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--require", hook, BUNDLE, ...args], {
    encoding: "utf8",
    env: { ...process.env, STATUS_FILE: report },
  });
  const result = lastLine({ status: status!, stdout, stderr, seconds: 0 });
  return { result, peakMib: Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(report, "utf8"))![1]) / 1024 };
}

test("a checkpoint of 2.5 GB is converted in a fraction of its size of memory, and mean and deviation of its rows are right", () => {
  const path = join(folder, "step_9");
  const [rows, size, every] = [1_220_000, 512, 5000];
  const bytes = writeLargeCheckpoint(path, { rows, size, every, value: (number) => number + 1 });
  assert.ok(bytes > 2.5e9, String(bytes));
  const out = join(folder, "large");
  const began = performance.now();
  const { result, peakMib } = measured("convert", path, "--out", out, ...OF_LARGE, "--json");
  const seconds = (performance.now() - began) / 1000;
  console.log(`${(bytes / 1e9).toFixed(2)} GB converted in ${seconds.toFixed(1)} s with a peak of ${peakMib.toFixed(0)} MiB`);
  assert.ok(peakMib < MAX_PEAK_MIB, `${peakMib} MiB`);
  assert.deepEqual([result.puzzleRows, result.puzzleEmbeddingSize, result.parameters, result.steps], [rows, size, 6_830_082, 9]);
  const filled = Array.from({ length: rows / every }, (_, i) => i + 1);
  const mean = filled.reduce((sum, value) => sum + value, 0) / rows;
  const square = filled.reduce((sum, value) => sum + value * value, 0) / rows;
  const { puzzleEmbedding, trunk } = loadCheckpoint(out);
  for (const column of [0, 17, 511]) {
    assert.ok(Math.abs(puzzleEmbedding.mean[column]! / mean - 1) < 1e-6);
    assert.ok(Math.abs(puzzleEmbedding.std[column]! / Math.sqrt(square - mean * mean) - 1) < 1e-6);
  }
  assert.equal(trunk.size, 14);
  assert.ok(!existsSync(join(out, "embeddings.safetensors")));
  rmSync(path);
});

test("all rows are kept in as little memory, also from an archive larger than 4 GiB, and go back to PyTorch's format", () => {
  const path = join(folder, "step_9");
  const [rows, size, every] = [250_000, 512, 1000];
  const bytes = writeLargeCheckpoint(path, { rows, size, every, value: (number) => number / 4, unused: 2 ** 32 + 1000 });
  assert.ok(bytes > 2 ** 32);
  const out = join(folder, "rows");
  const { result, peakMib } = measured("convert", path, "--out", out, ...OF_LARGE, "--with-embeddings", "--json");
  assert.ok(peakMib < MAX_PEAK_MIB, `${peakMib} MiB`);
  assert.deepEqual([result.puzzleRows, result.embeddingsKept], [rows, true]);
  const kept = join(out, "embeddings.safetensors");
  const rowsFound = withFile(kept, (source) => {
    const header = 8 + Number(new DataView(source.read(0, 8).buffer).getBigUint64(0, true));
    assert.equal(source.byteLength - header, 4 * rows * size);
    return new Float32Array(source.read(header, 4 * size * 3001).buffer);
  });
  for (const row of [0, 1, 1000, 1999, 3000]) {
    const expected = row % every === 0 ? row / every / 4 : 0;
    assert.deepEqual([rowsFound[row * size], rowsFound[row * size + size - 1]], [expected, expected], `row ${row}`);
  }
  const back = measured("convert", out, "--to-pytorch", "--out", join(folder, "back", "step_9"), "--json");
  assert.ok(back.peakMib < MAX_PEAK_MIB, `${back.peakMib} MiB`);
  assert.deepEqual([back.result.puzzleRows, back.result.embeddingsKept], [rows, true]);
  const { result: again } = measured("convert", join(folder, "back"), "--out", join(folder, "again"), "--json");
  assert.deepEqual(again.model, result.model);
  assert.deepEqual(loadCheckpoint(join(folder, "again")).puzzleEmbedding, loadCheckpoint(out).puzzleEmbedding);
  for (const name of ["step_9", "back", "rows"]) rmSync(join(folder, name), { recursive: true });
});

test("a checkpoint is converted, looked at, and run with", async () => {
  const out = join(folder, "small");
  const names = ["<blank>", "a", "a|||t1|||0123456789", "a|||t2|||0123456789", "b", "b|||t1|||0213456789", "c", "c|||t5|||0123456789", "d"];
  const identifiers = put("identifiers.json", JSON.stringify(names));
  const result = lastLine(
    await trm("convert", SMALL, "--out", out, ...OF_SMALL, "--with-embeddings", "--identifiers", identifiers, "--json"),
  );
  assert.deepEqual([result.checkpoint, result.parameters, result.puzzleRows, result.steps], [out, 132_866, 9, 1200]);
  assert.deepEqual(readdirSync(out).sort(), ["README.md", "config.json", "embeddings.safetensors", "model.safetensors", "puzzles.json"]);

  const seen = lastLine(await trm("inspect", out, "--json")) as Record<string, Record<string, unknown>>;
  assert.equal(
    (seen.checkpoint!.parts as { parameters: number }[]).reduce((sum, part) => sum + part.parameters, 0),
    132_866,
  );
  assert.deepEqual([seen.puzzleEmbedding!.rows, seen.puzzleEmbedding!.tasks], [9, 4]);
  const { cosine, leftOut } = seen.puzzleEmbedding!.diagnosis as { cosine: Record<string, { pairs: number }>; leftOut: number };
  // 8 rows in tasks of 3, 2, 2 and 1: 3 + 1 + 1 pairs of one task, 28 in all
  assert.deepEqual([cosine.withinTasks!.pairs, cosine.acrossTasks!.pairs, cosine.all!.pairs, leftOut], [5, 23, 28, 1]);
  const shown = await trm("inspect", out);
  assert.equal(shown.status, 0, shown.stderr);
  for (const line of [
    /^parameters +132866; .*16 tensors in F32/m,
    /two variants of a task \(5 pairs\) +-?\d\.\d{4}/,
    /L_level\.layers\.1\.mlp +49152/,
  ]) {
    assert.match(shown.stdout, line);
  }
  // Converted again without rows, those of before are gone with the config that spoke of them.
  lastLine(await trm("convert", SMALL, "--out", out, ...OF_SMALL, "--json"));
  assert.deepEqual(readdirSync(out).sort(), ["README.md", "config.json", "model.safetensors"]);
  assert.match((await trm("inspect", out)).stdout, /rows are not kept/);

  const submission = join(folder, "run", "submission.json");
  const quick = "--engine wasm --batch-size 4 --train-variants 2 --vote-variants 1 --workers 1 --steps 1 --canvas 10 --budget 60s".split(
    " ",
  );
  const ran = lastLine(await trm("run", "--challenges", SAMPLE, "--checkpoint", out, "--out", submission, ...quick, "--json"));
  assert.equal(ran.steps, 1);
});

test("a pickle that would run something is refused by name, and nothing of it is run", async () => {
  const trace = join(folder, "trace");
  const command = `touch ${trace}`;
  const evil = (pickle: Buffer): string => put("evil.pt", zipOf([{ name: "m/data.pkl", data: pickle }]));
  const out = join(folder, "evil");
  const attempts: readonly (readonly [pickle: Buffer, message: RegExp])[] = [
    [pickleOf("cposix\nsystem\n(", text(command), "tR."), /evil\.pt: m\/data\.pkl: byte 2: the name posix\.system is not allowed/],
    [pickleOf("cbuiltins\neval\n(", text("1"), "tR."), /the name builtins\.eval is not allowed/],
    [bytesOf([0x80, 4, 0x8c, 2], "os", [0x8c, 6], "system", [0x93], "."), /the name os\.system is not allowed/],
    [
      pickleOf("cmodels.losses\nACTLossHead\n)", [0x81], "."),
      /models\.losses\.ACTLossHead is not allowed.*torch\.save\(model\.state_dict\(\), path\)/,
    ],
    [pickleOf("(ios\nsystem\n."), /opcode INST/],
  ];
  for (const [pickle, message] of attempts) assertRefused(await trm("convert", evil(pickle), "--out", out, ...OF_SMALL), message);
  assert.ok(!existsSync(trace));
  assert.ok(!existsSync(out));
});

test("what cannot be converted is refused with what to do, and nothing is written", async () => {
  const out = join(folder, "none");
  const refused = async (message: RegExp, ...args: string[]): Promise<void> => {
    assertRefused(await trm("convert", ...args), message);
    assert.ok(!existsSync(out), `${args.join(" ")} wrote something`);
  };
  await refused(
    /--num-heads, --h-cycles, --l-cycles, --halt-max-steps, --prefix-length: can't be read off the weights/,
    SMALL,
    "--out",
    out,
  );
  await refused(/nothing\.pt: cannot be read/, join(folder, "nothing.pt"), "--out", out);
  await refused(/is not a PyTorch checkpoint \(a zip archive\)/, put("notes.pt", "these are only some notes"), "--out", out);
  await refused(
    /no zip directory at its end; the file is cut short/,
    put("cut.pt", readFileSync(SMALL).subarray(0, 400_000)),
    "--out",
    out,
  );
  const damaged = Buffer.from(readFileSync(SMALL));
  damaged[200_000]! ^= 1;
  await refused(/data\/\d+ is damaged: CRC-32/, put("damaged.pt", damaged), "--out", out, ...OF_SMALL, "--with-embeddings");
  await refused(/numHeads: 5 heads don't divide hiddenSize 64/, SMALL, "--out", out, ...OF_SMALL, "--num-heads", "5");
  await refused(/--canvas is 2\.5; expected a whole number/, SMALL, "--out", out, ...OF_SMALL, "--canvas", "2.5");
  await refused(/--identifiers names the rows of --with-embeddings/, SMALL, "--out", out, ...OF_SMALL, "--identifiers", "x.json");
  const few = put("few.json", '["<blank>", "a"]');
  const embeddings = ["--with-embeddings", "--identifiers", few];
  await refused(/few\.json: names 2 puzzles, the checkpoint has 9 rows/, SMALL, "--out", out, ...OF_SMALL, ...embeddings);
  await refused(/--puzzle-count is for --to-pytorch/, SMALL, "--out", out, ...OF_SMALL, "--puzzle-count", "3");
  await refused(/--num-heads is for reading PyTorch's files/, "checkpoints/sample", "--to-pytorch", "--out", out, "--num-heads", "4");
  await refused(/the official code has no such model: ropeAxes is 2/, "checkpoints/sample", "--to-pytorch", "--out", out);
  await refused(/is a file; --out names the folder/, SMALL, "--out", put("file", ""), ...OF_SMALL);
  const state = join(folder, "state");
  mkdirSync(state);
  put("state/training.json", "{}");
  await refused(
    /holds a training state, whose embeddings\.safetensors would be lost/,
    SMALL,
    "--out",
    state,
    ...OF_SMALL,
    "--with-embeddings",
  );
  assert.deepEqual(readdirSync(state), ["training.json"]);
});

test("the yaml beside a checkpoint is read; one that contradicts it is refused", async () => {
  const yaml = `arch:
  name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
  H_cycles: 3
  L_cycles: 4
  L_layers: 2
  hidden_size: 64
  num_heads: 4
  expansion: 4
  pos_encodings: rope
  halt_max_steps: 4
  puzzle_emb_ndim: 64
  puzzle_emb_len: 1
`;
  put("official/all_config.yaml", yaml);
  put("official/step_1200", readFileSync(SMALL));
  const official = join(folder, "official");
  const out = join(folder, "by-yaml");
  const result = lastLine(await trm("convert", official, "--out", out, "--json")) as { model: Record<string, number>; origins: object };
  assert.deepEqual([result.model.prefixLength, result.model.numHeads, result.model.hCycles], [1, 4, 3]);
  put("official/all_config.yaml", yaml.replace("hidden_size: 64", "hidden_size: 128"));
  assertRefused(
    await trm("convert", official, "--out", out),
    /all_config\.yaml: .*arch\.hidden_size is 128, the weights in .*step_1200 have 64/s,
  );
  const overruled = await trm("convert", official, "--out", out, "--config", "none", ...OF_SMALL, "--json");
  assert.equal((lastLine(overruled).model as Record<string, number>).prefixLength, 16);
  put("official/step_1300", readFileSync(SMALL));
  assertRefused(await trm("convert", official, "--out", out), /official: holds step_1200, step_1300; name the file to convert/);
});

test("what is no checkpoint's folder is refused by inspect", async () => {
  assertRefused(await trm("inspect", join(folder, "nowhere")), /nowhere: no such folder/);
  assertRefused(await trm("inspect", SMALL), /is a file; name the folder of a checkpoint/);
  mkdirSync(join(folder, "empty"));
  assertRefused(await trm("inspect", join(folder, "empty")), /no config\.json and no training\.json here/);
  assertRefused(await trm("inspect", "checkpoints/sample", "--identifiers", "x.json"), /keeps no puzzle embeddings to name/);
});
