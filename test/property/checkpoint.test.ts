import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeSafetensors, encodeSafetensors, type SafetensorsTensor } from "../../src/checkpoint/safetensors.ts";
import { UserError } from "../../src/errors.ts";

const name = fc.string({ unit: "grapheme", maxLength: 12 }).filter((text) => text !== "__metadata__");
const shape = fc.array(fc.nat({ max: 4 }), { maxLength: 3 });
const tensor: fc.Arbitrary<SafetensorsTensor> = fc.oneof(
  shape.chain((sizes) => {
    const length = sizes.reduce((a, b) => a * b, 1);
    return fc
      .array(fc.float(), { minLength: length, maxLength: length })
      .map((values) => ({ dtype: "F32" as const, shape: sizes, data: Float32Array.from(values) }));
  }),
  fc
    .array(fc.integer(), { maxLength: 5 })
    .map((values) => ({ dtype: "I32" as const, shape: [values.length], data: Int32Array.from(values) })),
  fc.uint8Array({ maxLength: 7 }).map((data) => ({ dtype: "U8" as const, shape: [data.length], data })),
);
const file = fc.uniqueArray(fc.tuple(name, tensor), { selector: ([key]) => key, maxLength: 6 });
const metadata = fc.dictionary(name, fc.string({ unit: "grapheme" }), { noNullPrototype: true });

test("tensors and metadata come back from safetensors as they went in, and their order does not matter", () => {
  fc.assert(
    fc.property(file, metadata, (entries, texts) => {
      const bytes = Buffer.concat(encodeSafetensors(new Map(entries), texts));
      assert.deepEqual(Buffer.concat(encodeSafetensors(new Map(entries.toReversed()), texts)), bytes);
      const read = decodeSafetensors(bytes, "x");
      assert.equal(read.tensors.size, entries.length);
      for (const [key, value] of entries) assert.deepEqual(read.tensors.get(key), value);
      assert.deepEqual(read.metadata, texts);
    }),
  );
});

test("random bytes, and files with random bytes changed, are read or refused with a UserError", () => {
  const never = (bytes: Uint8Array): void => {
    try {
      decodeSafetensors(bytes, "x");
    } catch (error) {
      assert.ok(error instanceof UserError, String((error as Error).stack));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), never));
  fc.assert(
    fc.property(file, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }), (entries, changes) => {
      const bytes = Buffer.concat(encodeSafetensors(new Map(entries)));
      for (const [at, value] of changes) bytes[at % bytes.byteLength] = value;
      never(bytes);
    }),
  );
});
