/** The safetensors format: named arrays in one file, written so that equal tensors give equal bytes and read without trusting a byte. */
import { InputError, messageOf } from "../errors.ts";
import type { ByteSource } from "./file.ts";
import { widenBfloat16, widenFloat16 } from "./half-precision.ts";
import { describeWrongFile } from "./wrong-file.ts";

/** Bytes an element takes, in the order of the reference implementation (it decides the order of entries in a file). */
const DTYPES = {
  BOOL: { bytes: 1, array: Uint8Array },
  U8: { bytes: 1, array: Uint8Array },
  I8: { bytes: 1, array: Int8Array },
  F8_E5M2: { bytes: 1, array: Uint8Array },
  F8_E4M3: { bytes: 1, array: Uint8Array },
  F8_E8M0: { bytes: 1, array: Uint8Array },
  F8_E4M3FNUZ: { bytes: 1, array: Uint8Array },
  F8_E5M2FNUZ: { bytes: 1, array: Uint8Array },
  I16: { bytes: 2, array: Int16Array },
  U16: { bytes: 2, array: Uint16Array },
  F16: { bytes: 2, array: Uint16Array },
  BF16: { bytes: 2, array: Uint16Array },
  I32: { bytes: 4, array: Int32Array },
  U32: { bytes: 4, array: Uint32Array },
  F32: { bytes: 4, array: Float32Array },
  C64: { bytes: 8, array: Float32Array },
  F64: { bytes: 8, array: Float64Array },
  I64: { bytes: 8, array: BigInt64Array },
  U64: { bytes: 8, array: BigUint64Array },
} as const;

/** The element types of a file; F16, BF16, F8_* and BOOL come as raw unsigned integers, C64 as pairs of float32. */
export type SafetensorsDtype = keyof typeof DTYPES;

/** The arrays that elements come in. */
export type TensorData =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** One array of a file. */
export interface SafetensorsTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** row-major, in the array type of the dtype */
  readonly data: TensorData;
}

/** What a file holds. */
export interface SafetensorsFile {
  /** in the order of the file */
  readonly tensors: Map<string, SafetensorsTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A longer header is refused, as the reference does. */
const MAX_HEADER_BYTES = 100_000_000;
/** Larger arrays are handed over in pieces: one write of a file takes less than 2 GiB. */
const MAX_PART_BYTES = 2 ** 30;
/** Problems listed before the rest is only counted. */
const MAX_PROBLEMS = 20;

/**
 * The bytes of a safetensors file, as parts to be written one after the other. Equal tensors and metadata give equal bytes, whatever
 * the order of the arguments: entries are ordered by element type (wide ones first), then by name.
 *
 * @param metadata texts kept under `__metadata__`; none written when empty
 * @returns        a header and views (not copies) of the tensors' data
 * @throws Error   where data does not fit its dtype or shape: a bug of the caller
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const ranks = Object.keys(DTYPES);
  const entries = [...tensors].sort(
    ([nameA, a], [nameB, b]) => ranks.indexOf(b.dtype) - ranks.indexOf(a.dtype) || Buffer.compare(Buffer.from(nameA), Buffer.from(nameB)),
  );
  const parts: Uint8Array[] = [];
  for (const [name, { dtype, shape, data }] of entries) {
    const byteLength = byteLengthOf({ dtype, shape });
    if (!(data instanceof DTYPES[dtype].array) || data.byteLength !== byteLength) {
      throw new Error(`tensor ${name}: ${data.constructor.name} of ${data.byteLength} bytes is not ${dtype} ${formatShape(shape)}`);
    }
    for (let done = 0; done < byteLength; done += MAX_PART_BYTES) {
      parts.push(new Uint8Array(data.buffer, data.byteOffset + done, Math.min(MAX_PART_BYTES, byteLength - done)));
    }
  }
  const headers = entries.map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  return [safetensorsHeader(headers, metadata), ...parts];
}

/** What a header says of a tensor. */
export interface SafetensorsHeaderEntry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/** The beginning of a file, up to the first tensor's data; the data of the tensors must follow in this order. */
export function safetensorsHeader(
  entries: readonly SafetensorsHeaderEntry[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const fields: string[] = [];
  const metadataNames = Object.keys(metadata).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  if (metadataNames.length > 0) {
    const texts = metadataNames.map((name) => `${JSON.stringify(name)}:${JSON.stringify(metadata[name])}`);
    fields.push(`"__metadata__":{${texts.join(",")}}`);
  }
  let offset = 0;
  for (const { name, dtype, shape } of entries) {
    if (name === "__metadata__") throw new Error("a tensor may not be named __metadata__");
    const end = offset + byteLengthOf({ dtype, shape });
    fields.push(`${JSON.stringify(name)}:{"dtype":"${dtype}","shape":${JSON.stringify(shape)},"data_offsets":[${offset},${end}]}`);
    offset = end;
  }
  const json = Buffer.from(`{${fields.join(",")}}`, "utf8");
  const header = Buffer.alloc(8 + Math.ceil(json.byteLength / 8) * 8, " ");
  header.writeBigUInt64LE(BigInt(header.byteLength - 8), 0);
  header.set(json, 8);
  return header;
}

function byteLengthOf({ dtype, shape }: Omit<SafetensorsHeaderEntry, "name">): number {
  return shape.reduce((product, size) => product * size, DTYPES[dtype].bytes);
}

/**
 * Reads a safetensors file and checks all of it before the first tensor is handed out.
 *
 * @param bytes the whole file
 * @param where its name, for messages
 * @returns     tensors whose data are views of `bytes` where that is aligned for them, else copies
 * @throws InputError listing what is wrong: cut short, not this format, entries that overlap, leave holes or don't fit their shape, …
 */
export function decodeSafetensors(bytes: Uint8Array, where: string): SafetensorsFile {
  const { entries, metadata, dataStart } = checkedHeader(bytes, bytes.byteLength, where);
  const tensors = new Map<string, SafetensorsTensor>();
  for (const { name, dtype, shape, begin, end } of entries) {
    tensors.set(name, { dtype, shape, data: arrayOf(dtype, bytes, dataStart + begin, end - begin) });
  }
  return { tensors, metadata };
}

/**
 * The header alone of a file too large to be read whole, checked against the file's size.
 *
 * @returns the tensors in the order of the file, and where the first one's data begin
 * @throws InputError as `decodeSafetensors` does
 */
export function readSafetensorsHeader(source: ByteSource, where: string): { entries: readonly Entry[]; dataStart: number } {
  const start = source.read(0, Math.min(8, source.byteLength));
  const announced = start.byteLength < 8 ? 0 : Number(new DataView(start.buffer).getBigUint64(0, true));
  const bytes = source.read(0, Math.min(source.byteLength, 8 + Math.min(announced, MAX_HEADER_BYTES)));
  return checkedHeader(bytes, source.byteLength, where);
}

/** @param bytes the file from its beginning, at least to the end of its header */
function checkedHeader(
  bytes: Uint8Array,
  fileBytes: number,
  where: string,
): { entries: Entry[]; metadata: Record<string, string>; dataStart: number } {
  const refuse = (problem: string): never => {
    throw new InputError(where, [problem]);
  };
  const headerLength = bytes.byteLength < 8 ? -1n : new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (headerLength < 0 || headerLength > fileBytes - 8) {
    const wrong = describeWrongFile(bytes, "safetensors"); // asked only now: a right header's length may look like another format's signature
    if (wrong) refuse(wrong);
  }
  if (headerLength < 0) refuse(`header too small: the file has ${fileBytes} bytes, a safetensors file begins with 8 for a length`);
  if (headerLength > MAX_HEADER_BYTES) {
    refuse(`header too large: its first 8 bytes announce ${headerLength} bytes, at most ${MAX_HEADER_BYTES} are allowed; not safetensors?`);
  }
  const dataStart = 8 + Number(headerLength);
  if (dataStart > fileBytes) {
    refuse(`invalid header length: a header of ${headerLength} bytes is announced, ${fileBytes - 8} follow; the file is cut short`);
  }
  const header = parseHeader(bytes.subarray(8, dataStart), refuse);
  const metadata = readMetadata(header, refuse);
  const entries = readEntries(header, where);
  checkCoverage(entries, fileBytes - dataStart, where);
  return { entries, metadata, dataStart };
}

/** A tensor's numbers as float32; F16 and BF16 are widened, F64 is rounded. @throws InputError for other element types. */
export function toFloat32(tensor: SafetensorsTensor, name: string, where: string): Float32Array {
  const { dtype, data } = tensor;
  if (dtype === "F32") return data as Float32Array;
  if (dtype === "BF16") return widenBfloat16(data as Uint16Array);
  if (dtype === "F16") return widenFloat16(data as Uint16Array);
  if (dtype === "F64") return Float32Array.from(data as Float64Array);
  throw new InputError(where, [`tensor ${name} is ${dtype}; weights must be F32, F64, BF16 or F16`]);
}

/** `[2, 3]` */
export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

type Refuse = (problem: string) => never;

interface Entry extends SafetensorsHeaderEntry {
  readonly begin: number;
  readonly end: number;
}

function parseHeader(bytes: Uint8Array, refuse: Refuse): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse("invalid UTF-8 in header");
  }
  if (!text.startsWith("{")) refuse(`invalid start of header: it must begin with "{", not ${JSON.stringify(text.slice(0, 1))}`);
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    return refuse(`invalid JSON in header: ${messageOf(error)}`);
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) refuse(`duplicate key ${JSON.stringify(duplicate)} in header`);
  return header as Record<string, unknown>;
}

/** A key that occurs twice in one object of a valid JSON text; `JSON.parse` would keep the last without a word. */
function findDuplicateKey(json: string): string | undefined {
  const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;
  const open: (Set<string> | undefined)[] = []; // keys seen in each object around the current place; undefined for a list
  let lastText = "";
  for (let match = token.exec(json); match; match = token.exec(json)) {
    const [symbol] = match;
    if (symbol === "{") open.push(new Set());
    else if (symbol === "[") open.push(undefined);
    else if (symbol === "}" || symbol === "]") open.pop();
    else if (symbol === ":") {
      const key = JSON.parse(lastText) as string;
      const keys = open.at(-1) as Set<string>;
      if (keys.has(key)) return key;
      keys.add(key);
    } else if (symbol !== ",") lastText = symbol;
  }
  return undefined;
}

function readMetadata(header: Record<string, unknown>, refuse: Refuse): Record<string, string> {
  if (!Object.hasOwn(header, "__metadata__")) return {};
  const metadata = header.__metadata__;
  if (!isObject(metadata)) return refuse("__metadata__ must be an object of texts");
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value !== "string") refuse(`__metadata__: ${JSON.stringify(name)} is ${JSON.stringify(value)}, must be a text`);
  }
  return metadata as Record<string, string>;
}

/** The entries, each right by itself, ordered by their place in the file. */
function readEntries(header: Record<string, unknown>, where: string): Entry[] {
  const entries: Entry[] = [];
  const problems: string[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const entry = readEntry(name, value);
    if (typeof entry === "string") problems.push(`tensor ${name}: ${entry}`);
    else entries.push(entry);
  }
  if (problems.length > MAX_PROBLEMS) problems.splice(MAX_PROBLEMS, Infinity, `and ${problems.length - MAX_PROBLEMS} more tensors`);
  if (problems.length > 0) throw new InputError(where, problems);
  return entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
}

/** An entry, or what is wrong with it. */
function readEntry(name: string, value: unknown): Entry | string {
  if (!isObject(value)) return "must be an object with dtype, shape and data_offsets";
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPES, dtype)) {
    return `unknown dtype ${JSON.stringify(dtype)}; known are ${Object.keys(DTYPES).join(", ")}`;
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) return `shape ${JSON.stringify(shape)} must be a list of whole numbers from 0`;
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(Number.isSafeInteger)) {
    return `data_offsets ${JSON.stringify(offsets)} must be two whole numbers`;
  }
  const [begin, end] = offsets as [number, number];
  if (begin < 0 || end < 0) return `invalid offset: data_offsets ${JSON.stringify(offsets)} has a negative number`;
  if (end < begin) return `invalid offset: data_offsets ${JSON.stringify(offsets)} ends before it begins`;
  let byteLength = 1;
  for (const size of [...shape, DTYPES[dtype as SafetensorsDtype].bytes]) {
    byteLength *= size;
    if (!Number.isSafeInteger(byteLength)) return `overflow: shape ${JSON.stringify(shape)} of ${dtype} has more bytes than can be counted`;
  }
  if (byteLength !== end - begin) {
    return `shape ${JSON.stringify(shape)} of ${dtype} needs ${byteLength} bytes, data_offsets ${JSON.stringify(offsets)} hold ${end - begin}`;
  }
  return { name, dtype: dtype as SafetensorsDtype, shape, begin, end };
}

/** Entries in file order must follow each other without hole or overlap and fill the data exactly. */
function checkCoverage(entries: readonly Entry[], dataBytes: number, where: string): void {
  let at = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== at) {
      const what = begin < at ? "overlaps the tensor before it" : "leaves a hole before it";
      throw new InputError(where, [`invalid offset: tensor ${name} begins at ${begin}, expected ${at}; it ${what}`]);
    }
    at = end;
  }
  if (at !== dataBytes) {
    const what = dataBytes < at ? "the file is cut short" : "something was appended";
    throw new InputError(where, [`file not fully covered: tensors take ${at} bytes of data, the file has ${dataBytes}; ${what}`]);
  }
}

function arrayOf(dtype: SafetensorsDtype, bytes: Uint8Array, offset: number, byteLength: number): TensorData {
  const { array } = DTYPES[dtype];
  const aligned = (bytes.byteOffset + offset) % array.BYTES_PER_ELEMENT === 0;
  const buffer = aligned ? bytes.buffer : new Uint8Array(bytes.subarray(offset, offset + byteLength)).buffer;
  return new array(buffer as ArrayBuffer, aligned ? bytes.byteOffset + offset : 0, byteLength / array.BYTES_PER_ELEMENT);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
