/**
 * TensorBoard's event files: records of (length u64, its masked CRC-32C, an `Event` message, its masked CRC-32C), little-endian. Of the message these
 * fields are written: wall_time 1 (double), step 2 (int64), file_version 3 (string), summary 5 { value 1 { tag 1, simple_value 2 (float) } } and
 * session_log 7 { status 1 }. Source: TensorFlow core/util/event.proto, core/framework/summary.proto, core/lib/io/record_writer.cc
 */
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { maskedCrc32c } from "./crc32c.ts";

const WIRE = { varint: 0, double: 1, bytes: 2, float: 5 } as const;
/** SessionLog.START: readers forget what they have of later steps. */
const STATUS_START = 1;

/** A file that curves are appended to. */
export class EventFile {
  readonly path: string;

  /**
   * Begins a file of its own in a folder; files of earlier processes are read before it.
   *
   * @param step step that is taken up again, 0 for a new training: what other files in the folder say of later steps no longer counts
   * @param now  Unix seconds
   */
  constructor(folder: string, step: number, now: number) {
    mkdirSync(folder, { recursive: true });
    this.path = join(folder, `events.out.tfevents.${Math.floor(now).toString().padStart(10, "0")}.trm.${process.pid}`);
    this.#append(event(now, 0, field(3, WIRE.bytes, Buffer.from("brain.Event:2"))));
    this.#append(event(now, step === 0 ? 0 : step + 1, field(7, WIRE.bytes, field(1, WIRE.varint, varint(STATUS_START)))));
  }

  /** Appends a point to each of these curves. */
  add(step: number, values: Readonly<Record<string, number>>, now: number): void {
    const points = Object.entries(values).map(([tag, value]) => {
      const number = Buffer.alloc(4);
      number.writeFloatLE(value);
      return field(1, WIRE.bytes, Buffer.concat([field(1, WIRE.bytes, Buffer.from(tag)), field(2, WIRE.float, number)]));
    });
    this.#append(event(now, step, field(5, WIRE.bytes, Buffer.concat(points))));
  }

  #append(message: Buffer): void {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(message.byteLength));
    appendFileSync(this.path, Buffer.concat([length, checksum(length), message, checksum(message)]));
  }
}

function event(now: number, step: number, what: Buffer): Buffer {
  const seconds = Buffer.alloc(8);
  seconds.writeDoubleLE(now);
  const at = step === 0 ? Buffer.alloc(0) : field(2, WIRE.varint, varint(step)); // 0 is what a missing number stands for
  return Buffer.concat([field(1, WIRE.double, seconds), at, what]);
}

function field(number: number, wire: number, content: Buffer): Buffer {
  const key = varint(number * 8 + wire);
  return wire === WIRE.bytes ? Buffer.concat([key, varint(content.byteLength), content]) : Buffer.concat([key, content]);
}

/** A whole number from 0 up, seven bits a byte, low ones first. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

function checksum(bytes: Buffer): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(maskedCrc32c(bytes));
  return out;
}
