import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import {
  decodeFrameHeader,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  FrameReader,
  FrameWriter,
  MAX_PAYLOAD_BYTES,
  WireError,
} from "../../../src/parallel/wire.ts";

const HEADER: FrameHeader = { kind: "gather", part: 513, byteLength: 5, step: 4_000_000_000, offset: 70_000, total: 2 ** 31 };

function frame(header: FrameHeader, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(FRAME_HEADER_BYTES);
  encodeFrameHeader(head, { ...header, byteLength: payload.byteLength });
  return Buffer.concat([head, payload]);
}

/** A sink that keeps what comes, and stops before frames of a kind until told. */
function collector() {
  const frames: { header: FrameHeader; payload: number[] }[] = [];
  let target = new Uint8Array(0);
  const sink = {
    stopBefore: undefined as string | undefined,
    frames,
    open(header: FrameHeader) {
      if (header.kind === sink.stopBefore) return undefined;
      target = new Uint8Array(header.byteLength);
      return target;
    },
    complete: (header: FrameHeader) => frames.push({ header, payload: [...target] }),
  };
  return sink;
}

test("a header comes back as it was written, its numbers little-endian", () => {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  encodeFrameHeader(bytes, HEADER);
  assert.equal(bytes.subarray(0, 4).toString(), "TRM1");
  assert.deepEqual([...bytes.subarray(4, 12)], [6, 0, 1, 2, 5, 0, 0, 0]);
  assert.deepEqual(decodeFrameHeader(bytes), HEADER);
});

test("what is no frame, and a frame too long, is refused before memory is taken", () => {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  assert.throws(() => decodeFrameHeader(bytes), /frame begins with 0x00000000, not with "TRM1"/);
  encodeFrameHeader(bytes, { ...HEADER, byteLength: MAX_PAYLOAD_BYTES + 1 });
  assert.throws(() => decodeFrameHeader(bytes), WireError);
  encodeFrameHeader(bytes, HEADER);
  bytes.writeUInt16LE(99, 4);
  assert.throws(() => decodeFrameHeader(bytes), /unknown frame kind 99/);
});

test("frames are found wherever reads begin and end, down to single bytes", () => {
  const payloads = [[1, 2, 3, 4, 5], [], [6]];
  const stream = Buffer.concat(payloads.map((payload, i) => frame({ ...HEADER, step: i }, Uint8Array.from(payload))));
  for (const size of [1, 2, 7, FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + 1, stream.byteLength]) {
    const sink = collector();
    const reader = new FrameReader(sink);
    for (let at = 0; at < stream.byteLength; at += size) assert.ok(reader.push(stream.subarray(at, at + size)));
    assert.deepEqual(
      sink.frames.map(({ payload }) => payload),
      payloads,
    );
    assert.deepEqual(
      sink.frames.map(({ header }) => header.step),
      [0, 1, 2],
    );
  }
});

test("a sink that is not ready stops the reader before the frame and gets it after", () => {
  const sink = collector();
  const reader = new FrameReader(sink);
  sink.stopBefore = "sum";
  const stream = Buffer.concat([
    frame(HEADER, Uint8Array.of(1)),
    frame({ ...HEADER, kind: "sum" }, Uint8Array.of(2)),
    frame(HEADER, Uint8Array.of(3)),
  ]);
  assert.equal(reader.push(stream), false);
  assert.equal(reader.resume(), false);
  assert.deepEqual(
    sink.frames.map(({ payload }) => payload),
    [[1]],
  );
  sink.stopBefore = undefined;
  assert.equal(reader.resume(), true);
  assert.deepEqual(
    sink.frames.map(({ payload }) => payload),
    [[1], [2], [3]],
  );
});

test("a diverted frame writes no more into the memory it was given", () => {
  const target = new Uint8Array(4);
  const reader = new FrameReader({ open: () => target, complete: () => {} });
  const bytes = frame(HEADER, Uint8Array.of(1, 2, 3, 4));
  reader.push(bytes.subarray(0, FRAME_HEADER_BYTES + 2));
  reader.divert();
  reader.push(bytes.subarray(FRAME_HEADER_BYTES + 2));
  assert.deepEqual([...target], [1, 2, 0, 0]);
});

test("the writer says when a slow stream has taken everything, not before", async () => {
  const taken: Buffer[] = [];
  let release: (() => void) | undefined;
  const slow = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      taken.push(Buffer.from(chunk));
      release = done;
    },
  });
  const writer = new FrameWriter(slow);
  writer.send(HEADER, Uint8Array.of(1, 2, 3));
  writer.send({ ...HEADER, kind: "goodbye" });
  let flushed = false;
  writer.whenFlushed(() => {
    flushed = true;
  });
  for (let i = 0; i < 3; i++) {
    assert.equal(flushed, false);
    release?.();
    await new Promise(setImmediate);
  }
  assert.equal(flushed, true);
  assert.equal(writer.pending, 0);
  const sink = collector();
  new FrameReader(sink).push(Buffer.concat(taken));
  assert.deepEqual(
    sink.frames.map(({ header, payload }) => [header.kind, payload]),
    [
      ["gather", [1, 2, 3]],
      ["goodbye", []],
    ],
  );
});
