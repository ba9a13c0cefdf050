/** Turns an official PyTorch checkpoint into a checkpoint folder, in little memory however many puzzle embeddings it has. */
import { readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { InputError, messageOf, UserError } from "../../errors.ts";
import type { ModelConfig } from "../../model/config.ts";
import { type RowStatistics, rowStatistics } from "../../model/puzzle-embedding.ts";
import type { CheckpointConfig } from "../config.ts";
import { statOf, withFile } from "../file.ts";
import { EMBEDDINGS_FILE, PUZZLES_FILE } from "../file-names.ts";
import { readIdentifiers } from "../kept-rows.ts";
import { refuseProblems } from "../load.ts";
import { rowsOf } from "../resize.ts";
import { encodeRows, type RowTable, rowsAtATime } from "../row-table.ts";
import { stageCheckpoint } from "../save.ts";
import { expectedShapes, firstNotFinite, type Tensor } from "../shapes.ts";
import { type FileRecord, stageFile, WAITING } from "../staged-files.ts";
import { RECORD_FILE } from "../training-state.ts";
import { ALL_CONFIG_FILE, type AllConfig, readAllConfig } from "./all-config.ts";
import { PUZZLE_ROWS, splitStateDict } from "./names.ts";
import { type ModelOptions, type NamedConfig, type OfficialModel, officialModel } from "./official-model.ts";
import { openStateDict, type StoredTensor } from "./state-dict.ts";

/** What to make of a PyTorch checkpoint. */
export interface ConversionOptions extends ModelOptions {
  /** folder to write */
  readonly out: string;
  /** the training's yaml; "none" = no yaml; the one beside the checkpoint unless given */
  readonly config?: string | undefined;
  /** keep all rows of the puzzle embedding, not their mean and deviation alone */
  readonly withEmbeddings: boolean;
  /** the data set's identifiers.json: which puzzle each row stands for */
  readonly identifiers?: string | undefined;
  /** canvas side in cells that was trained on; ARC's 30 unless given */
  readonly canvas?: number | undefined;
  /** optimizer steps it was trained for; as the file's name says unless given */
  readonly steps?: number | undefined;
}

/** What came out. */
export interface Conversion {
  readonly checkpoint: string;
  readonly source: string;
  readonly parameters: number;
  readonly puzzleRows: number;
  readonly puzzleEmbeddingSize: number;
  readonly embeddingsKept: boolean;
  readonly model: ModelConfig;
  readonly canvas: number;
  readonly steps: number;
  /** where each field of the model came from */
  readonly origins: OfficialModel["origins"] & { readonly canvas: string; readonly steps: string };
  readonly notes: readonly string[];
}

/** ARC's canvas. Source: TRM dataset/build_arc_dataset.py */
const OFFICIAL_CANVAS = 30;
/** A table that lies column by column must be read whole: the largest one that is, in numbers. */
const MAX_SCATTERED_NUMBERS = 2 ** 25;

/**
 * Reads a checkpoint that `torch.save(model.state_dict(), path)` wrote and writes a checkpoint folder. Killed at any instant, it leaves the folder as it
 * was or the new checkpoint, whole.
 *
 * @param path the file, or the folder in which it is the only one
 * @param say  told what goes on, a sentence each
 * @throws UserError where the file is no such checkpoint, what is needed to know is missing or contradicts itself, or it can't be written
 */
export function convertFromPytorch(path: string, options: ConversionOptions, say: (sentence: string) => void): Conversion {
  const file = checkpointFile(path);
  refuseTarget(options);
  return withFile(file, (source) => {
    const { tensors, savedAs } = openStateDict(source, file);
    const { trunk, puzzleRows } = splitStateDict(tensors, file);
    const given = configFor(file, options.config);
    if (given) say(`${given.path}: read`);
    const shapes = new Map([...trunk].map(([name, { shape }]) => [name, shape]));
    const { model, origins, notes } = officialModel(shapes, puzzleRows?.shape, given, options, file);
    for (const note of notes) say(note);
    const table = tableOf(puzzleRows!, file);
    const puzzles = identifiersOf(options, table);
    say(
      `${file}: ${trunk.size} tensors of the trunk, ${table.count} puzzle embeddings of ${table.size} numbers, ${sizeText(source.byteLength)}`,
    );
    const weights = new Map<string, Tensor>();
    for (const [name, tensor] of trunk) weights.set(name, { shape: tensor.shape, data: tensor.read() });
    refuseProblems(file, weights, expectedShapes(model));
    const puzzleEmbedding = statisticsOf(table);
    const steps = stepsOf(file, savedAs, options.steps);
    const canvas = canvasOf(options.canvas, given);
    const config: CheckpointConfig = {
      format: "trm",
      formatVersion: 1,
      model,
      canvas: canvas.value,
      training: {
        recipe: given?.config.run_name ?? "official PyTorch code",
        dataSets: given?.config.data_paths ?? [],
        steps: steps.value,
        ...(given?.config.seed !== undefined && { seed: given.config.seed }),
        source: { file: basename(file), bytes: source.byteLength, puzzleRows: table.count, dtypes: dtypesOf(trunk) },
        forwardDtype: trunk.get("H_init")!.dtype, // kept in the type that the official code computed in
        ...(given && { weights: given.config.ema ? "averaged (EMA)" : "as trained, not averaged", officialConfig: given.config }),
      },
    };
    const result: Conversion = {
      checkpoint: options.out,
      source: file,
      parameters: [...weights.values()].reduce((sum, { data }) => sum + data.length, 0),
      puzzleRows: table.count,
      puzzleEmbeddingSize: table.size,
      embeddingsKept: options.withEmbeddings,
      model,
      canvas: canvas.value,
      steps: steps.value,
      origins: { ...origins, canvas: canvas.origin, steps: steps.origin },
      notes,
    };
    const content = { config, trunk: weights, puzzleEmbedding, modelCard: modelCard(result, given) };
    write(options, content, options.withEmbeddings ? table : undefined, puzzles);
    return result;
  });
}

/** The checkpoint at a path: the file itself, or the one `step_N` of a folder. */
function checkpointFile(path: string): string {
  if (!statOf(path)?.isDirectory()) return path;
  const found = readdirSync(path).filter((name) => /^step_\d+(\.pth?)?$/.test(name));
  if (found.length === 1) return join(path, found[0]!);
  const what = found.length === 0 ? "holds no checkpoint named step_N" : `holds ${found.sort().join(", ")}`;
  throw new UserError(`${path}: ${what}; name the file to convert`);
}

function refuseTarget({ out, withEmbeddings, identifiers }: ConversionOptions): void {
  const stat = statOf(out);
  if (stat && !stat.isDirectory()) throw new UserError(`${out}: is a file; --out names the folder of the checkpoint to write`);
  if (withEmbeddings && stat && statOf(join(out, RECORD_FILE))) {
    throw new UserError(`${out}: holds a training state, whose ${EMBEDDINGS_FILE} would be lost; choose another folder`);
  }
  if (identifiers !== undefined && !withEmbeddings) {
    throw new UserError("--identifiers names the rows of --with-embeddings; give both or neither");
  }
}

/** The yaml to go by. */
function configFor(file: string, wanted: string | undefined): NamedConfig | undefined {
  if (wanted === "none") return undefined;
  const path = wanted ?? join(dirname(file), ALL_CONFIG_FILE);
  if (wanted === undefined && !statOf(path)) return undefined;
  return { config: readAllConfig(path), path };
}

/** The table as it lies in the checkpoint, read when it is gone through. */
function tableOf(tensor: StoredTensor, where: string): RowTable {
  const [count, size] = tensor.shape as [number, number];
  if (!tensor.rowMajor && count * size > MAX_SCATTERED_NUMBERS) {
    throw new InputError(where, [`${PUZZLE_ROWS} does not lie row by row; save it so: state_dict[key] = state_dict[key].contiguous()`]);
  }
  return {
    count,
    size,
    *pieces() {
      let first = 0;
      for (const piece of tensor.pieces(size * rowsAtATime(size))) {
        const at = firstNotFinite(piece);
        if (at >= 0) {
          const row = first + Math.floor(at / size);
          throw new InputError(where, [`${PUZZLE_ROWS} row ${row} holds ${piece[at]} at ${at % size}; weights must be finite numbers`]);
        }
        first += piece.length / size;
        yield piece;
      }
    },
  };
}

function statisticsOf({ size, pieces }: RowTable): RowStatistics {
  function* rows(): Generator<Float32Array> {
    for (const piece of pieces()) yield* rowsOf(piece, size);
  }
  return rowStatistics(rows(), size);
}

/** The text of puzzles.json: a name for each row. */
function identifiersOf({ identifiers }: ConversionOptions, { count }: RowTable): string | undefined {
  if (identifiers === undefined) return undefined;
  const names = readIdentifiers(identifiers);
  if (names.length !== count) {
    throw new InputError(identifiers, [`names ${names.length} puzzles, the checkpoint has ${count} rows; it is of another data set`]);
  }
  return JSON.stringify(names);
}

/** The side of the canvas. The official code has it from its data set, not from its config. */
function canvasOf(option: number | undefined, given: NamedConfig | undefined): { value: number; origin: string } {
  if (option !== undefined) return { value: option, origin: "option" };
  const tokens = given?.config.seq_len;
  if (tokens === undefined) return { value: OFFICIAL_CANVAS, origin: "official default" };
  const side = Math.round(Math.sqrt(tokens));
  if (side * side !== tokens) throw new InputError(given!.path, [`seq_len is ${tokens}, no square of a canvas side`]);
  return { value: side, origin: "yaml" };
}

/** `step_723914` -> 723914, from the file's name or the name it was saved under. */
function stepsOf(file: string, savedAs: string, option: number | undefined): { value: number; origin: string } {
  if (option !== undefined) return { value: option, origin: "option" };
  for (const name of [basename(file), savedAs]) {
    const digits = /^step_(\d{1,15})(?:\D|$)/.exec(name)?.[1];
    if (digits !== undefined) return { value: Number(digits), origin: `name ${name}` };
  }
  return { value: 0, origin: "unknown" };
}

/** How many of the trunk's tensors have each element type. */
function dtypesOf(trunk: ReadonlyMap<string, StoredTensor>): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { dtype } of trunk.values()) found[dtype] = (found[dtype] ?? 0) + 1;
  return found;
}

type Content = Parameters<typeof stageCheckpoint>[1];

function write({ out }: ConversionOptions, content: Content, table: RowTable | undefined, puzzles: string | undefined): void {
  const beside: Record<string, FileRecord> = {};
  let placing = false;
  try {
    if (table) beside[EMBEDDINGS_FILE] = stageFile(out, EMBEDDINGS_FILE, encodeRows(join(out, EMBEDDINGS_FILE), table));
    if (puzzles !== undefined) beside[PUZZLES_FILE] = stageFile(out, PUZZLES_FILE, [Buffer.from(puzzles)]);
    const staged = stageCheckpoint(out, { ...content, beside });
    placing = true; // from here on the files belong to the new checkpoint
    staged.place();
  } catch (error) {
    if (!placing) for (const name of Object.keys(beside)) rmSync(join(out, name + WAITING), { force: true });
    if (error instanceof UserError || typeof (error as NodeJS.ErrnoException).syscall !== "string") throw error;
    throw new UserError(`${out}: cannot be written (${messageOf(error)})`, { cause: error });
  }
}

function modelCard(conversion: Conversion, given: NamedConfig | undefined): string {
  const { model, source, parameters, puzzleRows, puzzleEmbeddingSize, embeddingsKept, canvas, steps, origins, notes } = conversion;
  const fields = Object.entries({ ...model, canvas, steps }).flatMap(([name, value]) => {
    const origin = (origins as Record<string, string | undefined>)[name];
    return value === undefined || origin === undefined ? [] : [`| ${name} | ${value} | ${origin} |`];
  });
  const training = given ? trainingLines(given.config) : [];
  return `# ${basename(conversion.checkpoint)}

A tiny recursive model, converted by \`trm convert\` from \`${basename(source)}\`, a checkpoint of the official PyTorch code.

- ${parameters} weights of the trunk in float32; ${puzzleRows} puzzle embeddings of ${puzzleEmbeddingSize} numbers, ${embeddingsKept ? "kept" : "of which mean and standard deviation are kept"}
${[...training, ...notes].map((line) => `- ${line}\n`).join("")}- data, licence and scores: see where the file came from

| field | value | known from |
| --- | --- | --- |
${fields.join("\n")}
`;
}

function trainingLines(config: AllConfig): string[] {
  const said = ["epochs", "global_batch_size", "lr", "puzzle_emb_lr", "weight_decay", "lr_warmup_steps"].flatMap((name) => {
    const value = config[name];
    return typeof value === "number" ? [`${name} ${value}`] : [];
  });
  return [
    `trained on ${config.data_paths.join(", ") || "unnamed data"}${said.length > 0 ? `: ${said.join(", ")}` : ""}`,
    config.ema ? "weights are the exponential moving average" : "weights as trained, not averaged (ema: false)",
  ];
}

function sizeText(bytes: number): string {
  return bytes < 2 ** 20
    ? `${Math.ceil(bytes / 1024)} KiB`
    : bytes < 2 ** 30
      ? `${(bytes / 2 ** 20).toFixed(1)} MiB`
      : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
