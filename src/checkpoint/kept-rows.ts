/** The puzzle embeddings that a checkpoint or a training state keeps, and which puzzle each of them stands for. */
import { InputError, messageOf, UserError } from "../errors.ts";
import { type ByteSource, readFileBounded } from "./file.ts";
import { CONFIG_FILE, EMBEDDINGS_FILE, PUZZLES_FILE } from "./file-names.ts";
import type { Checkpoint } from "./load.ts";
import { type RowTable, rowTable } from "./row-table.ts";
import { withRecordedFile } from "./staged-files.ts";

/** Rows and their puzzles. */
export interface KeptRows {
  readonly rows: RowTable;
  /** a name (official data sets: `TASK|||DIHEDRAL|||COLOURS`) for each row, or a puzzle id */
  readonly puzzles: readonly string[] | readonly number[] | undefined;
}

const MAX_PUZZLES_BYTES = 2 ** 29;

/**
 * The rows in a checkpoint's folder; undefined where it keeps none.
 *
 * @throws InputError where a file is missing, is not the one that the config speaks of, or is no table of this checkpoint
 */
export function keptRows({ folder, files, config }: Checkpoint): KeptRows | undefined {
  const embeddings = files[EMBEDDINGS_FILE];
  if (!embeddings) return undefined;
  const rows = withRecordedFile(folder, EMBEDDINGS_FILE, embeddings, CONFIG_FILE, (source, path, actualPath) => {
    const table = rowTable(source, path, actualPath);
    const { puzzleEmbeddingSize } = config.model;
    if (table.size !== puzzleEmbeddingSize) {
      throw new InputError(path, [`has rows of ${table.size} numbers, the model's puzzle embeddings have ${puzzleEmbeddingSize}`]);
    }
    return table;
  });
  const named = files[PUZZLES_FILE];
  return {
    rows,
    puzzles: named && withRecordedFile(folder, PUZZLES_FILE, named, CONFIG_FILE, (source, path) => readPuzzles(source, path, rows.count)),
  };
}

/** The list in a puzzles.json. @throws InputError where it is not a list of `count` names or ids */
function readPuzzles(source: ByteSource, path: string, count: number): string[] | number[] {
  if (source.byteLength > MAX_PUZZLES_BYTES)
    throw new InputError(path, [`has ${source.byteLength} bytes, at most ${MAX_PUZZLES_BYTES} are expected`]);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(source.read(0, source.byteLength)).toString("utf8"));
  } catch (error) {
    throw new InputError(path, [`is not JSON: ${messageOf(error)}`]);
  }
  return checkPuzzles(value, path, count);
}

/** @throws InputError where a value is not a list of `count` names or ids */
export function checkPuzzles(value: unknown, where: string, count: number): string[] | number[] {
  if (!Array.isArray(value) || !(value.every((item) => typeof item === "string") || value.every(Number.isSafeInteger))) {
    throw new InputError(where, ["must be a list of puzzles' names, or of their ids"]);
  }
  if (value.length !== count) throw new InputError(where, [`speaks of ${value.length} puzzles, there are ${count} rows`]);
  return value;
}

/** The names in a data set's identifiers.json, in order of puzzle id. @throws InputError where it is not a list of names */
export function readIdentifiers(path: string): string[] {
  let names: unknown;
  try {
    names = JSON.parse(Buffer.from(readFileBounded(path, MAX_PUZZLES_BYTES)).toString("utf8"));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new InputError(path, [`is not JSON: ${messageOf(error)}`]);
  }
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string")) {
    throw new InputError(path, ["must be a list of names, as the official data set's identifiers.json"]);
  }
  return names;
}
