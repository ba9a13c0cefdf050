/** The table of puzzle embeddings as a file, which may be larger than memory: `embeddings.safetensors`. */
import { InputError } from "../errors.ts";
import { type ByteSource, withFile } from "./file.ts";
import { readSafetensorsHeader, safetensorsHeader } from "./safetensors.ts";
import { notFiniteProblems } from "./shapes.ts";

const ROWS = "rows";
/** Numbers of a table read at a time. */
const PIECE_NUMBERS = 2 ** 20;

/** Rows of a table that may be larger than memory. */
export interface RowTable {
  readonly count: number;
  /** numbers a row */
  readonly size: number;
  /** whole rows in order, some at a time; a piece may be overwritten when the next one is asked for */
  pieces(): Iterable<Float32Array>;
}

/** Whole rows that are read at a time from a table with rows of `size` numbers. */
export function rowsAtATime(size: number): number {
  return Math.max(1, Math.floor(PIECE_NUMBERS / Math.max(1, size)));
}

/** A table as a safetensors file, piece by piece. @throws InputError where a number is NaN or infinite */
export function* encodeRows(where: string, { count, size, pieces }: RowTable): Generator<Uint8Array> {
  yield safetensorsHeader([{ name: ROWS, dtype: "F32", shape: [count, size] }]);
  for (const data of pieces()) {
    const problems = notFiniteProblems(new Map([[ROWS, { shape: [data.length / size, size], data }]]));
    if (problems.length > 0) throw new InputError(where, problems);
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
}

/**
 * The table in a file, read when it is gone through: the file must stay as it is until then.
 *
 * @param path       the file's name as messages should have it
 * @param actualPath the name under which it is opened again
 */
export function rowTable(source: ByteSource, path: string, actualPath: string): RowTable {
  const { entries, dataStart } = readSafetensorsHeader(source, path);
  const [entry] = entries;
  if (entries.length !== 1 || entry!.name !== ROWS || entry!.dtype !== "F32" || entry!.shape.length !== 2) {
    throw new InputError(path, [
      `holds ${entries.map(({ name, dtype }) => `${name} ${dtype}`).join(", ")}; expected ${ROWS} F32 [rows, numbers]`,
    ]);
  }
  const [count, size] = entry!.shape as [number, number];
  const step = rowsAtATime(size);
  return {
    count,
    size,
    *pieces() {
      const buffer = new ArrayBuffer(4 * size * Math.min(step, count));
      for (let first = 0; first < count; first += step) {
        const rows = Math.min(step, count - first);
        withFile(actualPath, (file) => file.read(dataStart + 4 * size * first, 4 * size * rows, buffer));
        yield new Float32Array(buffer, 0, size * rows);
      }
    },
  };
}
