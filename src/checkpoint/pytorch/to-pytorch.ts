/** Writes a checkpoint as the official PyTorch code loads it: a state dict under its keys, and the `all_config.yaml` beside it. */
import { dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { InputError, messageOf, UserError } from "../../errors.ts";
import { writeFileAtomically } from "../../files/atomic.ts";
import { innerSize, type ModelConfig } from "../../model/config.ts";
import { statOf } from "../file.ts";
import { isBfloat16, roundToBfloat16 } from "../half-precision.ts";
import { keptRows } from "../kept-rows.ts";
import { type Checkpoint, loadCheckpoint } from "../load.ts";
import { type RowTable, rowsAtATime } from "../row-table.ts";
import { expectedShapes, type Tensor } from "../shapes.ts";
import { ALL_CONFIG_FILE, type AllConfig, formatAllConfig, readAllConfig, TRM_ARCHITECTURE } from "./all-config.ts";
import { officialKey, PUZZLE_ROWS } from "./names.ts";
import { OFFICIAL_INNER_MULTIPLE } from "./official-model.ts";
import { type PickledTensor, pickleStateDict } from "./write-pickle.ts";
import { ALIGNMENT, type StoredFile, storedZip } from "./write-zip.ts";

/** How the official model computes; `H_init` and `L_init` are kept in this type. */
export type ForwardDtype = "bfloat16" | "float32";

export interface ExportOptions {
  /** file to write, or a folder (one that is there, or a name with a / at its end), in which it is called `step_N` */
  readonly out: string;
  /** rows of the puzzle embedding to write, each the mean, where the checkpoint keeps none; 1 unless given */
  readonly puzzleCount?: number | undefined;
  /** as it was trained unless given, or, where nobody knows, as loses nothing */
  readonly forwardDtype?: ForwardDtype | undefined;
}

/** What was written. */
export interface Export {
  readonly file: string;
  /** the yaml beside it */
  readonly config: string;
  readonly parameters: number;
  readonly puzzleRows: number;
  /** whether the rows are those of the training, not their mean again and again */
  readonly embeddingsKept: boolean;
  readonly forwardDtype: string;
  readonly notes: readonly string[];
}

/** Tensors that the official model keeps in the type it computes in. Source: TRM models/recursive_reasoning/trm.py */
const IN_FORWARD_DTYPE: ReadonlySet<string> = new Set(["H_init", "L_init"]);

/**
 * Writes a PyTorch checkpoint. Rows of the puzzle embedding are those that the checkpoint keeps, or their mean, which is what the official code makes of
 * them for another data set anyway.
 *
 * @throws UserError where the official code has no such model, the yaml in the target's folder is of another one, or it can't be written
 */
export function convertToPytorch(folder: string, options: ExportOptions): Export {
  const checkpoint = loadCheckpoint(folder);
  const { config, trunk } = checkpoint;
  const expansion = officialExpansion(config.model, folder);
  const file = targetFile(options.out, config.training.steps);
  const kept = keptRows(checkpoint);
  if (kept && options.puzzleCount !== undefined) {
    throw new UserError(`--puzzle-count: ${folder} keeps its ${kept.rows.count} rows, all of which are written; leave the option away`);
  }
  const rows = kept?.rows ?? repeated(checkpoint.puzzleEmbedding.mean, options.puzzleCount ?? 1);
  const forwardDtype = options.forwardDtype ?? trainedDtype(checkpoint) ?? losslessDtype(trunk);
  const notes: string[] = [];
  for (const name of IN_FORWARD_DTYPE) {
    if (forwardDtype === "bfloat16" && !isBfloat16(trunk.get(name)!.data)) notes.push(`${name} is rounded to bfloat16`);
  }
  if (!kept)
    notes.push(`the checkpoint keeps no puzzle embeddings: ${rows.count} of their mean ${rows.count === 1 ? "is" : "are"} written`);
  if (checkpoint.encoder) notes.push("the encoder is left out: the official code has none");
  if (checkpoint.puzzleEmbedding.codes)
    notes.push("the codes of augmentations are left out: the official code has a row for each variant instead");
  const yaml = allConfigOf(checkpoint, expansion, forwardDtype);
  const yamlPath = join(dirname(file), ALL_CONFIG_FILE);
  const yamlIsThere = refuseOtherConfig(yamlPath, yaml);
  try {
    writeFileAtomically(file, storedZip(archiveFiles(`step_${config.training.steps}`, trunk, rows, config.model, forwardDtype)));
    if (!yamlIsThere) writeFileAtomically(yamlPath, formatAllConfig(yaml));
  } catch (error) {
    if (error instanceof UserError || typeof (error as NodeJS.ErrnoException).syscall !== "string") throw error;
    throw new UserError(`${file}: cannot be written (${messageOf(error)})`, { cause: error });
  }
  return {
    file,
    config: yamlPath,
    parameters: [...trunk.values()].reduce((sum, { data }) => sum + data.length, 0),
    puzzleRows: rows.count,
    embeddingsKept: kept !== undefined,
    forwardDtype,
    notes,
  };
}

/** The expansion by which the official SwiGLU gets our inner width. @throws InputError listing what the official code can't be told */
function officialExpansion(model: ModelConfig, folder: string): number {
  const problems: string[] = [];
  if (model.ropeAxes === 2)
    problems.push("ropeAxes is 2: the official rotary positions count through the canvas, there are none by row and column");
  const inner = innerSize(model);
  const { hiddenSize } = model;
  const candidates = [model.expansion, (1.5 * inner) / hiddenSize];
  const expansion = candidates.find(
    (candidate) => innerSize({ expansion: candidate, hiddenSize, innerMultiple: OFFICIAL_INNER_MULTIPLE }) === inner,
  );
  if (expansion === undefined) {
    problems.push(`SwiGLU's inner width is ${inner}: the official one is always a multiple of ${OFFICIAL_INNER_MULTIPLE}`);
  }
  if (problems.length > 0) throw new InputError(`${folder}: the official code has no such model`, problems);
  return expansion!;
}

function targetFile(out: string, steps: number): string {
  return out.endsWith("/") || statOf(out)?.isDirectory() ? join(out, `step_${steps}`) : out;
}

/** The same row again and again. */
function repeated(row: Float32Array, count: number): RowTable {
  return {
    count,
    size: row.length,
    *pieces() {
      const step = Math.min(count, rowsAtATime(row.length));
      const piece = new Float32Array(step * row.length);
      for (let i = 0; i < step; i++) piece.set(row, i * row.length);
      for (let first = 0; first < count; first += step) yield piece.subarray(0, Math.min(step, count - first) * row.length);
    },
  };
}

/** The yaml of the training that the weights come from, where they were converted from such a one. */
function officialConfigOf({ config }: Checkpoint): AllConfig | undefined {
  const kept = config.training.officialConfig;
  return typeof kept === "object" && kept !== null && typeof (kept as AllConfig).arch === "object" ? (kept as AllConfig) : undefined;
}

function trainedDtype({ config }: Checkpoint): ForwardDtype | undefined {
  const dtype = config.training.forwardDtype;
  return dtype === "bfloat16" || dtype === "float32" ? dtype : undefined;
}

function losslessDtype(trunk: ReadonlyMap<string, Tensor>): ForwardDtype {
  return [...IN_FORWARD_DTYPE].every((name) => isBfloat16(trunk.get(name)!.data)) ? "bfloat16" : "float32";
}

/** What the official code is told of a model: its trainer takes `arch` as it stands, sizes of the data from the data set. */
function allConfigOf(
  checkpoint: Checkpoint,
  expansion: number,
  forwardDtype: string,
): Record<string, unknown> & { arch: Record<string, unknown> } {
  const { model, canvas, training } = checkpoint.config;
  const official = officialConfigOf(checkpoint);
  return {
    data_paths: training.dataSets,
    ...(training.seed !== undefined && { seed: Number.isSafeInteger(Number(training.seed)) ? Number(training.seed) : training.seed }),
    ...official,
    seq_len: canvas * canvas,
    arch: {
      loss: { name: "losses@ACTLossHead", loss_type: "stablemax_cross_entropy" },
      halt_exploration_prob: 0.1,
      no_ACT_continue: true,
      H_layers: 0,
      ...official?.arch,
      name: TRM_ARCHITECTURE,
      H_cycles: model.hCycles,
      L_cycles: model.lCycles,
      L_layers: model.lLayers,
      hidden_size: model.hiddenSize,
      num_heads: model.numHeads,
      expansion,
      pos_encodings: "rope",
      halt_max_steps: model.haltMaxSteps,
      puzzle_emb_ndim: model.puzzleEmbeddingSize,
      puzzle_emb_len: model.prefixLength,
      rms_norm_eps: model.rmsNormEps,
      rope_theta: model.ropeTheta,
      forward_dtype: forwardDtype,
      mlp_t: false,
    },
  };
}

/**
 * Whether the yaml in the target's folder is there already and says the same of the model.
 *
 * @throws InputError where it is of another model: a checkpoint beside it would be taken for one of that
 */
function refuseOtherConfig(path: string, wanted: { arch: Record<string, unknown> }): boolean {
  if (!statOf(path)) return false;
  const found: Record<string, unknown> = readAllConfig(path).arch;
  const problems = Object.entries(wanted.arch).flatMap(([name, value]) =>
    name === "loss" || found[name] === undefined || isDeepStrictEqual(found[name], value)
      ? []
      : [`arch.${name} is ${String(found[name])}, the checkpoint to write has ${String(value)}; choose another folder for --out`],
  );
  if (problems.length > 0) throw new InputError(path, problems);
  return true;
}

/** The archive's files in PyTorch's order. */
function archiveFiles(
  top: string,
  trunk: ReadonlyMap<string, Tensor>,
  rows: RowTable,
  model: ModelConfig,
  forwardDtype: string,
): StoredFile[] {
  const tensors: PickledTensor[] = [];
  const storages: StoredFile[] = [];
  const add = (name: string, storage: PickledTensor["storage"], shape: readonly number[], content: Omit<StoredFile, "name">): void => {
    storages.push({ name: `${top}/data/${tensors.length}`, ...content });
    tensors.push({ key: officialKey(name), storage, shape });
  };
  for (const [name, shape] of expectedShapes(model)) {
    const { data } = trunk.get(name)!;
    const half = forwardDtype === "bfloat16" && IN_FORWARD_DTYPE.has(name);
    add(name, half ? "BFloat16Storage" : "FloatStorage", shape, bytesFile(half ? roundToBfloat16(data) : data));
    // The official order: the table stands between the heads and the blocks.
    if (name === "q_head.bias") add(PUZZLE_ROWS, "FloatStorage", [rows.count, rows.size], rowsFile(rows));
  }
  const text = (name: string, content: string): StoredFile => ({ name: `${top}/${name}`, ...bytesFile(Buffer.from(content)) });
  return [
    { name: `${top}/data.pkl`, ...bytesFile(pickleStateDict(tensors)) },
    text(".format_version", "1"),
    text(".storage_alignment", String(ALIGNMENT)),
    text("byteorder", "little"),
    ...storages,
    text("version", "3\n"),
  ];
}

function bytesFile({ buffer, byteOffset, byteLength }: ArrayBufferView): Omit<StoredFile, "name"> {
  return { byteLength, pieces: () => [new Uint8Array(buffer, byteOffset, byteLength)] };
}

function rowsFile({ count, size, pieces }: RowTable): Omit<StoredFile, "name"> {
  return {
    byteLength: 4 * count * size,
    *pieces() {
      for (const { buffer, byteOffset, byteLength } of pieces()) yield new Uint8Array(buffer, byteOffset, byteLength);
    },
  };
}
