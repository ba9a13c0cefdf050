import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { checkCheckpointConfig } from "../../../src/checkpoint/config.ts";
import { inspectFolder } from "../../../src/checkpoint/inspect.ts";
import { loadCheckpoint } from "../../../src/checkpoint/load.ts";
import { rowsOf } from "../../../src/checkpoint/resize.ts";
import { decodeSafetensors, encodeSafetensors, type SafetensorsTensor } from "../../../src/checkpoint/safetensors.ts";
import { type CheckpointContent, saveCheckpoint } from "../../../src/checkpoint/save.ts";
import { expectedShapes, type Tensor } from "../../../src/checkpoint/shapes.ts";
import { stageFile } from "../../../src/checkpoint/staged-files.ts";
import { UserError } from "../../../src/errors.ts";
import { encoderLayout, encoderSize } from "../../../src/model/encoder-config.ts";
import { nameFlat } from "../../../src/model/parameters.ts";
import { rowStatistics } from "../../../src/model/puzzle-embedding.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trm-checkpoint-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const config = checkCheckpointConfig(
  {
    format: "trm",
    formatVersion: 1,
    model: { hiddenSize: 8, numHeads: 2, innerMultiple: 8, lLayers: 1, hCycles: 1, lCycles: 1, haltMaxSteps: 2, prefixLength: 1 },
    canvas: 10,
    training: { recipe: "test", dataSets: ["none"], steps: 3, seed: 1, command: "none" },
  },
  "test",
);

function content(): CheckpointContent {
  let next = 0;
  const trunk = new Map<string, Tensor>();
  for (const [name, shape] of expectedShapes(config.model)) {
    trunk.set(name, { shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next++ / 8) });
  }
  return {
    config,
    trunk,
    puzzleEmbedding: { mean: new Float32Array(8).fill(0.5), std: new Float32Array(8).fill(2) },
    modelCard: "# Card\n",
  };
}

/** Rewrites the model file with its tensors changed. */
function tamper(change: (tensors: Map<string, SafetensorsTensor>) => void): void {
  const path = join(folder, "model.safetensors");
  const { tensors } = decodeSafetensors(new Uint8Array(readFileSync(path)), path);
  change(tensors);
  writeFileSync(path, Buffer.concat(encodeSafetensors(tensors)));
}

test("a checkpoint comes back as it was saved, and its folder holds three files", () => {
  const saved = content();
  saveCheckpoint(folder, saved);
  assert.deepEqual(readdirSync(folder).sort(), ["README.md", "config.json", "model.safetensors"]);
  assert.equal(readFileSync(join(folder, "README.md"), "utf8"), "# Card\n");
  const loaded = loadCheckpoint(folder);
  assert.deepEqual(loaded.config, config);
  assert.deepEqual(new Map([...loaded.trunk].sort()), new Map([...saved.trunk].sort()));
  assert.deepEqual(loaded.puzzleEmbedding, saved.puzzleEmbedding);
  assert.equal(loaded.folder, folder);
});

test("an encoder comes back as it was saved, and inspect tells of it; one that the config does not speak of, or speaks of in vain, is refused", () => {
  const saved = content();
  const layout = encoderLayout(config.model, { layers: 2 });
  const encoder = nameFlat(
    Float32Array.from({ length: layout.at(-1)!.offset + layout.at(-1)!.size }, (_, i) => i / 8),
    layout,
  );
  saveCheckpoint(folder, { ...saved, config: { ...config, encoder: { layers: 2, pairs: 3 } }, encoder });
  const loaded = loadCheckpoint(folder);
  assert.deepEqual(loaded.config.encoder, { layers: 2, pairs: 3 });
  assert.deepEqual(new Map([...loaded.encoder!].sort()), new Map([...encoder].sort()));
  assert.deepEqual([...loaded.trunk.keys()].sort(), [...saved.trunk.keys()].sort());
  const told = inspectFolder(folder, {}).checkpoint!.encoder!;
  assert.deepEqual([told.layers, told.pairs, told.parameters], [2, 3, encoderSize(config.model, { layers: 2 })]);
  assert.ok(told.parts.some(({ name }) => name === "encoder.layers.1.mlp"));
  assert.throws(() => saveCheckpoint(folder, { ...saved, encoder }), /tensor encoder\.slots \[1, 8\] is not a parameter of this model/);
  const lacking = { ...saved, config: { ...config, encoder: { layers: 3, pairs: 3 } }, encoder };
  assert.throws(() => saveCheckpoint(folder, lacking), /tensor encoder\.layers\.2\.mlp\.down_proj\.weight \[8, 24\] is missing/);
});

test("codes of augmentations come back as they were saved; a file that has only some of them is refused", () => {
  const saved = content();
  const codes = Float32Array.from({ length: 108 * 8 }, (_, i) => i / 4);
  saveCheckpoint(folder, { ...saved, puzzleEmbedding: { ...saved.puzzleEmbedding, codes } });
  const loaded = loadCheckpoint(folder);
  assert.deepEqual(loaded.puzzleEmbedding, { ...saved.puzzleEmbedding, codes });
  assert.deepEqual([...loaded.trunk.keys()].sort(), [...saved.trunk.keys()].sort());
  tamper((tensors) => assert.deepEqual(tensors.get("puzzle_emb.colours")!.shape, [10, 10, 8]));
  tamper((tensors) => tensors.delete("puzzle_emb.dihedral"));
  assert.throws(() => loadCheckpoint(folder), /tensor puzzle_emb.dihedral \[8, 8\] is missing/);
  assert.throws(
    () => saveCheckpoint(folder, { ...saved, puzzleEmbedding: { ...saved.puzzleEmbedding, codes: codes.subarray(8) } }),
    /puzzle_emb.colours/,
  );
});

test("missing, extra, mis-shaped and not finite tensors are listed in one message", () => {
  saveCheckpoint(folder, content());
  tamper((tensors) => {
    tensors.delete("q_head.bias");
    tensors.set("extra", { dtype: "F32", shape: [2], data: new Float32Array(2) });
    tensors.set("H_init", { dtype: "F32", shape: [2, 4], data: new Float32Array(8) });
    (tensors.get("lm_head.weight")!.data as Float32Array)[3] = Number.NaN;
    (tensors.get("puzzle_emb.std")!.data as Float32Array)[7] = -Infinity;
  });
  assert.throws(
    () => loadCheckpoint(folder),
    (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, /model\.safetensors: 5 problems/);
      assert.match(error.message, /tensor q_head\.bias \[2\] is missing/);
      assert.match(error.message, /tensor extra \[2\] is not a parameter of this model/);
      assert.match(error.message, /tensor H_init is \[2, 4\], must be \[8\]/);
      assert.match(error.message, /tensor lm_head\.weight holds NaN at 3/);
      assert.match(error.message, /tensor puzzle_emb\.std holds -Infinity at 7/);
      return true;
    },
  );
});

test("files staged beside a checkpoint count with it, and go with it when one without them takes its place", () => {
  const beside = { "puzzles.json": stageFile(folder, "puzzles.json", [Buffer.from('["a"]')]) };
  saveCheckpoint(folder, { ...content(), beside });
  assert.deepEqual(readdirSync(folder).sort(), ["README.md", "config.json", "model.safetensors", "puzzles.json"]);
  assert.equal(readFileSync(join(folder, "puzzles.json"), "utf8"), '["a"]');
  writeFileSync(join(folder, "notes.txt"), "mine");
  const newer = stageFile(folder, "puzzles.json", [Buffer.from('["b"]')]);
  saveCheckpoint(folder, { ...content(), beside: { "puzzles.json": newer } });
  assert.equal(readFileSync(join(folder, "puzzles.json"), "utf8"), '["b"]');
  const same = stageFile(folder, "puzzles.json", [Buffer.from('["b"]')]);
  saveCheckpoint(folder, { ...content(), beside: { "puzzles.json": same } });
  assert.equal(readFileSync(join(folder, "puzzles.json"), "utf8"), '["b"]');
  saveCheckpoint(folder, content());
  assert.deepEqual(readdirSync(folder).sort(), ["README.md", "config.json", "model.safetensors", "notes.txt"]);
});

test("a config that speaks of files outside its folder, or of others than a checkpoint's, is refused", () => {
  saveCheckpoint(folder, content());
  const path = join(folder, "config.json");
  const before = readFileSync(path, "utf8");
  for (const name of ["../model.safetensors", "/etc/passwd", "notes.txt"]) {
    writeFileSync(path, before.replace(/"model\.safetensors"/, JSON.stringify(name)));
    assert.throws(() => loadCheckpoint(folder), UserError, name);
  }
});

test("bfloat16 weights are widened", () => {
  saveCheckpoint(folder, content());
  tamper((tensors) => tensors.set("H_init", { dtype: "BF16", shape: [8], data: new Uint16Array(8).fill(0x4040) }));
  assert.deepEqual(loadCheckpoint(folder).trunk.get("H_init")!.data, new Float32Array(8).fill(3));
});

test("a checkpoint that would not load is not saved, and the one in place stays", () => {
  const good = content();
  saveCheckpoint(folder, good);
  const bad = content();
  bad.trunk.get("L_init")!.data[0] = Infinity;
  assert.throws(() => saveCheckpoint(folder, bad), /tensor L_init holds Infinity at 0/);
  (bad.trunk as Map<string, Tensor>).delete("L_init");
  assert.throws(() => saveCheckpoint(folder, bad), /tensor L_init \[8\] is missing/);
  assert.deepEqual(loadCheckpoint(folder).trunk.get("L_init"), good.trunk.get("L_init"));
});

test("what is not a checkpoint's folder is refused with what was expected", () => {
  assert.throws(() => loadCheckpoint(join(folder, "nowhere")), /no such folder; a checkpoint is a folder with config\.json/);
  assert.throws(() => loadCheckpoint(folder), /no config\.json and no model\.safetensors here/);
  writeFileSync(join(folder, "file"), "x");
  assert.throws(() => loadCheckpoint(join(folder, "file")), /is a file; .*trm convert/);
  saveCheckpoint(folder, content());
  writeFileSync(join(folder, "model.safetensors"), "version https://git-lfs.github.com/spec/v1\n");
  assert.throws(() => loadCheckpoint(folder), /Git LFS pointer/);
  rmSync(join(folder, "model.safetensors"));
  mkdirSync(join(folder, "model.safetensors"));
  assert.throws(() => loadCheckpoint(folder), /is not a file/);
});

test("a model file far larger than its config is refused before it is read", () => {
  saveCheckpoint(folder, content());
  tamper((tensors) => tensors.set("ballast", { dtype: "U8", shape: [2 ** 25], data: new Uint8Array(2 ** 25) }));
  assert.throws(() => loadCheckpoint(folder), /has \d+ bytes, at most \d+ are expected/);
});

test("mean and standard deviation of rows are those of a hand calculation", () => {
  const { mean, std } = rowStatistics(rowsOf(Float32Array.of(1, 10, 3, 10, 5, 10, 7, 10), 2), 2);
  assert.deepEqual([...mean], [4, 10]);
  assert.deepEqual([...std], [Math.fround(Math.sqrt(5)), 0]); // (9 + 1 + 1 + 9) / 4
});
