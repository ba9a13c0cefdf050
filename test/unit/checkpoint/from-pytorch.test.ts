import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { loadCheckpoint } from "../../../src/checkpoint/load.ts";
import { type ConversionOptions, convertFromPytorch } from "../../../src/checkpoint/pytorch/from-pytorch.ts";
import { UserError } from "../../../src/errors.ts";
import { bytesOf, pickleOf, text, zipOf } from "./pytorch-files.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trm-from-pytorch-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Storage {
  readonly key: string;
  readonly shape: readonly number[];
  readonly stride?: readonly number[];
  readonly type?: string;
  readonly data: ArrayBufferView;
}

/** A checkpoint of a model of width 4 with one block. @param rows its puzzle embeddings, and how they lie in the file */
function checkpoint(rows: Omit<Storage, "key">, name = "step_12.pt"): string {
  const D = 4;
  const inner = 256;
  const storages: Storage[] = (
    [
      ["H_init", [D]],
      ["L_init", [D]],
      ["embed_tokens.embedding_weight", [12, D]],
      ["lm_head.weight", [12, D]],
      ["q_head.weight", [2, D]],
      ["q_head.bias", [2]],
      ["L_level.layers.0.self_attn.qkv_proj.weight", [3 * D, D]],
      ["L_level.layers.0.self_attn.o_proj.weight", [D, D]],
      ["L_level.layers.0.mlp.gate_up_proj.weight", [2 * inner, D]],
      ["L_level.layers.0.mlp.down_proj.weight", [D, inner]],
    ] as [string, number[]][]
  ).map(([key, shape]) => ({ key, shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5) }));
  storages.push({ key: "puzzle_emb.weights", ...rows });
  const whole = (value: number): number[] => [0x4a, value & 255, (value >> 8) & 255, (value >> 16) & 255, 0];
  const tuple = (values: readonly number[]): Buffer => bytesOf("(", values.flatMap(whole), "t");
  const pickle = storages.flatMap(({ key, shape, stride, type = "FloatStorage", data }, i) => {
    const elements = data.byteLength / (type === "FloatStorage" ? 4 : 2);
    const strides = stride ?? shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    return [
      text(`model.inner.${key}`),
      "ctorch._utils\n_rebuild_tensor_v2\n((",
      text("storage"),
      `ctorch\n${type}\n`,
      text(String(i)),
      text("cuda:0"),
      whole(elements),
      "tQ",
      whole(0),
      tuple(shape),
      tuple(strides),
      [0x89],
      "ccollections\nOrderedDict\n)RtR",
    ];
  });
  const path = join(folder, name);
  const entries = storages.map(({ data }, i) => ({ name: `archive/data/${i}`, data: new Uint8Array(data.buffer) }));
  writeFileSync(path, zipOf([{ name: "archive/data.pkl", data: pickleOf("}(", ...pickle, "u.") }, ...entries]));
  return path;
}

const MODEL = { numHeads: 2, hCycles: 1, lCycles: 1, haltMaxSteps: 1, prefixLength: 1 };
const convert = (path: string, more: Partial<ConversionOptions> = {}) =>
  convertFromPytorch(path, { ...MODEL, withEmbeddings: false, out: join(folder, "out"), ...more }, () => {});

test("mean and deviation are those of the rows, however they lie in the file", () => {
  // rows (1, 2), (3, 2), (5, 8): means 3 and 4, deviations sqrt(8/3) and sqrt(8)
  const expected = [
    [3, 4],
    [Math.fround(Math.sqrt(8 / 3)), Math.fround(Math.sqrt(8))],
  ];
  const statistics = (): number[][] => {
    const { mean, std } = loadCheckpoint(join(folder, "out")).puzzleEmbedding;
    return [[...mean], [...std]];
  };
  convert(checkpoint({ shape: [3, 2], data: Float32Array.of(1, 2, 3, 2, 5, 8) }));
  assert.deepEqual(statistics(), expected);
  convert(checkpoint({ shape: [3, 2], stride: [1, 3], data: Float32Array.of(1, 3, 5, 2, 2, 8) }));
  assert.deepEqual(statistics(), expected);
  const half = Uint16Array.of(0x3f80, 0x4000, 0x4040, 0x4000, 0x40a0, 0x4100); // the upper halves of those float32
  convert(checkpoint({ shape: [3, 2], type: "BFloat16Storage", data: half }));
  assert.deepEqual(statistics(), expected);
});

test("steps come from the option, else the file's name, else are not known", () => {
  const rows = { shape: [1, 2], data: Float32Array.of(1, 2) };
  assert.deepEqual([convert(checkpoint(rows)).steps, convert(checkpoint(rows), { steps: 7 }).steps], [12, 7]);
  const { steps, origins } = convert(checkpoint(rows, "best.pt"));
  assert.deepEqual([steps, origins.steps], [0, "unknown"]);
});

test("a row that is not finite is named, and nothing is left behind of what was begun", () => {
  const data = new Float32Array(6).fill(1);
  data[3] = Number.NaN;
  const path = checkpoint({ shape: [3, 2], data });
  assert.throws(
    () => convert(path, { withEmbeddings: true }),
    (error) => error instanceof UserError && /step_12\.pt: puzzle_emb\.weights row 1 holds NaN at 1/.test(error.message),
  );
  assert.ok(!existsSync(join(folder, "out")));
});

test("rows converted again and again stay one set of files, and names take the place of the names before", () => {
  const path = checkpoint({ shape: [3, 2], data: Float32Array.of(1, 2, 3, 2, 5, 8) });
  const identifiers = join(folder, "identifiers.json");
  for (const names of ['["<blank>","a","b"]', '["<blank>","a","b"]', '["<blank>","c","d"]']) {
    writeFileSync(identifiers, names);
    convert(path, { withEmbeddings: true, identifiers });
    assert.equal(readFileSync(join(folder, "out", "puzzles.json"), "utf8"), names);
  }
  const files = ["README.md", "config.json", "embeddings.safetensors", "model.safetensors", "puzzles.json"];
  assert.deepEqual(readdirSync(join(folder, "out")).sort(), files);
  convert(path, { withEmbeddings: true });
  assert.ok(!existsSync(join(folder, "out", "puzzles.json")));
});
