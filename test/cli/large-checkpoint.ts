/** A PyTorch checkpoint of any size on a few pages of disk: mostly holes, laid out byte for byte as PyTorch 2.15's torch.save does. */
import { closeSync, openSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { pickleOf, text } from "../unit/checkpoint/pytorch-files.ts";

/** Bytes at a place of an otherwise empty file. */
interface Patch {
  readonly at: number;
  readonly bytes: Uint8Array;
}

interface SparseEntry {
  readonly name: string;
  readonly byteLength: number;
  readonly patches: readonly Patch[];
}

export interface LargeCheckpoint {
  /** rows of the puzzle embedding */
  readonly rows: number;
  readonly size: number;
  /** every so many rows one is not zero */
  readonly every: number;
  /** what that one is filled with, by its number (0, 1, 2, …) */
  readonly value: (number: number) => number;
  /** bytes of a file in the archive that no tensor refers to, before all the others */
  readonly unused?: number;
}

const CHUNK = 2 ** 24;
const FULL_32 = 0xffffffff;

/** Writes the checkpoint of a model of width 512 whose weights are zero. @returns its size in bytes */
export function writeLargeCheckpoint(path: string, { rows, size, every, value, unused = 0 }: LargeCheckpoint): number {
  const D = 512;
  const inner = 1536;
  const layer = (i: number): [string, number[]][] => [
    [`L_level.layers.${i}.self_attn.qkv_proj.weight`, [3 * D, D]],
    [`L_level.layers.${i}.self_attn.o_proj.weight`, [D, D]],
    [`L_level.layers.${i}.mlp.gate_up_proj.weight`, [2 * inner, D]],
    [`L_level.layers.${i}.mlp.down_proj.weight`, [D, inner]],
  ];
  const tensors: [string, number[]][] = [
    ["H_init", [D]],
    ["L_init", [D]],
    ["embed_tokens.embedding_weight", [12, D]],
    ["lm_head.weight", [12, D]],
    ["q_head.weight", [2, D]],
    ["q_head.bias", [2]],
    ["puzzle_emb.weights", [rows, size]],
    ...layer(0),
    ...layer(1),
  ];
  const filled = Array.from({ length: Math.ceil(rows / every) }, (_, number) => ({
    at: 4 * size * every * number,
    bytes: new Uint8Array(new Float32Array(size).fill(value(number)).buffer),
  }));
  const content = (name: string, data: string | Buffer): SparseEntry => {
    const bytes = Buffer.from(data as string, "latin1");
    return { name: `step_9/${name}`, byteLength: bytes.byteLength, patches: [{ at: 0, bytes }] };
  };
  const storages = tensors.map(([key, shape], i) => ({
    name: `step_9/data/${i}`,
    byteLength: 4 * shape.reduce((a, b) => a * b, 1),
    patches: key === "puzzle_emb.weights" ? filled : [],
  }));
  return writeSparseZip(path, [
    ...(unused > 0 ? [{ name: "step_9/data/99", byteLength: unused, patches: [] }] : []),
    content("data.pkl", stateDictPickle(tensors)),
    content(".format_version", "1"),
    content(".storage_alignment", "64"),
    content("byteorder", "little"),
    ...storages,
    content("version", "3\n"),
    content(".data/serialization_id", "1".repeat(40)),
  ]);
}

function stateDictPickle(tensors: readonly [string, number[]][]): Buffer {
  const whole = (value: number): string => {
    const out = Buffer.alloc(5);
    out.write("J", "latin1");
    out.writeInt32LE(value, 1);
    return out.toString("latin1");
  };
  const items = tensors.map(([name, shape], i) => {
    const key = text(`_orig_mod.model.inner.${name}`).toString("latin1");
    const elements = shape.reduce((a, b) => a * b, 1);
    const storage = `(${text("storage").toString("latin1")}ctorch\nFloatStorage\n${text(String(i)).toString("latin1")}${text("cpu").toString("latin1")}${whole(elements)}tQ`;
    const strides = shape.length === 2 ? [shape[1]!, 1] : [1];
    const tuples = [shape, strides].map((values) => `(${values.map(whole).join("")}t`).join("");
    return `${key}ctorch._utils\n_rebuild_tensor_v2\n(${storage}${whole(0)}${tuples}\x89ccollections\nOrderedDict\n)RtR`;
  });
  return pickleOf("ccollections\nOrderedDict\n)R(", items.join(""), "u.");
}

/** Headers without sizes, data at multiples of 64, sizes behind the data, 64-bit fields where a number is too large, a 64-bit end in any case. */
function writeSparseZip(path: string, entries: readonly SparseEntry[]): number {
  const file = openSync(path, "w");
  try {
    const directory: Buffer[] = [];
    let at = 0;
    const put = (bytes: Uint8Array): void => {
      writeSync(file, bytes, 0, bytes.byteLength, at);
      at += bytes.byteLength;
    };
    for (const { name, byteLength, patches } of entries) {
      const offset = at;
      const padding = (64 - ((offset + 30 + name.length + 4) % 64)) % 64;
      const local = Buffer.alloc(30 + name.length + 4 + padding, "Z");
      local.fill(0, 0, 30);
      local.writeUInt32LE(0x04034b50, 0);
      local.writeUInt16LE(0x0808, 6);
      local.writeUInt16LE(name.length, 26);
      local.writeUInt16LE(4 + padding, 28);
      local.write(`${name}FB`, 30, "latin1");
      local.writeUInt16LE(padding, 30 + name.length + 2);
      put(local);
      for (const patch of patches) writeSync(file, patch.bytes, 0, patch.bytes.byteLength, at + patch.at);
      at += byteLength;
      const crc = crcOf(byteLength, patches);
      const wide = byteLength > FULL_32;
      const descriptor = Buffer.alloc(wide ? 24 : 16);
      descriptor.writeUInt32LE(0x08074b50, 0);
      descriptor.writeUInt32LE(crc, 4);
      if (wide) for (const place of [8, 16]) descriptor.writeBigUInt64LE(BigInt(byteLength), place);
      else for (const place of [8, 12]) descriptor.writeUInt32LE(byteLength, place);
      put(descriptor);
      const values = [...(wide ? [byteLength, byteLength] : []), ...(offset > FULL_32 ? [offset] : [])];
      const extra = Buffer.alloc(values.length > 0 ? 4 + 8 * values.length : 0);
      if (values.length > 0) {
        extra.writeUInt16LE(1, 0);
        extra.writeUInt16LE(8 * values.length, 2);
        values.forEach((value, i) => {
          extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
        });
      }
      const central = Buffer.alloc(46);
      central.writeUInt32LE(0x02014b50, 0);
      central.writeUInt16LE(0x0808, 8);
      central.writeUInt32LE(crc, 16);
      central.writeUInt32LE(Math.min(byteLength, FULL_32), 20);
      central.writeUInt32LE(Math.min(byteLength, FULL_32), 24);
      central.writeUInt16LE(name.length, 28);
      central.writeUInt16LE(extra.byteLength, 30);
      central.writeUInt32LE(Math.min(offset, FULL_32), 42);
      directory.push(central, Buffer.from(name), extra);
    }
    const listing = Buffer.concat(directory);
    const end = Buffer.alloc(98);
    end.writeUInt32LE(0x06064b50, 0);
    end.writeBigUInt64LE(44n, 4);
    end.writeUInt16LE(0x031e, 12);
    end.writeUInt16LE(45, 14);
    end.writeBigUInt64LE(BigInt(entries.length), 24);
    end.writeBigUInt64LE(BigInt(entries.length), 32);
    end.writeBigUInt64LE(BigInt(listing.byteLength), 40);
    end.writeBigUInt64LE(BigInt(at), 48);
    end.writeUInt32LE(0x07064b50, 56);
    end.writeBigUInt64LE(BigInt(at + listing.byteLength), 64);
    end.writeUInt32LE(1, 72);
    end.writeUInt32LE(0x06054b50, 76);
    end.writeUInt16LE(entries.length, 84);
    end.writeUInt16LE(entries.length, 86);
    end.writeUInt32LE(listing.byteLength, 88);
    end.writeUInt32LE(Math.min(at, FULL_32), 92);
    put(listing);
    put(end);
    return at;
  } finally {
    closeSync(file);
  }
}

function crcOf(byteLength: number, patches: readonly Patch[]): number {
  const zeros = new Uint8Array(CHUNK);
  let crc = 0;
  let next = 0;
  for (let at = 0; at < byteLength; at += CHUNK) {
    const length = Math.min(CHUNK, byteLength - at);
    const chunk = (patches[next]?.at ?? Number.POSITIVE_INFINITY) < at + length ? new Uint8Array(CHUNK) : zeros;
    // A patch lies in one chunk: rows are shorter than a chunk and begin at multiples of their length, a power of two.
    for (; next < patches.length && patches[next]!.at < at + length; next++) chunk.set(patches[next]!.bytes, patches[next]!.at - at);
    crc = crc32(chunk.subarray(0, length), crc);
  }
  return crc;
}
