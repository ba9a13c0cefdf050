/** The state of a training that can be taken up again: arrays, and a record that says which files belong together. */
import { createHash } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { InputError, messageOf } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { readFileBounded, withFile } from "./file.ts";
import { decodeSafetensors, encodeSafetensors, toFloat32 } from "./safetensors.ts";
import { asFloat32Entries } from "./save.ts";
import { notFiniteProblems, type Tensor } from "./shapes.ts";

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What a training needs to go on as if it had never stopped. */
export interface TrainingState {
  /** step, random state, …: whatever the trainer wants back, word for word */
  readonly record: { readonly [key: string]: Json };
  /** raw weights, moments, carry, … */
  readonly state: ReadonlyMap<string, Tensor>;
  /** rows of the puzzle embedding */
  readonly embeddings?: ReadonlyMap<string, Tensor> | undefined;
  /** which puzzle each row stands for */
  readonly puzzles?: Json | undefined;
}

/** The file that makes the others count: it holds their sizes and SHA-256 and is replaced last. */
export const RECORD_FILE = "training.json";
const STATE_FILE = "state.safetensors";
const EMBEDDINGS_FILE = "embeddings.safetensors";
const PUZZLES_FILE = "puzzles.json";
/** A new file waits under this suffix until the record that speaks of it is in place. */
const WAITING = ".new";
const MAX_JSON_BYTES = 2 ** 29;

const fileSchema = z.strictObject({ bytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const recordSchema = z.strictObject({
  format: z.literal("trm-training"),
  formatVersion: z.literal(1),
  files: z.strictObject({
    [STATE_FILE]: fileSchema,
    [EMBEDDINGS_FILE]: fileSchema.optional(),
    [PUZZLES_FILE]: fileSchema.optional(),
  }),
  record: z.record(z.string(), z.json()),
});
type FileName = typeof STATE_FILE | typeof EMBEDDINGS_FILE | typeof PUZZLES_FILE;
type FileRecord = z.infer<typeof fileSchema>;

/**
 * Writes a training state into a folder. Killed at any instant, it leaves the old state or the new one, whole.
 *
 * @throws InputError where a tensor holds NaN or an infinity: the old state stays
 */
export function saveTrainingState(folder: string, { record, state, embeddings, puzzles }: TrainingState): void {
  finishSave(folder);
  const contents = new Map<FileName, Uint8Array[]>();
  contents.set(STATE_FILE, encodeFinite(join(folder, STATE_FILE), state));
  if (embeddings) contents.set(EMBEDDINGS_FILE, encodeFinite(join(folder, EMBEDDINGS_FILE), embeddings));
  if (puzzles !== undefined) contents.set(PUZZLES_FILE, [Buffer.from(JSON.stringify(puzzles))]);
  const files: Partial<Record<FileName, FileRecord>> = {};
  for (const [name, parts] of contents) {
    const hash = createHash("sha256");
    for (const part of parts) hash.update(part);
    files[name] = { bytes: parts.reduce((sum, part) => sum + part.byteLength, 0), sha256: hash.digest("hex") };
    writeFileAtomically(join(folder, name + WAITING), parts);
  }
  // From the next line on the new state counts: readers look for what the record names, in place or still waiting.
  writeFileAtomically(
    join(folder, RECORD_FILE),
    `${JSON.stringify({ format: "trm-training", formatVersion: 1, files, record }, null, 2)}\n`,
  );
  for (const name of [STATE_FILE, EMBEDDINGS_FILE, PUZZLES_FILE] as const) {
    if (contents.has(name)) renameSync(join(folder, name + WAITING), join(folder, name));
    else rmSync(join(folder, name), { force: true });
  }
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
  const stateBytes = readVerified(folder, STATE_FILE, files[STATE_FILE]);
  const embeddings = files[EMBEDDINGS_FILE];
  const puzzles = files[PUZZLES_FILE];
  return {
    record: record as TrainingState["record"],
    state: decodeFinite(join(folder, STATE_FILE), stateBytes),
    embeddings: embeddings && decodeFinite(join(folder, EMBEDDINGS_FILE), readVerified(folder, EMBEDDINGS_FILE, embeddings)),
    puzzles: puzzles && (JSON.parse(Buffer.from(readVerified(folder, PUZZLES_FILE, puzzles)).toString("utf8")) as Json),
  };
}

/** What the trainer wrote into the record of a training state, without its arrays; `undefined` where there is no state. */
export function loadTrainingRecord(folder: string): TrainingState["record"] | undefined {
  return readRecord(folder)?.record as TrainingState["record"] | undefined;
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

/**
 * Puts in place what a save that was cut off left waiting: the next save writes under those names.
 * A waiting file that the record does not speak of is from a save cut off earlier: it is overwritten.
 */
function finishSave(folder: string): void {
  const waiting = ([STATE_FILE, EMBEDDINGS_FILE, PUZZLES_FILE] as const).filter((name) => existsSync(join(folder, name + WAITING)));
  if (waiting.length === 0) return;
  const files = readRecord(folder)?.files;
  for (const name of waiting) {
    const path = join(folder, name + WAITING);
    const expected = files?.[name];
    if (!expected) continue;
    const ours = withFile(
      path,
      (source) => source.byteLength === expected.bytes && hashOf(source.read(0, expected.bytes)) === expected.sha256,
    );
    if (ours) renameSync(path, join(folder, name));
  }
}

/** The bytes that a record names: in place, or waiting to be put there by a save that was cut off. */
function readVerified(folder: string, name: FileName, expected: FileRecord): Uint8Array {
  const path = join(folder, name);
  const found: string[] = [];
  for (const candidate of [path, path + WAITING]) {
    if (!existsSync(candidate)) continue;
    const bytes = withFile(candidate, (source) =>
      source.byteLength === expected.bytes ? source.read(0, source.byteLength) : source.byteLength,
    );
    if (typeof bytes === "number") {
      found.push(`${bytes} bytes, not ${expected.bytes}`);
      continue;
    }
    const sha256 = hashOf(bytes);
    if (sha256 === expected.sha256) return bytes;
    found.push(`SHA-256 ${sha256.slice(0, 12)}…, not ${expected.sha256.slice(0, 12)}…`);
  }
  const what = found[0] === undefined ? "is missing" : `is not the file that ${RECORD_FILE} speaks of (${found[0]})`;
  throw new InputError(path, [`${what}; the training state cannot be taken up again`]);
}

function hashOf(bytes: Uint8Array): string {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes.byteLength; at += 2 ** 30) hash.update(bytes.subarray(at, at + 2 ** 30));
  return hash.digest("hex");
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
