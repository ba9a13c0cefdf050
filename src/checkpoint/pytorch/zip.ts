/** The zip archive that `torch.save` writes: entries stored as they are, zip64 where they are large. */
import { crc32 } from "node:zlib";
import { InputError } from "../../errors.ts";
import type { ByteSource } from "../file.ts";
import { describeWrongFile } from "../wrong-file.ts";
import { printable } from "./pickle.ts";

/** A file inside an archive. */
export interface ZipEntry {
  readonly name: string;
  readonly byteLength: number;
  /** Its bytes, in a buffer of their own, checked against the archive's CRC-32. @throws InputError where they differ */
  read(): Uint8Array<ArrayBuffer>;
  /** Its bytes from the first one on, for files larger than memory. */
  open(): EntryReader;
}

/** A place in a file of an archive. */
export interface EntryReader {
  /** The next bytes. @param into buffer to put them at the beginning of; one of their own unless given */
  take(bytes: number, into?: ArrayBuffer): Uint8Array<ArrayBuffer>;
  /** Reads what is left. @throws InputError where the CRC-32 of all of it is not the archive's: what was taken must not be used then */
  finish(): void;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const MAX_ENTRIES = 100_000;
const MAX_DIRECTORY_BYTES = 2 ** 26;
const ESCAPE_32 = 0xffffffff;
/** Bytes read at a time where nobody wants them but the checksum. */
const PIECE_BYTES = 2 ** 22;

interface Directory {
  readonly entries: number;
  readonly byteLength: number;
  readonly offset: number;
}

/**
 * The entries of an archive of stored files. Nothing is unpacked, so nothing can grow.
 *
 * @param where name of the archive, for messages
 * @throws InputError where it is no zip, is cut short, is compressed or encrypted, or contradicts itself
 */
export function readStoredZip(source: ByteSource, where: string): Map<string, ZipEntry> {
  const refuse = (problem: string): never => {
    throw new InputError(where, [problem]);
  };
  refuseOtherFormats(source, refuse);
  const directory = findDirectory(source, refuse);
  if (directory.entries > MAX_ENTRIES) refuse(`has ${directory.entries} zip entries, at most ${MAX_ENTRIES} are read`);
  if (directory.byteLength > MAX_DIRECTORY_BYTES || directory.offset + directory.byteLength > source.byteLength) {
    refuse("the zip directory does not lie inside the file; it is cut short or damaged");
  }
  const bytes = source.read(directory.offset, directory.byteLength);
  const view = viewOf(bytes);
  const entries = new Map<string, ZipEntry>();
  const places: { name: string; begin: number; end: number }[] = [];
  let at = 0;
  for (let i = 0; i < directory.entries; i++) {
    if (at + 46 > bytes.byteLength || view.getUint32(at, true) !== CENTRAL) refuse(`zip directory entry ${i} is damaged`);
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const crc = view.getUint32(at + 16, true);
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > bytes.byteLength) refuse(`zip directory entry ${i} is damaged`);
    const name = Buffer.from(bytes.subarray(at + 46, at + 46 + nameLength)).toString("utf8");
    const shown = printable(name);
    const extra = bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
    const [byteLength, stored, offset] = zip64Values(extra, [
      view.getUint32(at + 24, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 42, true),
    ]);
    if (flags & 1) refuse(`zip entry ${shown} is encrypted`);
    if (method !== 0 || stored !== byteLength) {
      refuse(`zip entry ${shown} is compressed (method ${method}); torch.save stores entries as they are, this is some other zip`);
    }
    if (entries.has(name)) refuse(`zip entry ${shown} occurs twice`);
    if (/^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)/.test(name)) refuse(`zip entry ${shown} points outside its archive`);
    const end = offset! + 30 + nameLength + byteLength!;
    if (end > directory.offset) refuse(`zip entry ${shown} (${byteLength} bytes at ${offset}) does not lie inside the file`);
    places.push({ name, begin: offset!, end });
    const open = (): EntryReader => openEntry(source, where, { name, offset: offset!, byteLength: byteLength!, crc });
    entries.set(name, { name, byteLength: byteLength!, open, read: () => readAll(open(), byteLength!) });
    at = next;
  }
  if (at !== bytes.byteLength) refuse(`${bytes.byteLength - at} bytes of the zip directory belong to no entry; it is damaged`);
  places.sort((a, b) => a.begin - b.begin);
  places.forEach(({ name, begin }, i) => {
    const before = places[i - 1];
    if (before && begin < before.end) refuse(`zip entries ${printable(before.name)} and ${printable(name)} overlap`);
  });
  return entries;
}

type Refuse = (problem: string) => never;

function refuseOtherFormats(source: ByteSource, refuse: Refuse): void {
  const start = source.read(0, Math.min(512, source.byteLength));
  const wrong = describeWrongFile(start, "pytorch");
  if (wrong) refuse(wrong);
  const convert = "write it anew with a current PyTorch: torch.save(torch.load(old, map_location='cpu', weights_only=True), new)";
  if (start[0] === 0x80) refuse(`is a checkpoint in PyTorch's format before 1.6 (a bare pickle); ${convert}`);
  if (Buffer.from(start.subarray(257, 262)).toString("latin1") === "ustar") refuse(`is a checkpoint in PyTorch's tar format; ${convert}`);
  if (start.byteLength < 22 || viewOf(start).getUint32(0, true) !== LOCAL) refuse("is not a PyTorch checkpoint (a zip archive)");
}

/** Finds the directory from the archive's end, through the zip64 records where the plain one is full. */
function findDirectory(source: ByteSource, refuse: Refuse): Directory {
  const tailStart = Math.max(0, source.byteLength - 22 - 0xffff);
  const tail = source.read(tailStart, source.byteLength - tailStart);
  const view = viewOf(tail);
  let end = tail.byteLength - 22;
  while (end >= 0 && !(view.getUint32(end, true) === END && end + 22 + view.getUint16(end + 20, true) === tail.byteLength)) end--;
  if (end < 0) refuse("has no zip directory at its end; the file is cut short");
  const plain = {
    entries: view.getUint16(end + 10, true),
    byteLength: view.getUint32(end + 12, true),
    offset: view.getUint32(end + 16, true),
  };
  if (plain.entries !== 0xffff && plain.byteLength !== ESCAPE_32 && plain.offset !== ESCAPE_32) return plain;
  if (end < 20 || view.getUint32(end - 20, true) !== LOCATOR64) return plain;
  const at = safe(view.getBigUint64(end - 12, true), refuse);
  if (at + 56 > source.byteLength) refuse("its zip64 directory lies outside the file; it is cut short or damaged");
  const record = viewOf(source.read(at, 56));
  if (record.getUint32(0, true) !== END64) refuse("its zip64 directory is damaged");
  return {
    entries: safe(record.getBigUint64(32, true), refuse),
    byteLength: safe(record.getBigUint64(40, true), refuse),
    offset: safe(record.getBigUint64(48, true), refuse),
  };
}

/** Those of [size, stored size, offset] that are full in the plain entry stand in its zip64 field, in this order. */
function zip64Values(extra: Uint8Array, values: readonly number[]): number[] {
  const view = viewOf(extra);
  let field = 0;
  while (field + 4 <= extra.byteLength && view.getUint16(field, true) !== 1) field += 4 + view.getUint16(field + 2, true);
  if (field + 4 > extra.byteLength) return [...values];
  const fieldEnd = Math.min(extra.byteLength, field + 4 + view.getUint16(field + 2, true));
  let at = field + 4;
  return values.map((value) => {
    if (value !== ESCAPE_32 || at + 8 > fieldEnd) return value;
    at += 8;
    return Number(view.getBigUint64(at - 8, true));
  });
}

interface Place {
  readonly name: string;
  readonly offset: number;
  readonly byteLength: number;
  readonly crc: number;
}

function openEntry(source: ByteSource, where: string, { name, offset, byteLength, crc }: Place): EntryReader {
  const local = viewOf(source.read(offset, 30));
  if (local.getUint32(0, true) !== LOCAL) throw new InputError(where, [`zip entry ${printable(name)} is damaged: no header at ${offset}`]);
  const nameLength = local.getUint16(26, true);
  const localName = Buffer.from(source.read(offset + 30, nameLength)).toString("utf8");
  if (localName !== name)
    throw new InputError(where, [
      `zip entry ${printable(name)} is called ${printable(localName)} at its own place; the archive is damaged`,
    ]);
  const start = offset + 30 + nameLength + local.getUint16(28, true);
  let at = 0;
  let found = 0;
  const take = (bytes: number, into?: ArrayBuffer): Uint8Array<ArrayBuffer> => {
    if (at + bytes > byteLength) throw new Error(`zip entry ${name} has ${byteLength} bytes, not ${at + bytes}`);
    const piece = source.read(start + at, bytes, into);
    for (let done = 0; done < bytes; done += 2 ** 30) found = crc32(piece.subarray(done, done + 2 ** 30), found);
    at += bytes;
    return piece;
  };
  const finish = (): void => {
    const unwanted = new ArrayBuffer(Math.min(PIECE_BYTES, byteLength - at));
    while (at < byteLength) take(Math.min(PIECE_BYTES, byteLength - at), unwanted);
    if (found !== crc) {
      const none = crc === 0 ? " (written without checksums? save it with torch.serialization.set_crc32_options(True))" : "";
      throw new InputError(where, [`zip entry ${printable(name)} is damaged: CRC-32 ${hex(found)}, the directory says ${hex(crc)}${none}`]);
    }
  };
  return { take, finish };
}

function readAll(reader: EntryReader, byteLength: number): Uint8Array<ArrayBuffer> {
  const bytes = reader.take(byteLength);
  reader.finish();
  return bytes;
}

function safe(value: bigint, refuse: Refuse): number {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : refuse("its zip64 directory is damaged");
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
