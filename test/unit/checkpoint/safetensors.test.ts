import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { decodeSafetensors, encodeSafetensors, type SafetensorsTensor, toFloat32 } from "../../../src/checkpoint/safetensors.ts";
import { UserError } from "../../../src/errors.ts";

const F32 = (shape: number[], values: number[]): SafetensorsTensor => ({ dtype: "F32", shape, data: Float32Array.from(values) });

/** A file with any header text, right or wrong. */
function fileOf(header: string | Uint8Array, data = new Uint8Array(0), announced?: bigint): Uint8Array {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(announced ?? BigInt(text.byteLength));
  return Buffer.concat([length, text, data]);
}

function entry(fields: object = {}): object {
  return { dtype: "F32", shape: [1], data_offsets: [0, 4], ...fields };
}

function refusal(bytes: Uint8Array): string {
  let message = "";
  assert.throws(
    () => decodeSafetensors(bytes, "model.safetensors"),
    (error) => {
      assert.ok(error instanceof UserError, String((error as Error).stack));
      message = error.message;
      return true;
    },
  );
  assert.match(message, /^model\.safetensors: /);
  return message;
}

test("the header is JSON padded by spaces to a multiple of 8, and equal tensors give equal bytes whatever their order", () => {
  const a = F32([2], [1, -2]);
  const b: SafetensorsTensor = { dtype: "I32", shape: [], data: Int32Array.of(7) };
  const c = F32([0, 3], []);
  const bytes = Buffer.concat(
    encodeSafetensors(
      new Map([
        ["b", b],
        ["z", a],
        ["c", c],
      ]),
      { y: "2", x: "1" },
    ),
  );
  const other = Buffer.concat(
    encodeSafetensors(
      new Map([
        ["c", c],
        ["z", a],
        ["b", b],
      ]),
      { x: "1", y: "2" },
    ),
  );
  assert.deepEqual(bytes, other);
  const length = Number(bytes.readBigUInt64LE(0));
  assert.equal(length % 8, 0);
  assert.equal(
    bytes
      .subarray(8, 8 + length)
      .toString()
      .trimEnd(),
    '{"__metadata__":{"x":"1","y":"2"},"c":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]},' +
      '"z":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"I32","shape":[],"data_offsets":[8,12]}}',
  );
  assert.deepEqual([...bytes.subarray(8 + length)], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 7, 0, 0, 0]);
});

test("a file comes back as it was written, also from an odd place in memory", () => {
  const tensors = new Map<string, SafetensorsTensor>([
    ["weights", F32([2, 2], [1, 2, 3, 4.5])],
    ["ids", { dtype: "I32", shape: [1], data: Int32Array.of(-5) }],
    ["big", { dtype: "I64", shape: [1], data: BigInt64Array.of(-9n) }],
    ['na"me\u00e9', { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) }],
  ]);
  const bytes = Buffer.concat(encodeSafetensors(tensors, { made: "by hand" }));
  const places = [
    new Uint8Array(bytes.byteLength),
    new Uint8Array(bytes.byteLength + 1).subarray(1),
    Buffer.alloc(bytes.byteLength + 1).subarray(1),
  ];
  for (const moved of places) {
    moved.set(bytes);
    const { tensors: read, metadata } = decodeSafetensors(moved, "x");
    assert.deepEqual(new Map([...read].sort()), new Map([...tensors].sort()));
    assert.deepEqual(metadata, { made: "by hand" });
  }
});

test("data that does not fit its dtype or shape is never written", () => {
  assert.throws(() => encodeSafetensors(new Map([["a", F32([3], [1, 2])]])), /tensor a: Float32Array of 8 bytes is not F32 \[3\]/);
  assert.throws(() => encodeSafetensors(new Map([["a", { dtype: "I32", shape: [1], data: Float32Array.of(1) }]])), /is not I32/);
  assert.throws(() => encodeSafetensors(new Map([["__metadata__", F32([1], [1])]])), /may not be named/);
});

test("every way a file can be malformed has its own message", () => {
  const four = new Uint8Array(4);
  const json = (value: object, data = four): string => refusal(fileOf(JSON.stringify(value), data));
  assert.match(refusal(new Uint8Array(0)), /is empty/);
  assert.match(refusal(new Uint8Array(7)), /header too small: the file has 7 bytes/);
  assert.match(refusal(fileOf("{}", four, 100_000_001n)), /header too large.*100000001.*at most 100000000/);
  assert.match(refusal(fileOf("{}", four, 2n ** 64n - 1n)), /header too large/);
  assert.match(refusal(fileOf("{}", four, 7n)), /invalid header length: a header of 7 bytes is announced, 6 follow/);
  assert.match(refusal(fileOf(Buffer.from([0x7b, 0xff, 0x7d]))), /invalid UTF-8/);
  assert.match(refusal(fileOf("{bad}")), /invalid JSON in header/);
  assert.match(refusal(fileOf("")), /invalid start of header/);
  assert.match(refusal(fileOf(" {}")), /invalid start of header: it must begin with "{", not " "/);
  assert.match(refusal(fileOf("\ufeff{}")), /invalid start of header/);
  assert.match(refusal(fileOf("[]")), /invalid start of header/);
  assert.match(refusal(fileOf(`{"a":${JSON.stringify(entry())},"a":${JSON.stringify(entry())}}`, four)), /duplicate key "a"/);
  assert.match(refusal(fileOf(`{"a":${JSON.stringify(entry())},"\\u0061":${JSON.stringify(entry())}}`, four)), /duplicate key "a"/);
  assert.match(refusal(fileOf('{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}', four)), /duplicate key "shape"/);
  assert.match(json({ __metadata__: { n: 1 } }), /__metadata__: "n" is 1, must be a text/);
  assert.match(json({ __metadata__: [] }), /__metadata__ must be an object/);
  assert.match(json({ a: 3 }), /tensor a: must be an object/);
  assert.match(json({ a: entry({ dtype: "F7" }) }), /tensor a: unknown dtype "F7"; known are/);
  assert.match(json({ a: entry({ dtype: "toString" }) }), /unknown dtype/);
  assert.match(json({ a: entry({ shape: [-1] }) }), /shape \[-1\] must be a list of whole numbers/);
  assert.match(json({ a: entry({ shape: 1 }) }), /shape 1 must be/);
  assert.match(json({ a: entry({ data_offsets: [0] }) }), /data_offsets \[0\] must be two whole numbers/);
  assert.match(json({ a: entry({ data_offsets: [-4, 0] }) }), /invalid offset.*negative/);
  assert.match(json({ a: entry({ data_offsets: [4, 0] }) }), /invalid offset.*ends before it begins/);
  assert.match(json({ a: entry({ shape: [2] }) }), /shape \[2\] of F32 needs 8 bytes, data_offsets \[0,4\] hold 4/);
  assert.match(json({ a: entry({ shape: [2 ** 40, 2 ** 40, 0] }) }), /overflow/);
  assert.match(json({ a: entry(), b: entry() }), /invalid offset: tensor b begins at 0, expected 4; it overlaps/);
  assert.match(
    json({ a: entry({ data_offsets: [4, 8] }) }, new Uint8Array(8)),
    /invalid offset: tensor a begins at 4, expected 0; it leaves a hole/,
  );
  assert.match(json({ a: entry() }, new Uint8Array(3)), /file not fully covered.*take 4 bytes.*has 3; the file is cut short/);
  assert.match(json({ a: entry() }, new Uint8Array(5)), /file not fully covered.*something was appended/);
  const two = json({ a: entry({ dtype: "X" }), b: entry({ shape: [9] }) });
  assert.match(two, /2 problems/);
  assert.match(two, /tensor a/);
  assert.match(two, /tensor b/);
});

test("a file that is something else entirely is called by its name", () => {
  assert.match(
    refusal(Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")),
    /Git LFS pointer.*git lfs pull/,
  );
  assert.match(refusal(Buffer.from("<!DOCTYPE html><html>Sign in</html>")), /web page/);
  assert.match(refusal(Buffer.from("\n <html><body>")), /web page/);
  assert.match(refusal(Buffer.from("PK\x03\x04rest of it")), /trm convert/);
  assert.match(refusal(Buffer.from([0x80, 2, 0x63, 1, 1, 1, 1, 1, 1])), /pickle/);
});

test("a header whose length looks like a pickle's signature is read", () => {
  const bytes = Buffer.concat(encodeSafetensors(new Map(), { pad: "x".repeat(610) }));
  assert.deepEqual([...bytes.subarray(0, 3)], [0x80, 2, 0]); // 640 bytes
  assert.equal(decodeSafetensors(bytes, "x").metadata.pad!.length, 610);
});

test("a file cut at any byte and a header with any byte flipped is refused or still whole", () => {
  const bytes = Buffer.concat(encodeSafetensors(new Map([["ab", F32([2], [1, 2])]]), { k: "v" }));
  for (let length = 0; length < bytes.byteLength; length++) refusal(bytes.subarray(0, length));
  const headerEnd = 8 + Number(bytes.readBigUInt64LE(0));
  let refused = 0;
  for (let at = 0; at < headerEnd; at++) {
    for (const mask of [1, 0x20, 0x80]) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= mask;
      try {
        const { tensors } = decodeSafetensors(flipped, "x");
        assert.equal(
          [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0),
          8,
        );
      } catch (error) {
        assert.ok(error instanceof UserError, String((error as Error).stack));
        refused++;
      }
    }
  }
  assert.ok(refused > 100);
});

test("16-bit floats are widened exactly, other element types are no weights", () => {
  const bf16: SafetensorsTensor = { dtype: "BF16", shape: [3], data: Uint16Array.of(0x3f80, 0xc000, 0x0001) };
  assert.deepEqual([...toFloat32(bf16, "t", "x")], [1, -2, 2 ** -133]);
  const f16: SafetensorsTensor = { dtype: "F16", shape: [6], data: Uint16Array.of(0x3c00, 0xc500, 0x0001, 0x7bff, 0x7c00, 0x7e00) };
  assert.deepEqual([...toFloat32(f16, "t", "x")], [1, -5, 2 ** -24, 65504, Infinity, Number.NaN]);
  assert.throws(() => toFloat32({ dtype: "I32", shape: [1], data: Int32Array.of(1) }, "t", "x"), /x: tensor t is I32/);
});

/** A Python that has the reference implementation; set TRM_TEST_PYTHON to name one. */
function referencePython(): string | undefined {
  return [process.env.TRM_TEST_PYTHON, "python3"].find(
    (python) => python && spawnSync(python, ["-c", "import numpy, safetensors"]).status === 0,
  );
}

test("the reference implementation writes the same bytes and reads ours", (t) => {
  const python = referencePython();
  if (!python) {
    console.log("skipped: no Python with numpy and safetensors (python3, or the one named by TRM_TEST_PYTHON)");
    return t.skip("no Python with numpy and safetensors (TRM_TEST_PYTHON)");
  }
  const folder = mkdtempSync(join(tmpdir(), "trm-safetensors-"));
  try {
    const program = `
import sys, numpy as np
from safetensors.numpy import save, load
from safetensors import safe_open
t = {"b": np.arange(6, dtype=np.float32).reshape(2, 3) / 4, "a": np.array([-1.5], dtype=np.float32), "i": np.array([1, -2], dtype=np.int32),
     "u": np.array([[7]], dtype=np.uint8), "l": np.array([2**40], dtype=np.int64), "d": np.array([0.1]), "h": np.array([0.5, 2], dtype=np.float16),
     "q": np.array([2**63], dtype=np.uint64), "n\\u00e9 \\"x\\"\\n": np.zeros((0, 4), dtype=np.float32)}
open(sys.argv[1] + "/reference", "wb").write(save(t, {"k": "\\u00e9\\n"}))
`;
    const made = spawnSync(python, ["-c", program, folder], { encoding: "utf8" });
    assert.equal(made.status, 0, made.stderr);
    const reference = new Uint8Array(readFileSync(join(folder, "reference")));
    const { tensors, metadata } = decodeSafetensors(reference, "reference");
    assert.equal(tensors.size, 9);
    assert.deepEqual([...tensors.get("b")!.data], [0, 0.25, 0.5, 0.75, 1, 1.25]);
    assert.deepEqual(tensors.get("l")!.data, BigInt64Array.of(2n ** 40n));
    const shuffled = new Map([...tensors].reverse());
    assert.deepEqual(Buffer.concat(encodeSafetensors(shuffled, metadata)), Buffer.from(reference));

    writeFileSync(join(folder, "ours"), Buffer.concat(encodeSafetensors(new Map([["w", F32([2, 2], [1, 2, 3, 4.5])]]), { format: "trm" })));
    const check = `
import sys
from safetensors import safe_open
with safe_open(sys.argv[1] + "/ours", "np") as f:
    assert f.metadata() == {"format": "trm"} and list(f.keys()) == ["w"] and f.get_tensor("w").tolist() == [[1, 2], [3, 4.5]]
`;
    const read = spawnSync(python, ["-c", check, folder], { encoding: "utf8" });
    assert.equal(read.status, 0, read.stderr);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
