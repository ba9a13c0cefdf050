/** NumPy's .npy files: the three kinds of numbers that data sets of TRM are made of, in C order. */
import { UserError } from "../errors.ts";

/** Numbers with a shape. */
export interface NpyArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array | Int32Array | Float32Array;
}

const MAGIC = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59); // \x93NUMPY

const KINDS = {
  "|u1": { bytes: 1, make: (buffer: ArrayBuffer) => new Uint8Array(buffer) },
  "<i4": { bytes: 4, make: (buffer: ArrayBuffer) => new Int32Array(buffer) },
  "<f4": { bytes: 4, make: (buffer: ArrayBuffer) => new Float32Array(buffer) },
} as const;

/** The bytes of a .npy file, version 1.0: a header, then `data`'s own memory. Write them one after the other. */
export function npyBytes({ shape, data }: NpyArray): readonly [Uint8Array, Uint8Array] {
  if (data.length !== elements(shape)) throw new RangeError(`${data.length} numbers don't make an array of shape [${shape}]`);
  const kind: keyof typeof KINDS = data instanceof Uint8Array ? "|u1" : data instanceof Int32Array ? "<i4" : "<f4";
  const dimensions = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const fields = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${dimensions}), }`;
  const text = `${fields.padEnd(Math.ceil((fields.length + 11) / 64) * 64 - 11)}\n`; // numbers start at a multiple of 64 bytes
  const header = new Uint8Array(10 + text.length);
  header.set(MAGIC);
  header.set([1, 0, text.length & 255, text.length >> 8], 6);
  header.set(new TextEncoder().encode(text), 10);
  return [header, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];
}

/**
 * What a .npy file holds; its numbers are copied.
 *
 * @param name how the file is called in messages
 * @throws UserError where it is no .npy file of uint8, int32 or float32 in C order, or is cut short
 */
export function parseNpy(bytes: Uint8Array, name: string): NpyArray {
  const wrong = (what: string): UserError => new UserError(`${name}: ${what}; expected a .npy file of uint8, int32 or float32 in C order`);
  if (bytes.length < 12 || !MAGIC.every((byte, i) => bytes[i] === byte)) throw wrong("not a .npy file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = bytes[6] === 1 ? 10 : 12; // later versions have a longer length field
  const end = start + (start === 10 ? view.getUint16(8, true) : view.getUint32(8, true));
  if (end > bytes.length) throw wrong("its header is cut short");
  const header = new TextDecoder().decode(bytes.subarray(start, end));
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1] ?? "";
  const shapeText = /'shape':\s*\(([\d\s,]*)\)/.exec(header)?.[1];
  if (shapeText === undefined || !/'fortran_order':\s*False/.test(header)) throw wrong(`unexpected header ${header.trim()}`);
  if (!isKind(descr)) throw wrong(`its numbers are '${descr}'`);
  const shape = Array.from(shapeText.matchAll(/\d+/g), ([digits]) => Number(digits));
  const size = elements(shape) * KINDS[descr].bytes;
  if (bytes.length - end !== size) throw wrong(`${bytes.length - end} bytes of numbers, shape (${shapeText}) needs ${size}`);
  // a copy made by hand: `slice` of a Buffer would be a view of memory that others use
  return { shape, data: KINDS[descr].make(new Uint8Array(bytes.subarray(end)).buffer) };
}

function isKind(descr: string): descr is keyof typeof KINDS {
  return Object.hasOwn(KINDS, descr);
}

function elements(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
