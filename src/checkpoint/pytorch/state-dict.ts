/** The state dict in a PyTorch checkpoint: what tensors there are, and their numbers as float32, read when they are asked for. */
import { InputError } from "../../errors.ts";
import type { ByteSource } from "../file.ts";
import { widenBfloat16, widenFloat16 } from "../half-precision.ts";
import { isTensorReference, type PickleValue, readPickle, type TensorReference } from "./pickle.ts";
import { readStoredZip, type ZipEntry } from "./zip.ts";

const MAX_PICKLE_BYTES = 2 ** 26;
/** Problems listed before the rest is only counted. */
const MAX_PROBLEMS = 20;
/** Bytes read at a time where nothing of them is wanted. */
const SKIP_BYTES = 2 ** 22;

/** Element types that weights come in. */
const STORAGES = {
  FloatStorage: { dtype: "float32", bytes: 4, widen: (raw: ArrayBuffer, count: number) => new Float32Array(raw, 0, count) },
  DoubleStorage: {
    dtype: "float64",
    bytes: 8,
    widen: (raw: ArrayBuffer, count: number, out = new Float32Array(count)) => {
      out.set(new Float64Array(raw, 0, count));
      return out;
    },
  },
  BFloat16Storage: {
    dtype: "bfloat16",
    bytes: 2,
    widen: (raw: ArrayBuffer, count: number, out?: Float32Array) => widenBfloat16(new Uint16Array(raw, 0, count), out),
  },
  HalfStorage: {
    dtype: "float16",
    bytes: 2,
    widen: (raw: ArrayBuffer, count: number, out?: Float32Array) => widenFloat16(new Uint16Array(raw, 0, count), out),
  },
} as const;
type StorageFormat = (typeof STORAGES)[keyof typeof STORAGES];

/** A tensor that is still in its file. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly dtype: StorageFormat["dtype"];
  /** whether its numbers lie row after row without a gap: then `pieces` takes little memory */
  readonly rowMajor: boolean;
  /** All numbers, row-major, widened or rounded to float32. @throws InputError where the file is damaged */
  read(): Float32Array;
  /**
   * The same, `numbers` at a time; a piece is overwritten when the next one is asked for. What came must not count before the last piece has come: only then the file's checksum is compared.
   *
   * @throws InputError where the file is damaged
   */
  pieces(numbers: number): Generator<Float32Array>;
}

/** What is in a checkpoint written by `torch.save(model.state_dict(), path)`. */
export interface StateDict {
  /** under their own keys, in the order of the file */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** name of the folder inside the archive: the file's name when it was saved, without its ending */
  readonly savedAs: string;
}

/**
 * Opens a checkpoint. Its directory and pickle are read and checked, its numbers are left where they are.
 *
 * @param source must stay open while tensors are read
 * @param where  the file's name, for messages
 * @throws InputError where the file is not such a checkpoint; nothing in it is executed
 */
export function openStateDict(source: ByteSource, where: string): StateDict {
  const entries = readStoredZip(source, where);
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) throw new InputError(where, ["is a zip, but no PyTorch checkpoint (no data.pkl in it)"]);
  const top = pickle.slice(0, -"data.pkl".length);
  checkByteOrder(entries.get(`${top}byteorder`), where);
  const pickleEntry = entries.get(pickle)!;
  if (pickleEntry.byteLength > MAX_PICKLE_BYTES) {
    throw new InputError(where, [`${pickle} has ${pickleEntry.byteLength} bytes, at most ${MAX_PICKLE_BYTES} are read`]);
  }
  const value = readPickle(pickleEntry.read(), `${where}: ${pickle}`);
  if (!(value instanceof Map)) throw new InputError(where, ["holds no dictionary of tensors; save model.state_dict()"]);
  const problems = otherContents(value);
  const tensors = new Map<string, StoredTensor>();
  for (const [key, tensor] of value) {
    if (typeof key !== "string" || !isTensorReference(tensor)) continue;
    const stored = storedTensor(tensor, entries, top);
    if (typeof stored === "string") problems.push(`${key}: ${stored}`);
    else tensors.set(key, stored);
  }
  if (problems.length > MAX_PROBLEMS) problems.splice(MAX_PROBLEMS, Infinity, `and ${problems.length - MAX_PROBLEMS} more`);
  if (problems.length > 0) throw new InputError(where, problems);
  return { tensors, savedAs: top.slice(0, -1) };
}

/** A sentence for each thing in a dictionary that is not a tensor under a name. */
function otherContents(value: ReadonlyMap<PickleValue, PickleValue>): string[] {
  return [...value].flatMap(([key, item]) => {
    if (typeof key !== "string")
      return [`has a key that is no text but ${key === null ? "None" : `of type ${typeof key}`}; expected names of tensors`];
    if (isTensorReference(item)) return [];
    const name = JSON.stringify(key);
    return item instanceof Map && [...item.values()].some(isTensorReference)
      ? [`${name} is a dictionary of tensors inside another; save it alone: torch.save(torch.load(path)[${name}], new_path)`]
      : [`${name} is not a tensor; only a model's state dict can be read`];
  });
}

function checkByteOrder(entry: ZipEntry | undefined, where: string): void {
  if (!entry) return; // before PyTorch 2.1 there was none, and files were little-endian
  const order = entry.byteLength > 16 ? "something long" : Buffer.from(entry.read()).toString("latin1").trim();
  if (order !== "little") throw new InputError(where, [`byte order is ${JSON.stringify(order)}; only little is read`]);
}

/** A tensor with its file, or what is wrong with it. */
function storedTensor(tensor: TensorReference, entries: ReadonlyMap<string, ZipEntry>, top: string): StoredTensor | string {
  const { storage, shape, stride } = tensor;
  const { key, type, elements } = storage;
  if (!Object.hasOwn(STORAGES, type)) return `storage ${key} is a ${type}; weights come as ${Object.keys(STORAGES).join(", ")}`;
  const format: StorageFormat = STORAGES[type as keyof typeof STORAGES];
  const entry = entries.get(`${top}data/${key}`);
  if (!entry) return `data/${key} is missing from the archive`;
  if (entry.byteLength !== elements * format.bytes) {
    return `data/${key} has ${entry.byteLength} bytes, ${elements} elements of ${type} take ${elements * format.bytes}`;
  }
  const rowMajor = isRowMajor(shape, stride);
  const read = (): Float32Array => {
    if (!rowMajor) return gather(tensor, format.widen(entry.read().buffer, elements));
    const [all = new Float32Array(0)] = sequence(tensor, entry, format, Number.POSITIVE_INFINITY);
    return all;
  };
  function* pieces(numbers: number): Generator<Float32Array> {
    if (rowMajor) return yield* sequence(tensor, entry!, format, numbers);
    const all = read();
    for (let at = 0; at < all.length; at += numbers) yield all.subarray(at, at + numbers);
  }
  return { shape, dtype: format.dtype, rowMajor, read, pieces };
}

/** A tensor that lies in its storage in one run. */
function* sequence(
  { offset, shape }: TensorReference,
  entry: ZipEntry,
  { bytes, widen }: StorageFormat,
  numbers: number,
): Generator<Float32Array> {
  const reader = entry.open();
  const unwanted = new ArrayBuffer(Math.min(SKIP_BYTES, offset * bytes));
  for (let at = 0; at < offset * bytes; at += SKIP_BYTES) reader.take(Math.min(SKIP_BYTES, offset * bytes - at), unwanted);
  const count = sizeOf(shape);
  const most = Math.min(numbers, count);
  const raw = new ArrayBuffer(bytes * most);
  const out = new Float32Array(most);
  for (let at = 0; at < count; at += numbers) {
    const length = Math.min(numbers, count - at);
    reader.take(bytes * length, raw);
    if (at + length === count) reader.finish();
    yield widen(raw, length, out.subarray(0, length));
  }
}

/** A tensor whose numbers lie scattered over its storage. */
function gather({ offset, shape, stride }: TensorReference, numbers: Float32Array): Float32Array {
  const out = new Float32Array(sizeOf(shape));
  const index = shape.map(() => 0);
  let from = offset;
  for (let i = 0; i < out.length; i++) {
    out[i] = numbers[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += stride[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= stride[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

function isRowMajor(shape: readonly number[], stride: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && stride[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
