/** Reads the state dict in a PyTorch checkpoint as float32 arrays. */
import { InputError } from "../../errors.ts";
import type { ByteSource } from "../file.ts";
import { widenBfloat16, widenFloat16 } from "../half-precision.ts";
import type { Tensor } from "../shapes.ts";
import { isTensorReference, readPickle, type StorageReference, type TensorReference } from "./pickle.ts";
import { readStoredZip, type ZipEntry } from "./zip.ts";

const MAX_PICKLE_BYTES = 2 ** 26;

/** Storages that weights come in: bytes an element, and how they become float32. */
const STORAGES: Record<string, { readonly bytes: number; readonly widen: (raw: ArrayBuffer) => Float32Array }> = {
  FloatStorage: { bytes: 4, widen: (raw) => new Float32Array(raw) },
  DoubleStorage: { bytes: 8, widen: (raw) => Float32Array.from(new Float64Array(raw)) },
  BFloat16Storage: { bytes: 2, widen: (raw) => widenBfloat16(new Uint16Array(raw)) },
  HalfStorage: { bytes: 2, widen: (raw) => widenFloat16(new Uint16Array(raw)) },
};

/**
 * The tensors of a checkpoint written by `torch.save(model.state_dict())`, under their own keys, row-major.
 * Tensors that share a storage share memory where both are plain views of all of it.
 *
 * @param where the file's name, for messages
 * @throws InputError where the file is not such a checkpoint; nothing in it is executed
 */
export function readStateDict(source: ByteSource, where: string): Map<string, Tensor> {
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
  const storages = new Map<string, Float32Array>();
  const tensors = new Map<string, Tensor>();
  const problems: string[] = [];
  let copied = 0;
  for (const [key, tensor] of value) {
    if (typeof key === "string" && isTensorReference(tensor)) {
      if (!isRowMajor(tensor.shape, tensor.stride)) copied += sizeOf(tensor.shape);
      // Many transposed views of one storage would take more memory than the file can hold numbers.
      if (copied > source.byteLength) throw new InputError(where, ["its tensors are larger than the file; it is not a model's checkpoint"]);
      tensors.set(key, { shape: tensor.shape, data: dataOf(tensor, storages, entries, top, where) });
    } else problems.push(`${JSON.stringify(key)} is not a tensor; only a model's state dict can be read`);
  }
  if (problems.length > 0) throw new InputError(where, problems);
  return tensors;
}

function checkByteOrder(entry: ZipEntry | undefined, where: string): void {
  if (!entry) return; // before PyTorch 2.1 there was none, and files were little-endian
  const order = Buffer.from(entry.read()).toString("latin1").trim();
  if (order !== "little") throw new InputError(where, [`byte order is ${JSON.stringify(order)}; only little is read`]);
}

function dataOf(
  { storage, offset, shape, stride }: TensorReference,
  storages: Map<string, Float32Array>,
  entries: ReadonlyMap<string, ZipEntry>,
  top: string,
  where: string,
): Float32Array {
  const id = `${storage.key} ${storage.type}`;
  const numbers = storages.get(id) ?? readStorage(storage, entries, top, where);
  storages.set(id, numbers);
  const count = sizeOf(shape);
  if (isRowMajor(shape, stride)) return numbers.subarray(offset, offset + count);
  const out = new Float32Array(count);
  const index = shape.map(() => 0);
  let from = offset;
  for (let i = 0; i < count; i++) {
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

function readStorage(
  { key, type, elements }: StorageReference,
  entries: ReadonlyMap<string, ZipEntry>,
  top: string,
  where: string,
): Float32Array {
  const format = STORAGES[type];
  if (!format) throw new InputError(where, [`storage ${key} is a ${type}; weights come as ${Object.keys(STORAGES).join(", ")}`]);
  const entry = entries.get(`${top}data/${key}`);
  if (!entry) throw new InputError(where, [`data/${key} is missing from the archive`]);
  if (entry.byteLength !== elements * format.bytes) {
    throw new InputError(where, [
      `data/${key} has ${entry.byteLength} bytes, ${elements} elements of ${type} take ${elements * format.bytes}`,
    ]);
  }
  return format.widen(entry.read().buffer);
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
