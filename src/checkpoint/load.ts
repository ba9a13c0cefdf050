/** Reads a checkpoint folder. No name or path found inside a file is ever used as a path. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { COLOR_COUNT } from "../augment/color-permutation.ts";
import { DIHEDRAL_COUNT } from "../augment/dihedral.ts";
import { InputError, UserError } from "../errors.ts";
import type { CheckpointConfig, ModelConfig } from "./config.ts";
import { parseCheckpointConfig } from "./config.ts";
import { readFileBounded } from "./file.ts";
import { CONFIG_FILE, MODEL_FILE } from "./file-names.ts";
import { decodeSafetensors, toFloat32 } from "./safetensors.ts";
import { encoderShapes, expectedShapes, notFiniteProblems, shapeProblems, type Tensor } from "./shapes.ts";
import { type FileRecords, isWaiting, WAITING } from "./staged-files.ts";

export { CONFIG_FILE, MODEL_CARD_FILE, MODEL_FILE } from "./file-names.ts";

/** Names of the puzzle embedding's statistics in the model file. */
export const PUZZLE_MEAN = "puzzle_emb.mean";
export const PUZZLE_STD = "puzzle_emb.std";
/** Of the codes of augmentations, where embeddings are factored. */
const PUZZLE_DIHEDRAL = "puzzle_emb.dihedral";
const PUZZLE_COLORS = "puzzle_emb.colours";

/** Mean and standard deviation of the rows of the puzzle embedding a trunk was trained with. */
export interface PuzzleEmbeddingStatistics {
  /** float32[puzzleEmbeddingSize] */
  readonly mean: Float32Array;
  /** float32[puzzleEmbeddingSize] */
  readonly std: Float32Array;
  /** float32[CODE_COUNT * puzzleEmbeddingSize], where embeddings are factored: see `data/augmentation-codes.ts` */
  readonly codes?: Float32Array | undefined;
}

/** What a checkpoint folder holds. */
export interface Checkpoint {
  readonly config: CheckpointConfig;
  /** official parameter name (without `_orig_mod.model.inner.`) -> values; exactly the names and shapes of `expectedShapes` */
  readonly trunk: Map<string, Tensor>;
  readonly puzzleEmbedding: PuzzleEmbeddingStatistics;
  /** name -> values of the encoder's parameters, exactly those of `encoderLayout`; where the config has one */
  readonly encoder?: ReadonlyMap<string, Tensor> | undefined;
  readonly folder: string;
  /** the files that the config speaks of */
  readonly files: FileRecords;
}

/** What a checkpoint says of itself, without its weights; and the files that it speaks of. @throws UserError as `loadCheckpoint` does */
export function loadCheckpointConfig(folder: string): { config: CheckpointConfig; files: FileRecords | undefined } {
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (!stat) throw new UserError(`${folder}: no such folder; a checkpoint is a folder with ${CONFIG_FILE} and ${MODEL_FILE}`);
  if (!stat.isDirectory()) {
    throw new UserError(`${folder}: is a file; a checkpoint is a folder with ${CONFIG_FILE} and ${MODEL_FILE}, made by \`trm convert\``);
  }
  const missing = [CONFIG_FILE, MODEL_FILE].filter((name) => !statSync(join(folder, name), { throwIfNoEntry: false }));
  if (missing.length > 0) throw new InputError(folder, [`no ${missing.join(" and no ")} here; is it a checkpoint's folder?`]);

  const configPath = join(folder, CONFIG_FILE);
  const { files, ...config } = parseCheckpointConfig(Buffer.from(readFileBounded(configPath, 2 ** 24)).toString("utf8"), configPath);
  return { config, files };
}

/**
 * The checkpoint in a folder, checked: config, names, shapes, and that every weight is a finite number.
 *
 * @throws UserError that lists every wrong field of the config, or every missing, extra and mis-shaped tensor
 */
export function loadCheckpoint(folder: string): Checkpoint {
  const { config, files } = loadCheckpointConfig(folder);
  const expected = expectedTensors(config);
  const modelPath = modelFile(folder, files);
  const weightBytes = [...expected.values()].reduce((sum, shape) => sum + 8 * shape.reduce((a, b) => a * b, 1), 0);
  const bytes = readFileBounded(modelPath, weightBytes + 2 ** 24); // float64 at most, and room for the header
  const { tensors } = decodeSafetensors(bytes, modelPath);
  const weights = new Map<string, Tensor>();
  for (const [name, tensor] of tensors) weights.set(name, { shape: tensor.shape, data: toFloat32(tensor, name, modelPath) });
  const withCodes = tensors.has(PUZZLE_DIHEDRAL) || tensors.has(PUZZLE_COLORS);
  refuseProblems(modelPath, weights, withCodes ? new Map([...expected, ...codeShapes(config.model)]) : expected);
  const encoder = config.encoder && splitEncoder(weights, config);
  return { config, folder, files: files ?? {}, ...splitPuzzleEmbedding(weights), ...(encoder && { encoder }) };
}

/** Settings of an adaptation that a checkpoint has; undefined where it has none, or can't be read: `loadCheckpoint` tells why. */
export function adaptationOf(folder: string): CheckpointConfig["adaptation"] {
  const path = join(folder, CONFIG_FILE);
  try {
    return parseCheckpointConfig(readFileSync(path, "utf8"), path).adaptation;
  } catch {
    return undefined;
  }
}

/** Where a checkpoint's weights are at the moment. @param files what its config speaks of */
export function modelFile(folder: string, files: FileRecords = {}): string {
  const named = files[MODEL_FILE];
  return join(folder, named && isWaiting(folder, MODEL_FILE, named) ? MODEL_FILE + WAITING : MODEL_FILE);
}

/** Trunk, puzzle statistics and encoder: what the model file of a config holds. */
export function expectedTensors({ model, encoder }: Pick<CheckpointConfig, "model" | "encoder">): Map<string, readonly number[]> {
  const trunk = expectedShapes(model).set(PUZZLE_MEAN, [model.puzzleEmbeddingSize]).set(PUZZLE_STD, [model.puzzleEmbeddingSize]);
  return new Map([...trunk, ...encoderShapes(model, encoder)]);
}

/** Name -> shape of the codes of augmentations. */
export function codeShapes({ puzzleEmbeddingSize }: ModelConfig): Map<string, readonly number[]> {
  return new Map([
    [PUZZLE_DIHEDRAL, [DIHEDRAL_COUNT, puzzleEmbeddingSize]],
    [PUZZLE_COLORS, [COLOR_COUNT, COLOR_COUNT, puzzleEmbeddingSize]],
  ]);
}

/** The codes as the model file has them. @param codes float32[CODE_COUNT * E] */
export function splitCodes(codes: Float32Array, model: ModelConfig): Map<string, Tensor> {
  let at = 0;
  return new Map(
    [...codeShapes(model)].map(([name, shape]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, { shape, data: codes.subarray(at, (at += size)) }];
    }),
  );
}

/** @throws InputError listing every tensor that is missing, extra, mis-shaped or not finite */
export function refuseProblems(
  where: string,
  tensors: ReadonlyMap<string, Tensor>,
  expected: ReadonlyMap<string, readonly number[]>,
): void {
  const problems = [...shapeProblems(tensors, expected), ...notFiniteProblems(tensors)];
  if (problems.length > 0) throw new InputError(where, problems);
}

/** Takes the encoder's tensors out. */
function splitEncoder(weights: Map<string, Tensor>, { model, encoder }: CheckpointConfig): Map<string, Tensor> {
  const own = [...encoderShapes(model, encoder).keys()].map((name): [string, Tensor] => [name, weights.get(name)!]);
  for (const [name] of own) weights.delete(name);
  return new Map(own);
}

function splitPuzzleEmbedding(weights: Map<string, Tensor>): Pick<Checkpoint, "trunk" | "puzzleEmbedding"> {
  const mean = weights.get(PUZZLE_MEAN)!.data;
  const std = weights.get(PUZZLE_STD)!.data;
  const codes = weights.has(PUZZLE_DIHEDRAL)
    ? Float32Array.from([...weights.get(PUZZLE_DIHEDRAL)!.data, ...weights.get(PUZZLE_COLORS)!.data])
    : undefined;
  for (const name of [PUZZLE_MEAN, PUZZLE_STD, PUZZLE_DIHEDRAL, PUZZLE_COLORS]) weights.delete(name);
  return { trunk: weights, puzzleEmbedding: { mean, std, ...(codes && { codes }) } };
}
