import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { memorySource } from "../../../src/checkpoint/file.ts";
import { splitStateDict, trunkName } from "../../../src/checkpoint/pytorch/names.ts";
import { readPickle } from "../../../src/checkpoint/pytorch/pickle.ts";
import { openStateDict } from "../../../src/checkpoint/pytorch/state-dict.ts";
import { readStoredZip } from "../../../src/checkpoint/pytorch/zip.ts";
import { UserError } from "../../../src/errors.ts";

const bytesOf = (...parts: (string | number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))));
const text = (value: string): Buffer => bytesOf("X", [value.length, 0, 0, 0], value);
const pickleOf = (...parts: (string | number[] | Buffer)[]): Buffer =>
  Buffer.concat([Buffer.from([0x80, 2]), ...parts.map((part) => (Buffer.isBuffer(part) ? part : bytesOf(part)))]);

/** The pickle of `{"t": tensor}`, the tensor a view of storage 0. */
function tensorPickle({
  type = "FloatStorage",
  key = "0",
  elements = 6,
  offset = 0,
  shape = [2, 3],
  stride = [3, 1],
}: {
  type?: string;
  key?: string;
  elements?: number;
  offset?: number;
  shape?: number[];
  stride?: number[];
} = {}): Buffer {
  const tuple = (values: number[]): Buffer =>
    bytesOf(
      "(",
      values.flatMap((value) => [0x4b, value]),
      "t",
    );
  const storage = [text("storage"), `ctorch\n${type}\n`, text(key), text("cpu"), [0x4b, elements]];
  const tensor = ["ctorch._utils\n_rebuild_tensor_v2\n((", ...storage, "tQ", [0x4b, offset], tuple(shape), tuple(stride)];
  return pickleOf("}", text("t"), ...tensor, [0x89], "ccollections\nOrderedDict\n)RtRs.");
}

interface Entry {
  readonly name: string;
  readonly data: Uint8Array;
  readonly method?: number;
  readonly flags?: number;
  readonly crc?: number;
  readonly zip64?: boolean;
}

/** A zip of stored entries, each number where the format has it; `zip64` puts sizes and places into the wide fields. */
function zipOf(entries: readonly Entry[], wideEnd = false): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, data, method = 0, flags = 0, crc = crc32(data), zip64 = false } of entries) {
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    parts.push(local, Buffer.from(name), Buffer.from(data));
    const extra = Buffer.alloc(zip64 ? 28 : 0);
    if (zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(data.byteLength), 4);
      extra.writeBigUInt64LE(BigInt(data.byteLength), 12);
      extra.writeBigUInt64LE(BigInt(offset), 20);
    }
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(flags, 8);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(crc, 16);
    central.writeUInt32LE(zip64 ? 0xffffffff : data.byteLength, 20);
    central.writeUInt32LE(zip64 ? 0xffffffff : data.byteLength, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt16LE(extra.byteLength, 30);
    central.writeUInt32LE(zip64 ? 0xffffffff : offset, 42);
    directory.push(central, Buffer.from(name), extra);
    offset += 30 + name.length + data.byteLength;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(wideEnd ? 0xffff : entries.length, 10);
  end.writeUInt32LE(listing.byteLength, 12);
  end.writeUInt32LE(wideEnd ? 0xffffffff : offset, 16);
  const wide = Buffer.alloc(wideEnd ? 76 : 0);
  if (wideEnd) {
    wide.writeUInt32LE(0x06064b50, 0);
    wide.writeBigUInt64LE(BigInt(entries.length), 32);
    wide.writeBigUInt64LE(BigInt(listing.byteLength), 40);
    wide.writeBigUInt64LE(BigInt(offset), 48);
    wide.writeUInt32LE(0x07064b50, 56);
    wide.writeBigUInt64LE(BigInt(offset + listing.byteLength), 64);
  }
  return Buffer.concat([...parts, listing, wide, end]);
}

const six = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
const checkpointOf = (pickle: Uint8Array, data: Uint8Array = six): Entry[] => [
  { name: "m/data.pkl", data: pickle },
  { name: "m/byteorder", data: Buffer.from("little") },
  { name: "m/data/0", data },
];
const read = (zip: Uint8Array): Map<string, Float32Array> =>
  new Map([...openStateDict(memorySource(zip, "step_1"), "step_1").tensors].map(([key, tensor]) => [key, tensor.read()]));

test("a tensor is read by its offset and strides, from a plain and from a zip64 archive", () => {
  const numbers = (pickle: Buffer, wide: boolean) => {
    const entries = checkpointOf(pickle).map((entry) => ({ ...entry, zip64: wide }));
    return [...read(zipOf(entries, wide)).get("t")!];
  };
  for (const wide of [false, true]) {
    assert.deepEqual(numbers(tensorPickle(), wide), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(numbers(tensorPickle({ shape: [3, 2], stride: [1, 3] }), wide), [1, 4, 2, 5, 3, 6]);
    assert.deepEqual(numbers(tensorPickle({ offset: 2, shape: [2], stride: [2] }), wide), [3, 5]);
    assert.deepEqual(numbers(tensorPickle({ offset: 5, shape: [], stride: [] }), wide), [6]);
    assert.deepEqual(numbers(tensorPickle({ shape: [0, 3] }), wide), []);
  }
});

test("a tensor that does not fit its storage is refused", () => {
  const refused = (change: Parameters<typeof tensorPickle>[0]) =>
    assert.throws(() => read(zipOf(checkpointOf(tensorPickle(change)))), /does not fit storage 0 of 6/);
  refused({ offset: 1 });
  refused({ shape: [2, 4], stride: [4, 1] });
  refused({ shape: [1, 7], stride: [0, 0] }); // a stride of 0 would make memory out of nothing
  assert.throws(() => read(zipOf(checkpointOf(tensorPickle({ elements: 7 })))), /data\/0 has 24 bytes, 7 elements of FloatStorage take 28/);
  assert.throws(() => read(zipOf(checkpointOf(tensorPickle({ key: "1" })))), /data\/1 is missing/);
  assert.throws(() => read(zipOf(checkpointOf(tensorPickle({ key: "../../x" })))), /persistent id/);
  assert.throws(() => read(zipOf(checkpointOf(tensorPickle({ type: "LongStorage" })))), /storage 0 is a LongStorage/);
});

test("opcodes and names outside a dictionary of tensors are refused by name", () => {
  const refused = (pickle: Uint8Array, pattern: RegExp) =>
    assert.throws(
      () => readPickle(pickle, "data.pkl"),
      (error) => error instanceof UserError && pattern.test(error.message),
    );
  refused(pickleOf("cposix\nsystem\n", text("id"), [0x85], "R."), /byte 2: the name posix\.system is not allowed/);
  refused(pickleOf("c__builtin__\neval\n."), /__builtin__\.eval/);
  refused(pickleOf("(ios\nsystem\n."), /opcode INST \(0x69\)/);
  refused(pickleOf("ccollections\nOrderedDict\n)", [0x81], "."), /opcode NEWOBJ \(0x81\)/);
  refused(pickleOf(text("posix"), text("system"), [0x93], "."), /posix\.system/);
  refused(pickleOf([0xff]), /opcode unknown \(0xff\)/);
  refused(pickleOf("ctorch\nFloatStorage\n)R."), /torch\.FloatStorage is not called/);
  refused(pickleOf("]}b."), /BUILD/);
  refused(pickleOf("R."), /the stack is empty/);
  refused(pickleOf("t."), /there is no mark/);
  refused(pickleOf("}"), /is cut short/);
  refused(pickleOf("}.."), /1 bytes follow the end/);
  refused(pickleOf("N}."), /more than one value/);
  refused(bytesOf([0x80, 1], "}."), /protocol 1/);
  refused(pickleOf([0x68, 3], "."), /nothing was remembered as 3/);
  refused(pickleOf("X", [255, 255, 255, 255]), /is cut short/);
  assert.deepEqual(readPickle(pickleOf("}", text("a"), [0x8a, 1, 0xff], "s."), "x"), new Map([["a", -1]]));
});

test("an archive that is compressed, encrypted, cut or damaged is refused", () => {
  const zip = (change: Partial<Entry>) => zipOf([{ name: "a/b", data: six, ...change }]);
  const refused = (bytes: Uint8Array, pattern: RegExp) =>
    assert.throws(
      () => {
        for (const entry of readStoredZip(memorySource(bytes, "f"), "f").values()) entry.read();
      },
      (error) => error instanceof UserError && pattern.test(error.message),
    );
  refused(zip({ method: 8 }), /zip entry a\/b is compressed \(method 8\)/);
  refused(zip({ flags: 1 }), /encrypted/);
  refused(zip({ crc: 1 }), /damaged: CRC-32 [0-9a-f]{8}, the directory says 00000001/);
  refused(
    zipOf([
      { name: "a", data: six },
      { name: "a", data: six },
    ]),
    /occurs twice/,
  );
  const whole = zip({});
  for (let length = 0; length < whole.byteLength; length++) refused(whole.subarray(0, length), /./);
  refused(Buffer.from([0x80, 2, 0x7d, 0x2e]), /before 1\.6.*torch\.save/);
  const tar = Buffer.alloc(512);
  tar.write("ustar", 257);
  refused(tar, /tar format/);
  refused(Buffer.from("version https://git-lfs.github.com/spec/v1\n"), /Git LFS/);
  refused(Buffer.from("hello, this is just some text"), /is not a PyTorch checkpoint/);
  assert.throws(() => read(zip({})), /no data\.pkl in it/);
});

test("a checkpoint with any byte of its pickle changed is read or refused, never crashed on", () => {
  const pickle = tensorPickle();
  let refused = 0;
  for (let at = 0; at < pickle.byteLength; at++) {
    for (const mask of [1, 4, 0x40, 0xff]) {
      const changed = Buffer.from(pickle);
      changed[at]! ^= mask;
      try {
        read(zipOf(checkpointOf(changed)));
      } catch (error) {
        assert.ok(error instanceof UserError, String((error as Error).stack));
        refused++;
      }
    }
  }
  assert.ok(refused > pickle.byteLength);
});

test("other byte orders and other contents than tensors are refused", () => {
  const entries = checkpointOf(tensorPickle());
  assert.throws(() => read(zipOf([entries[0]!, { name: "m/byteorder", data: Buffer.from("big") }, entries[2]!])), /byte order is "big"/);
  assert.throws(() => read(zipOf(checkpointOf(pickleOf("}", text("step"), [0x4b, 5], "s.")))), /"step" is not a tensor/);
  assert.throws(() => read(zipOf(checkpointOf(pickleOf("].")))), /holds no dictionary/);
});

test("an official key loses its wrappers' prefix and the table of embeddings is set apart", () => {
  assert.equal(trunkName("_orig_mod.model.inner.L_level.layers.0.mlp.down_proj.weight"), "L_level.layers.0.mlp.down_proj.weight");
  assert.equal(trunkName("model.inner.H_init"), "H_init");
  assert.equal(trunkName("other.key"), "other.key");
  const t = { shape: [1], data: new Float32Array(1) };
  const split = splitStateDict(
    new Map([
      ["model.inner.H_init", t],
      ["model.inner.puzzle_emb.weights", t],
    ]),
    "step_1",
  );
  assert.deepEqual([...split.trunk.keys()], ["H_init"]);
  assert.equal(split.puzzleRows, t);
  assert.throws(
    () =>
      splitStateDict(
        new Map([
          ["model.inner.H_init", t],
          ["inner.H_init", t],
        ]),
        "step_1",
      ),
    /step_1: two of its keys mean H_init, one of them "inner.H_init"/,
  );
});

test("the fixtures' checkpoint cut short or with a byte of its weights flipped is refused", () => {
  const bytes = readFileSync(join(process.cwd(), "test", "fixtures", "model-small.pt"));
  assert.throws(() => read(bytes.subarray(0, 300_000)), /no zip directory at its end; the file is cut short/);
  const flipped = Buffer.from(bytes);
  flipped[200_000]! ^= 8;
  assert.throws(() => read(flipped), /zip entry step_1200\/data\/\d+ is damaged: CRC-32/);
});
