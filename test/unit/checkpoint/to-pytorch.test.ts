import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { checkCheckpointConfig } from "../../../src/checkpoint/config.ts";
import { type ByteSource, withFile } from "../../../src/checkpoint/file.ts";
import { isBfloat16, roundToBfloat16 } from "../../../src/checkpoint/half-precision.ts";
import { readAllConfig } from "../../../src/checkpoint/pytorch/all-config.ts";
import { openStateDict } from "../../../src/checkpoint/pytorch/state-dict.ts";
import { convertToPytorch } from "../../../src/checkpoint/pytorch/to-pytorch.ts";
import { type StoredFile, storedZip } from "../../../src/checkpoint/pytorch/write-zip.ts";
import { readStoredZip } from "../../../src/checkpoint/pytorch/zip.ts";
import { encodeRows } from "../../../src/checkpoint/row-table.ts";
import { saveCheckpoint } from "../../../src/checkpoint/save.ts";
import { expectedShapes, type Tensor } from "../../../src/checkpoint/shapes.ts";
import { stageFile } from "../../../src/checkpoint/staged-files.ts";
import { UserError } from "../../../src/errors.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trm-to-pytorch-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const MODEL = {
  hiddenSize: 8,
  numHeads: 2,
  lLayers: 2,
  hCycles: 3,
  lCycles: 4,
  haltMaxSteps: 16,
  prefixLength: 3,
  puzzleEmbeddingSize: 20,
};
const ROWS = Float32Array.from({ length: 5 * 20 }, (_, i) => i / 7);

/** A checkpoint that the official code can have: every number of its trunk another one. */
function checkpoint({ model = {}, keep = false, start = 0 }: { model?: object; keep?: boolean; start?: number } = {}): string {
  const path = join(folder, "checkpoint");
  const config = checkCheckpointConfig(
    {
      format: "trm",
      formatVersion: 1,
      model: { ...MODEL, ...model },
      canvas: 12,
      training: { recipe: "t", dataSets: ["data/x"], steps: 77, seed: 5 },
    },
    "test",
  );
  let next = start;
  const trunk = new Map<string, Tensor>();
  for (const [name, shape] of expectedShapes(config.model)) {
    trunk.set(name, { shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next++ / 16) });
  }
  const table = { count: 5, size: 20, pieces: () => [ROWS] };
  const beside = keep ? { "embeddings.safetensors": stageFile(path, "embeddings.safetensors", encodeRows("rows", table)) } : {};
  const mean = Float32Array.from({ length: 20 }, (_, i) => i - 3);
  saveCheckpoint(path, { config, trunk, puzzleEmbedding: { mean, std: new Float32Array(20) }, modelCard: "", beside });
  return path;
}

const refused = (run: () => unknown, pattern: RegExp): void =>
  assert.throws(run, (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, pattern);
    return true;
  });

function referencePython(): string | undefined {
  return [process.env.TRM_TEST_PYTHON, "python3"].find(
    (python) => python && spawnSync(python, ["-c", "import numpy, safetensors"]).status === 0,
  );
}

test("Python's zip and pickle read what is written as PyTorch would: keys, types, numbers, and data at multiples of 64", (t) => {
  const python = referencePython();
  if (!python) {
    console.log("skipped: no Python with numpy and safetensors (python3, or the one named by TRM_TEST_PYTHON)");
    return t.skip("no Python with numpy and safetensors (TRM_TEST_PYTHON)");
  }
  const from = checkpoint({ keep: true });
  const { file, forwardDtype, puzzleRows } = convertToPytorch(from, { out: join(folder, "step_77") });
  assert.deepEqual([forwardDtype, puzzleRows], ["bfloat16", 5]);
  const program = `
import sys, io, pickle, zipfile, collections, numpy as np
from safetensors.numpy import load_file
TYPES = {"FloatStorage": "<f4", "BFloat16Storage": "<u2"}
path, ours = sys.argv[1:]
archive, raw = zipfile.ZipFile(path), open(path, "rb").read()
assert archive.testzip() is None
for entry in archive.infolist():
    header = raw[entry.header_offset:entry.header_offset + 30]
    start = entry.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    assert start % 64 == 0 and entry.compress_type == 0 and raw[start:start + entry.file_size] == archive.read(entry), entry.filename
def rebuild(storage, offset, size, stride, requires_grad, hooks):
    assert not requires_grad and offset == 0 and len(hooks) == 0
    array = np.lib.stride_tricks.as_strided(storage, size, [s * storage.itemsize for s in stride])
    return (array.astype("<u4") << 16).view("<f4") if storage.dtype == "<u2" else array
class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"): return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"): return rebuild
        assert module == "torch" and name in TYPES, (module, name)
        return name
    def persistent_load(self, id):
        kind, type, key, location, elements = id
        assert (kind, location) == ("storage", "cpu")
        data = np.frombuffer(archive.read(f"step_77/data/{key}"), TYPES[type])
        assert data.size == elements
        return data
assert archive.read("step_77/byteorder") == b"little" and archive.read("step_77/version") == b"3\\n"
state = Reader(io.BytesIO(archive.read("step_77/data.pkl"))).load()
assert isinstance(state, collections.OrderedDict)
expected = load_file(ours + "/model.safetensors")
rows = load_file(ours + "/embeddings.safetensors")["rows"]
prefix = "_orig_mod.model.inner."
names = [key[len(prefix):] for key in state]
assert all(key.startswith(prefix) for key in state)
assert set(names) == {n for n in expected if n not in ("puzzle_emb.mean", "puzzle_emb.std")} | {"puzzle_emb.weights"}, names
assert names[:7] == ["H_init", "L_init", "embed_tokens.embedding_weight", "lm_head.weight", "q_head.weight", "q_head.bias", "puzzle_emb.weights"]
for name, key in zip(names, state):
    assert np.array_equal(state[key], rows if name == "puzzle_emb.weights" else expected[name]), name
print("same", len(names))
`;
  const { status, stdout, stderr } = spawnSync(python, ["-c", program, file, from], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.equal(stdout.trim(), "same 15");
});

test("without kept rows their mean is written as often as asked for, and the yaml says how to build the model", () => {
  const { file, config, notes, puzzleRows } = convertToPytorch(checkpoint(), { out: join(folder, "new", "step_77"), puzzleCount: 3 });
  assert.equal(puzzleRows, 3);
  assert.match(notes.join(), /3 of their mean are written/);
  const key = "_orig_mod.model.inner.puzzle_emb.weights";
  withFile(file, (source) => {
    const { tensors, savedAs } = openStateDict(source, file);
    assert.equal(savedAs, "step_77");
    assert.deepEqual(tensors.get(key)!.shape, [3, 20]);
    const row = Array.from({ length: 20 }, (_, i) => i - 3);
    assert.deepEqual([...tensors.get(key)!.read()], [...row, ...row, ...row]);
    assert.equal(tensors.get("_orig_mod.model.inner.H_init")!.dtype, "bfloat16");
  });
  const { arch, data_paths, seed, seq_len } = readAllConfig(config);
  assert.deepEqual([data_paths, seed, seq_len], [["data/x"], 5, 144]);
  assert.equal(arch.name, "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1");
  const said = [
    arch.H_cycles,
    arch.L_cycles,
    arch.L_layers,
    arch.hidden_size,
    arch.num_heads,
    arch.expansion,
    arch.puzzle_emb_len,
    arch.halt_max_steps,
  ];
  assert.deepEqual(said, [3, 4, 2, 8, 2, 4, 3, 16]);
});

test("a target that is a folder gets step_N; beside the yaml of another model nothing is written", () => {
  const from = checkpoint({ keep: true });
  const official = join(folder, "official");
  mkdirSync(official);
  assert.equal(convertToPytorch(from, { out: official }).file, join(official, "step_77"));
  assert.equal(convertToPytorch(from, { out: `${join(folder, "new")}/` }).file, join(folder, "new", "step_77"));
  assert.equal(convertToPytorch(from, { out: join(official, "copy") }).file, join(official, "copy")); // the yaml there says the same
  const before = readFileSync(join(official, "step_77"));
  const other = checkpoint({ keep: true, model: { hCycles: 2 } });
  refused(
    () => convertToPytorch(other, { out: official }),
    /all_config\.yaml: arch\.H_cycles is 3, the checkpoint to write has 2; choose another folder/,
  );
  assert.deepEqual(readFileSync(join(official, "step_77")), before);
  refused(() => convertToPytorch(from, { out: official, puzzleCount: 2 }), /--puzzle-count: .* keeps its 5 rows/);
  writeFileSync(join(folder, "file"), "");
  refused(() => convertToPytorch(from, { out: join(folder, "file", "x") }), /cannot be written/);
});

test("models that the official code does not have are refused, each reason named", () => {
  refused(
    () => convertToPytorch(checkpoint({ model: { ropeAxes: 2, innerMultiple: 8 } }), { out: join(folder, "x") }),
    /the official code has no such model: 2 problems[\s\S]*ropeAxes is 2[\s\S]*inner width is 24: the official one is always a multiple of 256/,
  );
  // An inner width by another rule is fine where the official one has it too.
  const { config } = convertToPytorch(checkpoint({ model: { expansion: 48, innerMultiple: 2 } }), { out: join(folder, "wide") });
  assert.equal(readAllConfig(config).arch.expansion, 48); // 48 * 8 * 2/3 = 256
});

test("start states that bfloat16 cannot hold are written in float32 unless asked for otherwise", () => {
  const from = checkpoint({ start: 4001 }); // 4001 / 16 has 12 bits
  assert.equal(convertToPytorch(from, { out: join(folder, "a") }).forwardDtype, "float32");
  rmSync(join(folder, "all_config.yaml"));
  const { notes, file } = convertToPytorch(from, { out: join(folder, "b"), forwardDtype: "bfloat16" });
  assert.match(notes.join(), /H_init is rounded to bfloat16/);
  withFile(file, (source) => {
    assert.equal(openStateDict(source, file).tensors.get("_orig_mod.model.inner.H_init")!.read()[0], 250); // 250.0625, in steps of 1
  });
});

test("bfloat16 is rounded to the nearest, a half to the even one", () => {
  const ulp = 2 ** -7; // of numbers from 1 to 2
  const values = Float32Array.of(1, 1 + ulp / 2, 1 + 1.5 * ulp, 1 + 0.51 * ulp, -1 - 0.49 * ulp, 0, -0, 3.5e38);
  const rounded = [...roundToBfloat16(values)].map((bits) => new Float32Array(Uint32Array.of(bits << 16).buffer)[0]);
  assert.deepEqual(rounded, [1, 1, 1 + 2 * ulp, 1 + ulp, -1, 0, -0, Infinity]);
  assert.equal(isBfloat16(Float32Array.of(1, 1 + ulp, -2)), true);
  assert.equal(isBfloat16(Float32Array.of(1, 1 + ulp / 2)), false);
});

test("an archive with a file of more than 4 GiB, and files behind it, is read back", () => {
  const zeros = new Uint8Array(2 ** 26);
  const large = 65 * 2 ** 26; // 4.06 GiB
  const files: StoredFile[] = [
    { name: "m/first", byteLength: 3, pieces: () => [Buffer.from("abc")] },
    {
      name: "m/large",
      byteLength: large,
      *pieces() {
        for (let at = 0; at < large; at += zeros.byteLength) yield zeros;
      },
    },
    { name: "m/last", byteLength: 5, pieces: () => [Buffer.from("de"), Buffer.from("fgh")] },
  ];
  const source = sourceOf(storedZip(files), zeros);
  const entries = readStoredZip(source, "archive");
  assert.deepEqual(
    [...entries.values()].map(({ name, byteLength }) => [name, byteLength]),
    files.map(({ name, byteLength }) => [name, byteLength]),
  );
  assert.equal(Buffer.from(entries.get("m/first")!.read()).toString(), "abc");
  assert.equal(Buffer.from(entries.get("m/last")!.read()).toString(), "defgh");
  assert.equal(entries.get("m/large")!.open().take(4).byteLength, 4);
  assert.throws(() => [...storedZip([{ name: "x", byteLength: 2, pieces: () => [new Uint8Array(3)] }])], /x gave 3 bytes, not 2/);
});

/** Parts one after the other; those that are `zeros` take no memory. */
function sourceOf(parts: Iterable<Uint8Array>, zeros: Uint8Array): ByteSource {
  const kept: { begin: number; bytes: Buffer }[] = [];
  let byteLength = 0;
  for (const part of parts) {
    if (part !== zeros) kept.push({ begin: byteLength, bytes: Buffer.from(part) });
    byteLength += part.byteLength;
  }
  const read = (offset: number, length: number): Uint8Array<ArrayBuffer> => {
    const out = new Uint8Array(length);
    for (const { begin, bytes } of kept) {
      const from = Math.max(offset, begin);
      const to = Math.min(offset + length, begin + bytes.byteLength);
      if (from < to) out.set(bytes.subarray(from - begin, to - begin), from - offset);
    }
    return out;
  };
  return { byteLength, read };
}
