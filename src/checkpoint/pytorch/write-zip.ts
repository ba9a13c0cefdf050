/** Writes the zip archive that `torch.load` reads: stored entries, data at multiples of 64 bytes, zip64 where something is 4 GiB or more. */
import { crc32 } from "node:zlib";

/** A file to be put into an archive. */
export interface StoredFile {
  readonly name: string;
  readonly byteLength: number;
  /** its bytes in order, made as they are written; a piece may be overwritten when the next one is asked for */
  pieces(): Iterable<Uint8Array>;
}

/** Where data begin, so that they can be mapped into memory. Source: PyTorch's `.storage_alignment` */
export const ALIGNMENT = 64;

/** Sizes and checksum follow the data; names are UTF-8. */
const FLAGS = 0x0808;
const FULL_16 = 0xffff;
const FULL_32 = 0xffffffff;
/** Version of the format that has 64-bit sizes. */
const VERSION = 45;

interface Written {
  readonly name: Buffer;
  readonly offset: number;
  readonly byteLength: number;
  readonly crc: number;
}

/**
 * The archive piece by piece.
 *
 * @throws Error where a file's pieces are not as long as it said: a bug of the caller
 */
export function* storedZip(files: readonly StoredFile[]): Generator<Uint8Array> {
  const written: Written[] = [];
  let at = 0;
  for (const file of files) {
    const name = Buffer.from(file.name);
    const offset = at;
    const large = file.byteLength >= FULL_32;
    const header = localHeader(name, offset, large);
    yield header;
    at += header.byteLength;
    let crc = 0;
    let byteLength = 0;
    for (const piece of file.pieces()) {
      crc = crc32(piece, crc);
      byteLength += piece.byteLength;
      yield piece;
    }
    if (byteLength !== file.byteLength) throw new Error(`${file.name} gave ${byteLength} bytes, not ${file.byteLength}`);
    at += byteLength;
    const descriptor = dataDescriptor(crc, byteLength, large);
    yield descriptor;
    at += descriptor.byteLength;
    written.push({ name, offset, byteLength, crc });
  }
  const directory = Buffer.concat(written.map(directoryEntry));
  yield directory;
  yield archiveEnd(written.length, directory.byteLength, at);
}

/** An entry's own header, with a field that pads it until its data are aligned. */
function localHeader(name: Buffer, offset: number, large: boolean): Buffer {
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(large ? VERSION : 0, 4);
  header.writeUInt16LE(FLAGS, 6);
  if (large) {
    header.writeUInt32LE(FULL_32, 18);
    header.writeUInt32LE(FULL_32, 22);
  }
  header.writeUInt16LE(name.byteLength, 26);
  const wide = large ? wideField([0, 0]) : Buffer.alloc(0); // says that the sizes behind the data are wide
  const unpadded = offset + 30 + name.byteLength + wide.byteLength + 4;
  const padding = Buffer.alloc(4 + ((ALIGNMENT - (unpadded % ALIGNMENT)) % ALIGNMENT), "Z");
  padding.write("FB", 0, "latin1");
  padding.writeUInt16LE(padding.byteLength - 4, 2);
  header.writeUInt16LE(wide.byteLength + padding.byteLength, 28);
  return Buffer.concat([header, name, wide, padding]);
}

function dataDescriptor(crc: number, byteLength: number, large: boolean): Buffer {
  const descriptor = Buffer.alloc(large ? 24 : 16);
  descriptor.writeUInt32LE(0x08074b50, 0);
  descriptor.writeUInt32LE(crc, 4);
  if (large) {
    descriptor.writeBigUInt64LE(BigInt(byteLength), 8);
    descriptor.writeBigUInt64LE(BigInt(byteLength), 16);
  } else {
    descriptor.writeUInt32LE(byteLength, 8);
    descriptor.writeUInt32LE(byteLength, 12);
  }
  return descriptor;
}

function directoryEntry({ name, offset, byteLength, crc }: Written): Buffer {
  const wideValues = [...(byteLength >= FULL_32 ? [byteLength, byteLength] : []), ...(offset >= FULL_32 ? [offset] : [])];
  const wide = wideValues.length > 0 ? wideField(wideValues) : Buffer.alloc(0);
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(wide.byteLength > 0 ? VERSION : 0, 6);
  entry.writeUInt16LE(FLAGS, 8);
  entry.writeUInt32LE(crc, 16);
  entry.writeUInt32LE(Math.min(byteLength, FULL_32), 20);
  entry.writeUInt32LE(Math.min(byteLength, FULL_32), 24);
  entry.writeUInt16LE(name.byteLength, 28);
  entry.writeUInt16LE(wide.byteLength, 30);
  entry.writeUInt32LE(Math.min(offset, FULL_32), 42);
  return Buffer.concat([entry, name, wide]);
}

/** The field of 64-bit numbers. */
function wideField(values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * values.length, 2);
  values.forEach((value, i) => {
    field.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
  });
  return field;
}

/** The 64-bit end, its locator, and the plain end. */
function archiveEnd(entries: number, byteLength: number, offset: number): Buffer {
  const end = Buffer.alloc(56 + 20 + 22);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n, 4);
  end.writeUInt16LE(VERSION, 12);
  end.writeUInt16LE(VERSION, 14);
  end.writeBigUInt64LE(BigInt(entries), 24);
  end.writeBigUInt64LE(BigInt(entries), 32);
  end.writeBigUInt64LE(BigInt(byteLength), 40);
  end.writeBigUInt64LE(BigInt(offset), 48);
  end.writeUInt32LE(0x07064b50, 56);
  end.writeBigUInt64LE(BigInt(offset + byteLength), 64);
  end.writeUInt32LE(1, 72);
  end.writeUInt32LE(0x06054b50, 76);
  end.writeUInt16LE(Math.min(entries, FULL_16), 84);
  end.writeUInt16LE(Math.min(entries, FULL_16), 86);
  end.writeUInt32LE(Math.min(byteLength, FULL_32), 88);
  end.writeUInt32LE(Math.min(offset, FULL_32), 92);
  return end;
}
