/** What a training step needs of memory, and so how many rows may go through the model together. */
import { innerSize, type ModelConfig } from "../model/config.ts";

/** Temporary tensors of gradients and optimizer, beside what is saved for the backward pass. Measured on preset S, see bench. */
const TEMPORARY_SHARE = 1.6;

/**
 * Bytes that one row of the batch takes at the peak of a training step.
 *
 * Saved per token and block: q|k|v, attention's output, two normed states, gate|up and their product; per block also the
 * attention weights where the engine keeps them.
 *
 * @param positions   T, prefix and canvas
 * @param keepsScores whether attention weights are saved (op by op on TensorFlow; the wasm kernels compute them anew)
 */
export function stepBytesPerRow(model: ModelConfig, positions: number, keepsScores: boolean): number {
  const blocks = (model.lCycles + 1) * model.lLayers;
  const perToken = 6 * model.hiddenSize + 3 * innerSize(model);
  const scores = keepsScores ? 2 * model.numHeads * positions * positions : 0;
  return 4 * TEMPORARY_SHARE * blocks * (positions * perToken + scores);
}

/** Rows that fit `bytes` of memory: at least one, at most all of them, spread evenly over the passes. */
export function microBatchFor(bytes: number, bytesPerRow: number, rows: number): number {
  const fit = Math.max(1, Math.min(rows, Math.floor(bytes / bytesPerRow)));
  return Math.ceil(rows / Math.ceil(rows / fit));
}
