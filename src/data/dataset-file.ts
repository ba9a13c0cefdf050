/**
 * Data sets in the released code's files, for exchange with it: in a folder `<split>/all__<field>.npy` (inputs and labels uint8 [N, tokens], the rest
 * int32), `<split>/dataset.json`, `identifiers.json` and `test_puzzles.json`, which is a challenges file with its answers filled in.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gridToRows } from "../arc/grid.ts";
import type { Task } from "../arc/task.ts";
import { VOCABULARY_SIZE } from "../encode/vocabulary.ts";
import { InputError, messageOf, UserError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import type { Dataset, DatasetSplit } from "./dataset.ts";
import { UNKNOWN_OUTPUT } from "./dedupe.ts";
import { type NpyArray, npyBytes, parseNpy } from "./npy.ts";

const SPLITS = ["train", "test"] as const;

/** Writes a data set into a folder; files of these names that are there already are replaced. */
export function writeDataset(folder: string, dataset: Dataset): void {
  for (const name of SPLITS) {
    const split = dataset[name];
    for (const [field, array] of Object.entries(arraysOf(split))) {
      writeFileAtomically(join(folder, name, `all__${field}.npy`), npyBytes(array));
    }
    writeFileAtomically(join(folder, name, "dataset.json"), JSON.stringify(metadataOf(split, dataset.names.length)));
  }
  writeFileAtomically(join(folder, "identifiers.json"), JSON.stringify(dataset.names));
  writeFileAtomically(join(folder, "test_puzzles.json"), tasksJson(dataset.testTasks));
}

/**
 * Reads a data set that `writeDataset` or the released builder wrote, without its `test_puzzles.json`.
 *
 * @throws UserError  where a file is missing or is no .npy file
 * @throws InputError where the arrays don't belong together, with everything that is wrong
 */
export function readDataset(folder: string): Omit<Dataset, "testTasks"> {
  const names = readNames(join(folder, "identifiers.json"));
  return { train: readSplit(join(folder, "train"), names.length), test: readSplit(join(folder, "test"), names.length), names };
}

function arraysOf(split: DatasetSplit): Record<string, NpyArray> {
  const flat = (data: Int32Array): NpyArray => ({ shape: [data.length], data });
  const rows = (data: Uint8Array): NpyArray => ({ shape: [data.length / split.tokens, split.tokens], data });
  return {
    inputs: rows(split.inputs),
    labels: rows(split.labels),
    puzzle_identifiers: flat(split.puzzleIds),
    puzzle_indices: flat(split.puzzleStarts),
    group_indices: flat(split.groupStarts),
  };
}

/** What the released loader needs to know of a split. */
function metadataOf(split: DatasetSplit, idCount: number): Record<string, unknown> {
  const puzzles = split.puzzleIds.length;
  return {
    pad_id: 0,
    ignore_label_id: 0,
    blank_identifier_id: 0,
    vocab_size: VOCABULARY_SIZE,
    seq_len: split.tokens,
    num_puzzle_identifiers: idCount,
    total_groups: split.groupStarts.length - 1,
    mean_puzzle_examples: puzzles === 0 ? 0 : split.inputs.length / split.tokens / puzzles,
    total_puzzles: puzzles,
    sets: ["all"],
  };
}

/** Tasks by id, in their order: an object would move ids such as 22168020 to the front. */
function tasksJson(tasks: readonly Task[]): string {
  const entries = tasks.map(({ id, train, test, testFirst }) => {
    const trainRows = train.map(({ input, output }) => ({ input: gridToRows(input), output: gridToRows(output) }));
    const testRows = test.map(({ input, output = UNKNOWN_OUTPUT }) => ({ input: gridToRows(input), output: gridToRows(output) }));
    return `${JSON.stringify(id)}: ${JSON.stringify(testFirst ? { test: testRows, train: trainRows } : { train: trainRows, test: testRows })}`;
  });
  return `{${entries.join(", ")}}`;
}

function readSplit(folder: string, idCount: number): DatasetSplit {
  const read = (field: string): NpyArray => {
    const path = join(folder, `all__${field}.npy`);
    return parseNpy(readBytes(path), path);
  };
  const [inputs, labels] = [read("inputs"), read("labels")];
  const flat = {
    puzzle_identifiers: read("puzzle_identifiers"),
    puzzle_indices: read("puzzle_indices"),
    group_indices: read("group_indices"),
  };
  const problems: string[] = [];
  for (const [field, { shape, data }] of Object.entries({ inputs, labels })) {
    if (!(data instanceof Uint8Array) || shape.length !== 2) problems.push(`${field} must be uint8 [examples, tokens]`);
    else if (data.some((token) => token >= VOCABULARY_SIZE)) problems.push(`${field} must hold tokens 0..${VOCABULARY_SIZE - 1} only`);
  }
  for (const [field, { shape, data }] of Object.entries(flat)) {
    if (!(data instanceof Int32Array) || shape.length !== 1) problems.push(`${field} must be int32 of one dimension`);
  }
  const examples = inputs.shape[0] ?? 0;
  const puzzles = flat.puzzle_identifiers.data.length;
  if (labels.shape.join() !== inputs.shape.join())
    problems.push(`labels are [${labels.shape}], inputs [${inputs.shape}]; they must be equal`);
  const starts = (field: "puzzle_indices" | "group_indices", end: number): void => {
    const { data } = flat[field];
    if (data[0] !== 0 || data.at(-1) !== end || data.some((start, i) => i > 0 && start <= data[i - 1]!)) {
      problems.push(`${field} must rise from 0 to ${end}`);
    }
  };
  if (puzzles > 0 || examples > 0) {
    starts("puzzle_indices", examples);
    starts("group_indices", puzzles);
    if (flat.puzzle_indices.data.length !== puzzles + 1) {
      problems.push(`puzzle_indices has ${flat.puzzle_indices.data.length} entries, needs ${puzzles + 1}: one for each puzzle and the end`);
    }
  }
  if (flat.puzzle_identifiers.data.some((id) => !(id >= 0 && id < idCount))) {
    problems.push(`puzzle_identifiers must lie in 0..${idCount - 1}, as identifiers.json has ${idCount} names`);
  }
  if (problems.length > 0) throw new InputError(folder, problems);
  return {
    tokens: inputs.shape[1]!,
    inputs: inputs.data as Uint8Array,
    labels: labels.data as Uint8Array,
    puzzleIds: flat.puzzle_identifiers.data as Int32Array,
    puzzleStarts: flat.puzzle_indices.data as Int32Array,
    groupStarts: flat.group_indices.data as Int32Array,
  };
}

function readNames(path: string): string[] {
  let names: unknown;
  try {
    names = JSON.parse(readBytes(path).toString("utf8"));
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`${path}: ${messageOf(cause)}; expected a JSON list of names`, { cause });
  }
  if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names;
  throw new UserError(`${path}: expected a JSON list of names, the blank one first`);
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new UserError(`${path}: ${messageOf(cause)}; expected a folder that \`trm\` or TRM's build_arc_dataset.py wrote`, { cause });
  }
}
