import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { memorySource } from "../../../src/checkpoint/file.ts";
import { splitStateDict, trunkName } from "../../../src/checkpoint/pytorch/names.ts";
import { readPickle } from "../../../src/checkpoint/pytorch/pickle.ts";
import { openStateDict } from "../../../src/checkpoint/pytorch/state-dict.ts";
import { readStoredZip } from "../../../src/checkpoint/pytorch/zip.ts";
import { UserError } from "../../../src/errors.ts";
import { bytesOf, checkpointOf, type Entry, pickleOf, six, tensorPickle, text, zipOf } from "./pytorch-files.ts";

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
  refused(pickleOf("ccollections\nOrderedDict\n", "](", text("a"), [0x4b, 1], "lae", [0x85], "R."), /opcode LIST/);
  refused(pickleOf("ccollections\nOrderedDict\n]", [0x85], "R."), /OrderedDict is called with arguments/);
  refused(pickleOf("}", text("a"), "Ns", text("a"), "Ns."), /the key "a" occurs twice/);
  refused(pickleOf("]]", [0x93], "."), /a name must be a text/);
  refused(pickleOf("cos\x1b[2J\nsystem\n."), /the name os\?\[2J\.system is not allowed/); // nothing of a file reaches the terminal as a command
  assert.deepEqual(readPickle(pickleOf("}", text("a"), [0x8a, 1, 0xff], "s."), "x"), new Map([["a", -1]]));
});

test("a pickle that would fill the memory or the hours is refused", () => {
  const endless = Buffer.concat([pickleOf(), Buffer.alloc(2 ** 22, "}"), Buffer.from(".")]);
  assert.throws(() => readPickle(endless, "data.pkl"), /has more than 2097152 opcodes/);
  // So many axes that going through them for each of many tensors would take hours; a tensor of PyTorch has at most 64.
  const axes = bytesOf("(", new Array<number[]>(65).fill([0x4b, 1]).flat(), "t");
  const pickle = Buffer.concat([
    tensorPickle().subarray(0, tensorPickle().indexOf("tQ") + 2),
    bytesOf([0x4b, 0]),
    axes,
    axes,
    bytesOf("tRs."),
  ]);
  assert.throws(() => readPickle(pickle, "data.pkl"), /strides of at most 64 axes/);
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
  for (const name of ["../x", "a/../../x", "/etc/x", "C:\\x", "a\\..\\x"]) refused(zip({ name }), /points outside its archive/);
  refused(zip({ localName: "a/c" }), /zip entry a\/b is called a\/c at its own place/);
  refused(
    zipOf([
      { name: "a", data: six },
      { name: "b", data: six, offset: 0 },
    ]),
    /zip entries a and b overlap/,
  );
  refused(zip({ claims: 2 ** 40, zip64: true }), /\(1099511627776 bytes at 0\) does not lie inside the file/);
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

test("an archive with any byte outside its data changed is read as it was or refused", () => {
  const archive = zipOf(checkpointOf(tensorPickle()), true);
  let refused = 0;
  for (let at = 0; at < archive.byteLength; at++) {
    const changed = Buffer.from(archive);
    changed[at]! ^= 0x11;
    try {
      assert.deepEqual([...read(changed).get("t")!], [1, 2, 3, 4, 5, 6]);
    } catch (error) {
      assert.ok(error instanceof UserError, `byte ${at}: ${(error as Error).stack}`);
      refused++;
    }
  }
  assert.ok(refused > archive.byteLength / 2);
});

test("a tensor is handed over in pieces of the size asked for, and only a whole file's last piece comes", () => {
  const tensor = (entries: readonly Entry[]) => openStateDict(memorySource(zipOf(entries), "step_1"), "step_1").tensors.get("t")!;
  const good = tensor(checkpointOf(tensorPickle({ offset: 1, shape: [5], stride: [1] })));
  assert.deepEqual(
    Array.from(good.pieces(2), (piece) => [...piece]),
    [[2, 3], [4, 5], [6]],
  );
  const scattered = tensor(checkpointOf(tensorPickle({ shape: [3, 2], stride: [1, 3] })));
  assert.equal(scattered.rowMajor, false);
  assert.deepEqual(
    Array.from(scattered.pieces(4), (piece) => [...piece]),
    [
      [1, 4, 2, 5],
      [3, 6],
    ],
  );
  const [pickle, order, data] = checkpointOf(tensorPickle({ shape: [4], stride: [1] }));
  const damaged = tensor([pickle!, order!, { ...data!, crc: 1 }]).pieces(2);
  assert.deepEqual([...damaged.next().value!], [1, 2]);
  assert.throws(() => damaged.next(), /CRC-32/);
});

test("other byte orders and other contents than tensors are refused", () => {
  const entries = checkpointOf(tensorPickle());
  assert.throws(() => read(zipOf([entries[0]!, { name: "m/byteorder", data: Buffer.from("big") }, entries[2]!])), /byte order is "big"/);
  assert.throws(() => read(zipOf(checkpointOf(pickleOf("}", text("step"), [0x4b, 5], "s.")))), /"step" is not a tensor/);
  assert.throws(() => read(zipOf(checkpointOf(pickleOf("].")))), /holds no dictionary/);
  const inner = tensorPickle().subarray(2, -1).toString("latin1");
  const nested = pickleOf("}", text("model"), inner, "s", text("step"), [0x4b, 5], "s.");
  assert.throws(
    () => read(zipOf(checkpointOf(nested))),
    /"model" is a dictionary of tensors inside another; save it alone: torch\.save\(torch\.load\(path\)\["model"\][\s\S]*"step" is not a tensor/,
  );
  assert.throws(() => read(zipOf(checkpointOf(pickleOf("}]q\0h\0aNs.")))), /has a key that is no text but of type object/);
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
