/** Builds PyTorch checkpoints byte by byte, right ones and wrong ones, from the descriptions of zip and pickle alone. */
import { crc32 } from "node:zlib";

export const bytesOf = (...parts: (string | number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))));
export const text = (value: string): Buffer => bytesOf("X", [value.length, 0, 0, 0], value);
export const pickleOf = (...parts: (string | number[] | Buffer)[]): Buffer =>
  Buffer.concat([Buffer.from([0x80, 2]), ...parts.map((part) => (Buffer.isBuffer(part) ? part : bytesOf(part)))]);

/** The pickle of `{"t": tensor}`, the tensor a view of storage 0. */
export function tensorPickle({
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

export interface Entry {
  readonly name: string;
  readonly data: Uint8Array;
  readonly method?: number;
  readonly flags?: number;
  readonly crc?: number;
  readonly zip64?: boolean;
  /** name in the entry's own header */
  readonly localName?: string;
  /** place and size that the directory claims */
  readonly offset?: number;
  readonly claims?: number;
}

/** A zip of stored entries, each number where the format has it; `zip64` puts sizes and places into the wide fields. */
export function zipOf(entries: readonly Entry[], wideEnd = false): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const { name, data, method = 0, flags = 0, crc = crc32(data), zip64 = false, localName = name, claims = data.byteLength } = entry;
    const place = entry.offset ?? offset;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(localName.length, 26);
    parts.push(local, Buffer.from(localName), Buffer.from(data));
    const extra = Buffer.alloc(zip64 ? 28 : 0);
    if (zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(claims), 4);
      extra.writeBigUInt64LE(BigInt(claims), 12);
      extra.writeBigUInt64LE(BigInt(place), 20);
    }
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(flags, 8);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(crc, 16);
    central.writeUInt32LE(zip64 ? 0xffffffff : claims, 20);
    central.writeUInt32LE(zip64 ? 0xffffffff : claims, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt16LE(extra.byteLength, 30);
    central.writeUInt32LE(zip64 ? 0xffffffff : place, 42);
    directory.push(central, Buffer.from(name), extra);
    offset += 30 + localName.length + data.byteLength;
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

export const six = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
export const checkpointOf = (pickle: Uint8Array, data: Uint8Array = six): Entry[] => [
  { name: "m/data.pkl", data: pickle },
  { name: "m/byteorder", data: Buffer.from("little") },
  { name: "m/data/0", data },
];
