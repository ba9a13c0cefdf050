/** Writes a checkpoint folder. */
import { join } from "node:path";
import { writeFileAtomically } from "../files/atomic.ts";
import { type CheckpointConfig, checkCheckpointConfig } from "./config.ts";
import {
  CONFIG_FILE,
  MODEL_CARD_FILE,
  MODEL_FILE,
  PUZZLE_MEAN,
  PUZZLE_STD,
  type PuzzleEmbeddingStatistics,
  refuseProblems,
  withPuzzleEmbedding,
} from "./load.ts";
import { encodeSafetensors, type SafetensorsTensor } from "./safetensors.ts";
import type { Tensor } from "./shapes.ts";

/** What is written into a checkpoint folder. */
export interface CheckpointContent {
  readonly config: CheckpointConfig;
  /** exactly the names and shapes of `expectedShapes(config.model)` */
  readonly trunk: ReadonlyMap<string, Tensor>;
  readonly puzzleEmbedding: PuzzleEmbeddingStatistics;
  /** text of the model card, README.md */
  readonly modelCard: string;
}

/**
 * Writes a checkpoint, each of its files at once. The folder is made if missing; other files in it stay.
 *
 * @throws InputError where the content is not a checkpoint that `loadCheckpoint` would take back: nothing is written then
 */
export function saveCheckpoint(folder: string, { config, trunk, puzzleEmbedding, modelCard }: CheckpointContent): void {
  const checkedConfig = checkCheckpointConfig(config, join(folder, CONFIG_FILE));
  const width = config.model.puzzleEmbeddingSize;
  const weights = new Map<string, Tensor>(trunk)
    .set(PUZZLE_MEAN, { shape: [width], data: puzzleEmbedding.mean })
    .set(PUZZLE_STD, { shape: [width], data: puzzleEmbedding.std });
  refuseProblems(join(folder, MODEL_FILE), weights, withPuzzleEmbedding(checkedConfig.model));
  writeFileAtomically(join(folder, MODEL_FILE), encodeSafetensors(asFloat32Entries(weights), { format: "trm" }));
  writeFileAtomically(join(folder, CONFIG_FILE), `${JSON.stringify(checkedConfig, null, 2)}\n`);
  writeFileAtomically(join(folder, MODEL_CARD_FILE), modelCard);
}

/** Tensors as F32 entries of a safetensors file. */
export function asFloat32Entries(tensors: ReadonlyMap<string, Tensor>): Map<string, SafetensorsTensor> {
  return new Map([...tensors].map(([name, { shape, data }]) => [name, { dtype: "F32" as const, shape, data }]));
}
