/** Writes a checkpoint folder. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../errors.ts";
import { type CheckpointConfig, checkCheckpointConfig, parseCheckpointConfig } from "./config.ts";
import { CONFIG_FILE, MODEL_CARD_FILE, MODEL_FILE } from "./file-names.ts";
import {
  codeShapes,
  expectedTensors,
  PUZZLE_MEAN,
  PUZZLE_STD,
  type PuzzleEmbeddingStatistics,
  refuseProblems,
  splitCodes,
} from "./load.ts";
import { encodeSafetensors, type SafetensorsTensor } from "./safetensors.ts";
import type { Tensor } from "./shapes.ts";
import { type FileRecords, placeFiles, placeLeftovers, removeUnfinished, stageFile } from "./staged-files.ts";

/** What is written into a checkpoint folder. */
export interface CheckpointContent {
  readonly config: CheckpointConfig;
  /** exactly the names and shapes of `expectedShapes(config.model)` */
  readonly trunk: ReadonlyMap<string, Tensor>;
  readonly puzzleEmbedding: PuzzleEmbeddingStatistics;
  /** exactly the parameters of the config's encoder, where it has one */
  readonly encoder?: ReadonlyMap<string, Tensor> | undefined;
  /** text of the model card, README.md */
  readonly modelCard: string;
  /** files staged in the same folder, by `stageFile`, that count together with these; those of the checkpoint before, unless given anew, go */
  readonly beside?: FileRecords | undefined;
}

/**
 * Writes a checkpoint. Killed at any instant, it leaves the old one or the new one. The folder is made if missing; other files in it stay.
 *
 * @throws InputError where the content is not a checkpoint that `loadCheckpoint` would take back: nothing is written then
 */
export function saveCheckpoint(folder: string, content: CheckpointContent): void {
  stageCheckpoint(folder, content).place();
}

/** A checkpoint whose files wait in its folder. */
export interface StagedCheckpoint {
  readonly files: FileRecords;
  /** makes it count; killed at any instant, it leaves the old checkpoint or the new one */
  place(): void;
}

/** `saveCheckpoint` but for the last step. */
export function stageCheckpoint(folder: string, content: CheckpointContent): StagedCheckpoint {
  const { config, trunk, puzzleEmbedding, encoder = new Map<string, Tensor>(), modelCard, beside = {} } = content;
  const checkedConfig = checkCheckpointConfig(config, join(folder, CONFIG_FILE));
  const width = config.model.puzzleEmbeddingSize;
  const weights = new Map<string, Tensor>([...trunk, ...encoder])
    .set(PUZZLE_MEAN, { shape: [width], data: puzzleEmbedding.mean })
    .set(PUZZLE_STD, { shape: [width], data: puzzleEmbedding.std });
  const expected = expectedTensors(checkedConfig);
  if (puzzleEmbedding.codes) {
    for (const [name, tensor] of splitCodes(puzzleEmbedding.codes, config.model)) weights.set(name, tensor);
    for (const [name, shape] of codeShapes(config.model)) expected.set(name, shape);
  }
  refuseProblems(join(folder, MODEL_FILE), weights, expected);
  removeUnfinished(folder);
  const before = finishPlacing(folder, beside);
  const model = stageFile(folder, MODEL_FILE, encodeSafetensors(asFloat32Entries(weights), { format: "trm" }));
  const configText = `${JSON.stringify({ ...checkedConfig, files: { [MODEL_FILE]: model, ...beside } }, null, 2)}\n`;
  const files = {
    [CONFIG_FILE]: stageFile(folder, CONFIG_FILE, [Buffer.from(configText)]),
    [MODEL_FILE]: model,
    ...beside,
    [MODEL_CARD_FILE]: stageFile(folder, MODEL_CARD_FILE, [Buffer.from(modelCard)]),
  };
  const place = (): void => {
    placeFiles(folder, Object.keys(files)); // the config first: it names the weights
    for (const name of Object.keys(before)) if (!Object.hasOwn(files, name)) rmSync(join(folder, name), { force: true });
  };
  return { files, place };
}

/**
 * Puts in place what an earlier save left waiting when it was cut off: the next one waits under the same names.
 *
 * @param staged names under which something newer waits already
 * @returns      the files that the checkpoint in the folder speaks of
 */
function finishPlacing(folder: string, staged: FileRecords): FileRecords {
  const path = join(folder, CONFIG_FILE);
  if (!existsSync(path)) return {};
  let files: FileRecords = {};
  try {
    files = parseCheckpointConfig(readFileSync(path, "utf8"), path).files ?? {};
  } catch (error) {
    if (!(error instanceof UserError)) throw error; // a config that can't be read speaks of no files
  }
  placeLeftovers(folder, Object.fromEntries(Object.entries(files).filter(([name]) => !Object.hasOwn(staged, name))));
  return files;
}

/** Tensors as F32 entries of a safetensors file. */
export function asFloat32Entries(tensors: ReadonlyMap<string, Tensor>): Map<string, SafetensorsTensor> {
  return new Map([...tensors].map(([name, { shape, data }]) => [name, { dtype: "F32" as const, shape, data }]));
}
