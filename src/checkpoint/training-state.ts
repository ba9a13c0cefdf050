/** The state of a training that can be taken up again: arrays, and a record that says which files belong together. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { InputError, messageOf } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { type ByteSource, readFileBounded } from "./file.ts";
import { CONFIG_FILE, EMBEDDINGS_FILE, MODEL_CARD_FILE, MODEL_FILE, PUZZLES_FILE } from "./file-names.ts";
import { encodeRows, type RowTable, rowTable } from "./row-table.ts";
import { decodeSafetensors, encodeSafetensors, type SafetensorsTensor, toFloat32 } from "./safetensors.ts";
import { asFloat32Entries, type StagedCheckpoint } from "./save.ts";
import { notFiniteProblems, type Tensor } from "./shapes.ts";
import {
  type FileRecord,
  type FileRecords,
  fileSchema,
  placeFiles,
  placeLeftovers,
  recordsSchema,
  removeUnfinished,
  stageFile,
  withRecordedFile,
} from "./staged-files.ts";

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What a training needs to go on as if it had never stopped. */
export interface TrainingState {
  /** step, random state, …: whatever the trainer wants back, word for word */
  readonly record: { readonly [key: string]: Json };
  /** raw weights, moments, … */
  readonly state: ReadonlyMap<string, Tensor>;
  /** rows of the puzzle embedding */
  readonly rows?: RowTable | undefined;
  /** which puzzle each row stands for */
  readonly puzzles?: Json | undefined;
}

/** What is saved together with a training state. */
export interface SavedTogether {
  /** parts that other processes have staged in the folder, by `stageCarry` */
  readonly carry?: FileRecords | undefined;
  /** a checkpoint that waits in its own folder: it and the training state count from the same instant on */
  readonly checkpoint?: StagedCheckpoint | undefined;
}

/** The file that makes the others count: it holds their sizes and SHA-256 and is replaced last. */
export const RECORD_FILE = "training.json";
const STATE_FILE = "state.safetensors";
/** Rows of the batch from a number on. */
const CARRY_FILE = /^carry-(\d+)\.safetensors$/;
const MAX_JSON_BYTES = 2 ** 29;

const recordSchema = z.strictObject({
  format: z.literal("trm-training"),
  formatVersion: z.literal(1),
  files: z
    .object({
      [STATE_FILE]: fileSchema,
      [EMBEDDINGS_FILE]: fileSchema.optional(),
      [PUZZLES_FILE]: fileSchema.optional(),
    })
    .catchall(fileSchema)
    .refine(
      (files) => Object.keys(files).every((name) => FIXED_FILES.has(name) || CARRY_FILE.test(name)),
      "names a file that is none of ours",
    ),
  /** files of the checkpoint that was saved with this state */
  checkpoint: recordsSchema([CONFIG_FILE, MODEL_FILE, MODEL_CARD_FILE, EMBEDDINGS_FILE, PUZZLES_FILE]).optional(),
  record: z.record(z.string(), z.json()),
});
const FIXED_FILES: ReadonlySet<string> = new Set([STATE_FILE, EMBEDDINGS_FILE, PUZZLES_FILE]);

/**
 * Writes a training state into a folder. Killed at any instant, it leaves the old state or the new one, whole.
 *
 * @throws InputError where a tensor holds NaN or an infinity: the old state stays
 */
export function saveTrainingState(folder: string, { record, state, rows, puzzles }: TrainingState, together: SavedTogether = {}): void {
  removeUnfinished(folder);
  const before = readRecord(folder)?.files;
  if (before) placeLeftovers(folder, withoutStaged(before, together.carry));
  const puzzlesText = puzzles === undefined ? undefined : JSON.stringify(puzzles);
  const files: Record<string, FileRecord> = { ...together.carry };
  files[STATE_FILE] = stageFile(folder, STATE_FILE, encodeFinite(join(folder, STATE_FILE), state));
  if (rows) files[EMBEDDINGS_FILE] = stageFile(folder, EMBEDDINGS_FILE, encodeRows(join(folder, EMBEDDINGS_FILE), rows));
  if (puzzlesText !== undefined) files[PUZZLES_FILE] = stageFile(folder, PUZZLES_FILE, [Buffer.from(puzzlesText)]);
  const { checkpoint } = together;
  // From the next line on the new state counts: readers look for what the record names, in place or still waiting.
  writeFileAtomically(
    join(folder, RECORD_FILE),
    `${JSON.stringify({ format: "trm-training", formatVersion: 1, files, ...(checkpoint && { checkpoint: checkpoint.files }), record }, null, 2)}\n`,
  );
  checkpoint?.place();
  placeFiles(folder, Object.keys(files));
  for (const name of Object.keys(before ?? {})) if (!files[name]) rmSync(join(folder, name), { force: true });
}

/** Leftovers of an earlier save that newer files have not taken the place of. */
function withoutStaged(files: FileRecords, staged: FileRecords = {}): FileRecords {
  return Object.fromEntries(Object.entries(files).filter(([name]) => !staged[name]));
}

/**
 * The training state in a folder; `undefined` where there is none.
 *
 * @throws InputError where a file is missing or is not the one that the record speaks of (size and SHA-256)
 */
export function loadTrainingState(folder: string): TrainingState | undefined {
  const found = readRecord(folder);
  if (!found) return undefined;
  const { files, record } = found;
  const read = <T>(name: string, expected: FileRecord, use: (source: ByteSource, path: string, actualPath: string) => T): T =>
    withRecordedFile(folder, name, expected, RECORD_FILE, use);
  const embeddings = files[EMBEDDINGS_FILE];
  const puzzles = files[PUZZLES_FILE];
  return {
    record: record as TrainingState["record"],
    state: read(STATE_FILE, files[STATE_FILE], (source, path) => decodeFinite(path, source.read(0, source.byteLength))),
    rows: embeddings && read(EMBEDDINGS_FILE, embeddings, rowTable),
    puzzles:
      puzzles &&
      read(PUZZLES_FILE, puzzles, (source) => JSON.parse(Buffer.from(source.read(0, source.byteLength)).toString("utf8")) as Json),
  };
}

/** What the trainer wrote into the record of a training state, without its arrays; `undefined` where there is no state. */
export function loadTrainingRecord(folder: string): TrainingState["record"] | undefined {
  return readRecord(folder)?.record as TrainingState["record"] | undefined;
}

/** Puts in place what is left waiting of a checkpoint that was saved together with a training state, where that save was cut off. */
export function finishCheckpoint(stateFolder: string, checkpointFolder: string): void {
  const files = readRecord(stateFolder)?.checkpoint;
  if (files) placeLeftovers(checkpointFolder, files);
}

/** A process's part of the batch on its way through the model: arrays of `count` rows from row `first` of the batch on. */
export type CarryPart = ReadonlyMap<string, SafetensorsTensor>;

/** Stages this process's part; it counts once `saveTrainingState` is given what this returns. */
export function stageCarry(folder: string, first: number, part: CarryPart): FileRecords {
  const name = `carry-${first}.safetensors`;
  const before = readRecord(folder)?.files[name];
  if (before) placeLeftovers(folder, { [name]: before });
  return { [name]: stageFile(folder, name, encodeSafetensors(part)) };
}

/**
 * The saved parts of the batch that hold rows `first` to `first + count - 1`, with the row each begins with; empty where none was saved.
 *
 * @throws InputError where a part is missing or is not the one that the record speaks of
 */
export function loadCarry(folder: string, first: number, count: number): { first: number; part: CarryPart }[] {
  const files = Object.entries(readRecord(folder)?.files ?? {}).flatMap(([name, expected]) => {
    const match = CARRY_FILE.exec(name);
    return match && expected ? [{ name, expected, first: Number(match[1]) }] : [];
  });
  files.sort((a, b) => a.first - b.first);
  return files.flatMap(({ name, expected, first: begin }, i) => {
    const end = files[i + 1]?.first ?? Number.POSITIVE_INFINITY;
    if (begin >= first + count || end <= first) return [];
    const part = withRecordedFile(folder, name, expected, RECORD_FILE, (source, path) => {
      return decodeSafetensors(source.read(0, source.byteLength), path).tensors;
    });
    return [{ first: begin, part }];
  });
}

/** The record in a folder; `undefined` where there is none. @throws InputError where it is not one */
function readRecord(folder: string): z.infer<typeof recordSchema> | undefined {
  const path = join(folder, RECORD_FILE);
  if (!existsSync(path)) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(readFileBounded(path, MAX_JSON_BYTES)).toString("utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) throw new InputError(path, [`is not JSON: ${messageOf(error)}`]);
    throw error;
  }
  const parsed = recordSchema.safeParse(json);
  if (!parsed.success) {
    throw new InputError(
      path,
      parsed.error.issues.map((issue) => `${issue.path.map(String).join(".")}: ${issue.message}`),
    );
  }
  return parsed.data;
}

function encodeFinite(where: string, tensors: ReadonlyMap<string, Tensor>): Uint8Array[] {
  const problems = notFiniteProblems(tensors);
  if (problems.length > 0) throw new InputError(where, problems);
  return encodeSafetensors(asFloat32Entries(tensors));
}

function decodeFinite(where: string, bytes: Uint8Array): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const [name, tensor] of decodeSafetensors(bytes, where).tensors) {
    tensors.set(name, { shape: tensor.shape, data: toFloat32(tensor, name, where) });
  }
  const problems = notFiniteProblems(tensors);
  if (problems.length > 0) throw new InputError(where, problems);
  return tensors;
}
