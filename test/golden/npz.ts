/** Reads the fixtures of test/fixtures: `.npz` archives (float32 and int32 arrays only) and their `.json` side files. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { unzipSync } from "fflate";

export interface NpyArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** The folder of the fixtures; tests are run from the repository's root. */
export const FIXTURES = join(process.cwd(), "test", "fixtures");

/** The side file of a fixture. */
// biome-ignore lint/suspicious/noExplicitAny: each fixture has a form of its own, described in test/fixtures/README.md
export function readFixtureJson(name: string): any {
  return JSON.parse(readFileSync(join(FIXTURES, `${name}.json`), "utf8"));
}

/** An npz fixture that remembers which of its arrays were asked for. */
export class Npz {
  readonly names: readonly string[];
  readonly #files: Record<string, Uint8Array>;
  readonly #read = new Set<string>();

  constructor(name: string) {
    this.#files = unzipSync(readFileSync(join(FIXTURES, `${name}.npz`)));
    this.names = Object.keys(this.#files).map((file) => file.replace(/\.npy$/, ""));
  }

  get(name: string): NpyArray {
    const file = this.#files[`${name}.npy`];
    if (!file) throw new Error(`no array ${name}; there are ${this.names.join(", ")}`);
    this.#read.add(name);
    return parseNpy(file);
  }

  floats(name: string): Float32Array {
    const { data } = this.get(name);
    if (!(data instanceof Float32Array)) throw new Error(`${name} is not float32`);
    return data;
  }

  ints(name: string): Int32Array {
    const { data } = this.get(name);
    if (!(data instanceof Int32Array)) throw new Error(`${name} is not int32`);
    return data;
  }

  /** Arrays that no test has read: a golden test ends by asserting that there are none. */
  get unread(): string[] {
    return this.names.filter((name) => !this.#read.has(name));
  }
}

function parseNpy(bytes: Uint8Array): NpyArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = view.getUint16(8, true);
  const header = new TextDecoder().decode(bytes.subarray(10, 10 + headerLength));
  const dtype = /'descr': '(<[fi]4)'/.exec(header)?.[1];
  const shapeText = /'shape': \(([^)]*)\)/.exec(header)?.[1];
  if (!dtype || shapeText === undefined || !header.includes("'fortran_order': False")) throw new Error(`unexpected npy header ${header}`);
  const shape = shapeText
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map(Number);
  const body = bytes.slice(10 + headerLength).buffer;
  return { shape, data: dtype === "<f4" ? new Float32Array(body) : new Int32Array(body) };
}

/** The largest and the mean absolute difference. */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): { max: number; mean: number } {
  if (actual.length !== expected.length) throw new Error(`${actual.length} numbers, expected ${expected.length}`);
  let max = 0;
  let sum = 0;
  for (let i = 0; i < actual.length; i++) {
    const d = Math.abs(actual[i]! - expected[i]!);
    if (!(d <= max)) max = d; // NaN becomes the maximum and stays it
    sum += d;
  }
  return { max, mean: sum / Math.max(1, actual.length) };
}

/** ||a - b|| / ||b|| */
export function relativeL2(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference2 = 0;
  let norm2 = 0;
  for (let i = 0; i < expected.length; i++) {
    difference2 += (actual[i]! - expected[i]!) ** 2;
    norm2 += expected[i]! ** 2;
  }
  return Math.sqrt(difference2) / Math.sqrt(norm2);
}
