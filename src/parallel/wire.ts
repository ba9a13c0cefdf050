/** Frames between worker processes: a header of 24 bytes, then the payload it announces. */
import type { Writable } from "node:stream";

/** What a frame is about. */
export const FRAME_KINDS = {
  /** who joins, and proof of the token; answered by `welcome` or `refused` */
  hello: 1,
  welcome: 2,
  refused: 3,
  /** float32, to be added to the receiver's own */
  sum: 4,
  /** float32, summed up: to be taken over */
  share: 5,
  /** float32 of one rank, to be passed on as it is */
  gather: 6,
  /** are you there, and where? answered by `here` */
  probe: 7,
  here: 8,
  /** the ring has failed: JSON of whom it lost, and why */
  abort: 9,
  /** leaving in good order */
  goodbye: 10,
} as const;

export type FrameKind = keyof typeof FRAME_KINDS;

/** The numbers in front of each payload; each 32 bits, little-endian, but for `kind` and `part` (16 bits). */
export interface FrameHeader {
  readonly kind: FrameKind;
  /** piece of the array (`sum`, `share`), or the rank it belongs to (`gather`, `hello`, …) */
  readonly part: number;
  /** payload bytes, at most MAX_PAYLOAD_BYTES */
  readonly byteLength: number;
  /** number of the exchange, counted from 0 by every rank */
  readonly step: number;
  /** place in the whole array, in elements */
  readonly offset: number;
  /** length of the whole array, in elements */
  readonly total: number;
}

export const FRAME_HEADER_BYTES = 24;
/** Larger payloads are refused before memory is taken. */
export const MAX_PAYLOAD_BYTES = 2 ** 24;
/** "TRM1" */
const MAGIC = 0x314d5254;

const NAMES = new Map<number, FrameKind>(Object.entries(FRAME_KINDS).map(([name, code]) => [code, name as FrameKind]));

/** Bytes that are not frames of ours. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/** Writes a header into the first 24 bytes of `target`. */
export function encodeFrameHeader(target: Buffer, header: FrameHeader): void {
  target.writeUInt32LE(MAGIC, 0);
  target.writeUInt16LE(FRAME_KINDS[header.kind], 4);
  target.writeUInt16LE(header.part, 6);
  target.writeUInt32LE(header.byteLength, 8);
  target.writeUInt32LE(header.step >>> 0, 12);
  target.writeUInt32LE(header.offset, 16);
  target.writeUInt32LE(header.total, 20);
}

/** @throws WireError where the bytes are no header or announce too much */
export function decodeFrameHeader(bytes: Buffer): FrameHeader {
  const magic = bytes.readUInt32LE(0);
  if (magic !== MAGIC) throw new WireError(`frame begins with 0x${magic.toString(16).padStart(8, "0")}, not with "TRM1"`);
  const code = bytes.readUInt16LE(4);
  const kind = NAMES.get(code);
  if (!kind) throw new WireError(`unknown frame kind ${code}`);
  const byteLength = bytes.readUInt32LE(8);
  if (byteLength > MAX_PAYLOAD_BYTES) throw new WireError(`frame of ${byteLength} bytes, at most ${MAX_PAYLOAD_BYTES} are allowed`);
  return {
    kind,
    part: bytes.readUInt16LE(6),
    byteLength,
    step: bytes.readUInt32LE(12),
    offset: bytes.readUInt32LE(16),
    total: bytes.readUInt32LE(20),
  };
}

/** Takes frames as they come in. */
export interface FrameSink {
  /**
   * Where a frame's payload goes (exactly `header.byteLength` bytes), or `undefined` to stop reading before it for now.
   * After `undefined`, the same header is offered again by `FrameReader.resume`.
   */
  open(header: FrameHeader): Uint8Array | undefined;
  /** The payload is complete. */
  complete(header: FrameHeader): void;
}

/** Cuts a stream of bytes into frames, wherever its reads begin and end; payloads are copied once, to where the sink wants them. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #headerBytes = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerFill = 0;
  #header: FrameHeader | undefined;
  #target: Uint8Array | undefined;
  #targetFill = 0;
  #rest: Uint8Array | undefined;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /**
   * Takes the next bytes.
   *
   * @returns false where the sink wants no more: then `bytes` must stay as they are and nothing more be pushed until `resume`
   * @throws WireError where they are no frames
   */
  push(bytes: Uint8Array): boolean {
    let at = 0;
    for (;;) {
      if (!this.#header) {
        const take = Math.min(FRAME_HEADER_BYTES - this.#headerFill, bytes.byteLength - at);
        this.#headerBytes.set(bytes.subarray(at, at + take), this.#headerFill);
        this.#headerFill += take;
        at += take;
        if (this.#headerFill < FRAME_HEADER_BYTES) return true;
        this.#header = decodeFrameHeader(this.#headerBytes);
        this.#headerFill = 0;
      }
      if (!this.#target) {
        this.#target = this.#sink.open(this.#header);
        this.#targetFill = 0;
        if (!this.#target) {
          this.#rest = bytes.subarray(at);
          return false;
        }
      }
      const take = Math.min(this.#header.byteLength - this.#targetFill, bytes.byteLength - at);
      if (take > 0) this.#target.set(bytes.subarray(at, at + take), this.#targetFill);
      this.#targetFill += take;
      at += take;
      if (this.#targetFill < this.#header.byteLength) return true;
      const header = this.#header;
      this.#header = undefined;
      this.#target = undefined;
      this.#sink.complete(header);
    }
  }

  /** Goes on with the bytes left over when the sink stopped; true where it took them all (or had not stopped). */
  resume(): boolean {
    const rest = this.#rest;
    if (!rest) return true;
    this.#rest = undefined;
    return this.push(rest);
  }

  /** Lets go of the memory that the frame under way was read into; the rest of its payload is read into nowhere. */
  divert(): void {
    if (this.#header && this.#target) this.#target = new Uint8Array(this.#header.byteLength);
  }
}

/** Sends frames. Payloads are not copied: they must stay as they are until `flushed` says so. */
export class FrameWriter {
  readonly #stream: Writable;
  #pending = 0;
  #waiting: (() => void) | undefined;
  readonly #written = (): void => {
    if (--this.#pending === 0) this.#waiting?.();
  };

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  /** Queues a frame; its payload is `payload`, whatever `header.byteLength` says. */
  send(header: Omit<FrameHeader, "byteLength">, payload?: Uint8Array): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return; // the loss is reported by the stream's own events
    const head = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
    encodeFrameHeader(head, { ...header, byteLength: payload?.byteLength ?? 0 });
    this.#pending++;
    if (!payload || payload.byteLength === 0) {
      this.#stream.write(head, this.#written);
      return;
    }
    this.#stream.cork(); // one system call for both
    this.#stream.write(head);
    this.#stream.write(payload, this.#written);
    this.#stream.uncork();
  }

  /** Frames handed over but not yet taken by the kernel. */
  get pending(): number {
    return this.#pending;
  }

  /** Calls `done` once all frames are the kernel's: at once where they are. Never where the stream breaks: its events tell. */
  whenFlushed(done: () => void): void {
    this.#waiting = undefined;
    if (this.#pending === 0) done();
    else {
      this.#waiting = () => {
        this.#waiting = undefined;
        done();
      };
    }
  }
}
