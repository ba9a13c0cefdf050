/** What is in a checkpoint's folder: for `trm inspect`. */
import { readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { InputError, UserError } from "../errors.ts";
import type { EncoderConfig } from "../model/encoder-config.ts";
import { type Moved, MovedSum, movedByPart, partOf } from "../model/moved.ts";
import { rowStatistics } from "../model/puzzle-embedding.ts";
import type { CheckpointConfig, ModelConfig, TrainingRecord } from "./config.ts";
import { statOf, withFile } from "./file.ts";
import { CONFIG_FILE, MODEL_FILE } from "./file-names.ts";
import { isBfloat16 } from "./half-precision.ts";
import { checkPuzzles, type KeptRows, keptRows, readIdentifiers } from "./kept-rows.ts";
import { type Checkpoint, loadCheckpoint, modelFile } from "./load.ts";
import { rowsOf } from "./resize.ts";
import { diagnoseRows, type RowDiagnosis } from "./row-cosine.ts";
import type { RowTable } from "./row-table.ts";
import { readSafetensorsHeader } from "./safetensors.ts";
import { expectedShapes, type Tensor } from "./shapes.ts";
import { type Json, loadTrainingState, RECORD_FILE, type TrainingState } from "./training-state.ts";

/** Parameters that belong together. */
export interface Part {
  /** `embed_tokens`, `L_level.layers.0.self_attn`, … */
  readonly name: string;
  readonly about: string;
  readonly parameters: number;
  /** root of the mean square */
  readonly rms: number;
  readonly greatest: number;
}

/** All that is found in a folder. */
export interface Inspection {
  readonly folder: string;
  /** undefined where the folder holds a training state alone */
  readonly checkpoint?: {
    readonly model: ModelConfig;
    readonly canvas: number;
    readonly training: TrainingRecord;
    /** settings of an adaptation that suit it, by name */
    readonly adaptation?: CheckpointConfig["adaptation"];
    readonly parameters: number;
    readonly parts: readonly Part[];
    /** what makes puzzle embeddings of demonstrations, where there is such a part; not counted among the parameters above */
    readonly encoder?: EncoderConfig & { readonly parameters: number; readonly parts: readonly Part[] };
    /** from another checkpoint, where one was named */
    readonly moved?: {
      readonly since: string;
      /** by part of the trunk; `trunk` for all of it */
      readonly parts: Readonly<Record<string, Moved>>;
      /** of the mean of all puzzle rows, where both have rows of the same size */
      readonly meanRow?: Moved | undefined;
    };
    readonly precision: {
      /** element type in the file -> tensors */
      readonly stored: Readonly<Record<string, number>>;
      /** parts all of whose numbers bfloat16 holds without loss */
      readonly bfloat16: readonly string[];
    };
  };
  /** undefined where no training can be taken up from here */
  readonly trainingState?: {
    readonly record: { readonly [key: string]: Json };
    /** array -> how many numbers */
    readonly arrays: Readonly<Record<string, number>>;
  };
  readonly puzzleEmbedding: {
    readonly size: number;
    /** Euclidean length of the mean of all rows */
    readonly meanNorm: number;
    /** root of the mean square of the deviations of the columns */
    readonly deviation: number;
    /** rows that are kept, undefined where only mean and deviation are */
    readonly rows?: number;
    /** how many tasks they belong to; undefined where nobody knows */
    readonly tasks?: number;
    readonly diagnosis?: RowDiagnosis;
  };
  /** the folder's files and their sizes in bytes */
  readonly files: Readonly<Record<string, number>>;
  readonly bytes: number;
}

export interface InspectOptions {
  /** names of the puzzles in order of puzzle id, as the official data set has them; for rows whose own list says ids or nothing */
  readonly identifiers?: string | undefined;
  /** folder of another checkpoint, to tell how far this one is from it */
  readonly since?: string | undefined;
}

/** The name of row 0, which stands for no puzzle. Source: TRM dataset/build_arc_dataset.py */
const BLANK = "<blank>";
/** Stands behind the task in a puzzle's name. Source: TRM dataset/build_arc_dataset.py */
const SEPARATOR = "|||";

/** What parts are for. */
const ABOUT: readonly [RegExp, string][] = [
  [/^[HL]_init$/, "start states, never trained"],
  [/^embed_tokens$/, "tokens to vectors"],
  [/^lm_head$/, "answer head"],
  [/^q_head$/, "halting head"],
  [/^encoder\.embed_tokens$/, "tokens of inputs and outputs to vectors"],
  [/^encoder\.slots$/, "slots of a pair"],
  [/^encoder\.no_pair$/, "in the place of pairs that there are not"],
  [/^encoder\.pool$/, "cells of a pair to its vector"],
  [/^encoder\.out$/, "vectors to a row"],
  [/self_attn$/, "attention"],
  [/mlp$/, "SwiGLU"],
];

/**
 * Looks through a checkpoint, a training state, or both in one folder. Rows are gone through piece by piece.
 *
 * @throws UserError where there is neither, or a file is not what it should be
 */
export function inspectFolder(folder: string, { identifiers, since }: InspectOptions): Inspection {
  const stat = statOf(folder);
  if (!stat) throw new UserError(`${folder}: no such folder`);
  if (!stat.isDirectory())
    throw new UserError(`${folder}: is a file; name the folder of a checkpoint (PyTorch files: \`trm convert\` makes one)`);
  const state = loadTrainingState(folder);
  if (!state && !statOf(join(folder, CONFIG_FILE))) {
    throw new InputError(folder, [`no ${CONFIG_FILE} and no ${RECORD_FILE} here; is it a checkpoint's folder?`]);
  }
  const checkpoint = statOf(join(folder, CONFIG_FILE)) ? loadCheckpoint(folder) : undefined;
  const ofCheckpoint = checkpoint && keptRows(checkpoint);
  const kept = ofCheckpoint ?? (state && rowsOfState(state, folder));
  if (identifiers !== undefined && !kept) throw new UserError(`--identifiers: ${folder} keeps no puzzle embeddings to name`);
  if (since !== undefined && !checkpoint) throw new UserError(`--since ${since}: ${folder} holds no checkpoint to set beside it`);
  const files = Object.fromEntries(filesUnder(folder));
  return {
    folder,
    ...(checkpoint && {
      checkpoint: { ...describeCheckpoint(checkpoint), ...(since !== undefined && { moved: movedFrom(since, checkpoint) }) },
    }),
    ...(state && { trainingState: describeState(state) }),
    puzzleEmbedding: describeEmbedding(kept && !ofCheckpoint ? undefined : checkpoint, kept, identifiers),
    files,
    bytes: Object.values(files).reduce((sum, bytes) => sum + bytes, 0),
  };
}

function describeCheckpoint(checkpoint: Checkpoint): NonNullable<Inspection["checkpoint"]> {
  const { config, trunk, encoder, folder, files } = checkpoint;
  const groups = byPart([...expectedShapes(config.model).keys()].map((name) => [name, trunk.get(name)!]));
  const stored: Record<string, number> = {};
  withFile(modelFile(folder, files), (source) => {
    for (const { dtype } of readSafetensorsHeader(source, join(folder, MODEL_FILE)).entries) stored[dtype] = (stored[dtype] ?? 0) + 1;
  });
  const parts = [...groups].map(([name, tensors]) => describePart(name, tensors));
  const ofEncoder = [...byPart(encoder ?? [])].map(([name, tensors]) => describePart(name, tensors));
  const sum = (of: readonly Part[]): number => of.reduce((all, part) => all + part.parameters, 0);
  return {
    model: config.model,
    canvas: config.canvas,
    training: config.training,
    ...(config.adaptation && { adaptation: config.adaptation }),
    parameters: sum(parts),
    parts,
    ...(config.encoder && { encoder: { ...config.encoder, parameters: sum(ofEncoder), parts: ofEncoder } }),
    precision: {
      stored,
      bfloat16: [...groups].filter(([, tensors]) => tensors.every(({ data }) => isBfloat16(data))).map(([name]) => name),
    },
  };
}

/** Tensors that belong together, by the name of their part, in the order given. */
function byPart(tensors: Iterable<readonly [string, Tensor]>): Map<string, Tensor[]> {
  const groups = new Map<string, Tensor[]>();
  for (const [name, tensor] of tensors) groups.set(partOf(name), [...(groups.get(partOf(name)) ?? []), tensor]);
  return groups;
}

/** @throws UserError where the other is of another shape */
function movedFrom(
  since: string,
  { config, trunk, puzzleEmbedding, folder }: Checkpoint,
): NonNullable<NonNullable<Inspection["checkpoint"]>["moved"]> {
  const other = loadCheckpoint(since);
  const names = [...expectedShapes(config.model).keys()];
  const odd = names.find((name) => other.trunk.get(name)?.data.length !== trunk.get(name)!.data.length);
  if (odd !== undefined) throw new UserError(`--since ${since}: its ${odd} is of another shape than that of ${folder}`);
  const meanRow = new MovedSum();
  const hasMean = other.puzzleEmbedding.mean.length === puzzleEmbedding.mean.length;
  if (hasMean) meanRow.add(other.puzzleEmbedding.mean, puzzleEmbedding.mean);
  return {
    since,
    parts: movedByPart(names.map((name) => ({ name, start: other.trunk.get(name)!.data, now: trunk.get(name)!.data }))),
    ...(hasMean && { meanRow: meanRow.moved }),
  };
}

function describePart(name: string, tensors: readonly Tensor[]): Part {
  let parameters = 0;
  let squares = 0;
  let greatest = 0;
  for (const { data } of tensors) {
    parameters += data.length;
    for (const value of data) {
      squares += value * value;
      greatest = Math.max(greatest, Math.abs(value));
    }
  }
  const about = ABOUT.find(([pattern]) => pattern.test(name))?.[1] ?? "";
  return { name, about, parameters, rms: Math.sqrt(squares / parameters), greatest };
}

function describeState({ record, state }: TrainingState): NonNullable<Inspection["trainingState"]> {
  return { record, arrays: Object.fromEntries([...state].map(([name, { data }]) => [name, data.length])) };
}

function rowsOfState({ rows, puzzles }: TrainingState, folder: string): KeptRows | undefined {
  return rows && { rows, puzzles: puzzles === undefined ? undefined : checkPuzzles(puzzles, join(folder, "puzzles.json"), rows.count) };
}

/** @param checkpoint whose statistics are those of the rows; undefined where the rows' own must be taken */
function describeEmbedding(
  checkpoint: Checkpoint | undefined,
  kept: KeptRows | undefined,
  identifiers: string | undefined,
): Inspection["puzzleEmbedding"] {
  const { mean, std } = checkpoint?.puzzleEmbedding ?? statisticsOf(kept?.rows);
  const squares = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);
  const statistics = { size: mean.length, meanNorm: Math.sqrt(squares(mean)), deviation: Math.sqrt(squares(std) / std.length) };
  if (!kept) return statistics;
  const tasks = tasksOf(kept, identifiers);
  return {
    ...statistics,
    rows: kept.rows.count,
    ...(tasks && { tasks: tasks.reduce((most, task) => Math.max(most, task + 1), 0) }),
    diagnosis: diagnoseRows(kept.rows, tasks, mean),
  };
}

function statisticsOf(rows: RowTable | undefined): { mean: Float32Array; std: Float32Array } {
  if (!rows) return { mean: new Float32Array(0), std: new Float32Array(0) };
  function* each({ size, pieces }: RowTable): Generator<Float32Array> {
    for (const piece of pieces()) yield* rowsOf(piece, size);
  }
  return rowStatistics(each(rows), rows.size);
}

/** The number of each row's task; undefined where no names are known. */
function tasksOf({ rows, puzzles }: KeptRows, identifiers: string | undefined): Int32Array | undefined {
  const names = identifiers === undefined ? undefined : readIdentifiers(identifiers);
  if (!names && typeof puzzles?.[0] !== "string") return undefined;
  const numbers = new Map<string, number>();
  return Int32Array.from({ length: rows.count }, (_, row) => {
    const puzzle = puzzles?.[row] ?? row;
    const name = typeof puzzle === "string" ? puzzle : names![puzzle];
    if (name === undefined) {
      throw new InputError(identifiers!, [
        `names ${names!.length} puzzles, row ${row} stands for puzzle ${puzzle}; it is of another data set`,
      ]);
    }
    if (name === BLANK) return -1;
    const [task] = name.split(SEPARATOR, 1) as [string];
    const number = numbers.get(task) ?? numbers.size;
    numbers.set(task, number);
    return number;
  });
}

function filesUnder(folder: string): [string, number][] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }): [string, number] => [basename(name), statSync(join(folder, name)).size])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
