/** Labels as the loss wants them. */
import * as tf from "@tensorflow/tfjs-core";
import { IGNORE_LABEL } from "../encode/vocabulary.ts";
import type { Targets } from "../loss/act-loss.ts";

/**
 * Targets of int32 [B * S] labels, where IGNORE_LABEL asks for nothing; the caller owns the tensors.
 *
 * @param isTaught rows whose tokens have no loss: they only tell the halting head whether its answer is right
 */
export function targetsOf(labels: Int32Array, batch: number, tokens: number, isTaught?: (row: number) => boolean): Targets {
  const asked = new Float32Array(labels.length);
  const perToken = new Float32Array(batch);
  for (let r = 0; r < batch; r++) {
    let count = 0;
    for (let i = r * tokens; i < (r + 1) * tokens; i++) {
      if (labels[i] === IGNORE_LABEL) continue;
      asked[i] = 1;
      count++;
    }
    perToken[r] = isTaught?.(r) ? 0 : 1 / Math.max(count, 1);
  }
  return {
    labels: tf.tensor2d(
      labels.map((label) => (label === IGNORE_LABEL ? 0 : label)),
      [batch, tokens],
      "int32",
    ),
    asked: tf.tensor2d(asked, [batch, tokens]),
    perToken: tf.tensor1d(perToken),
  };
}
