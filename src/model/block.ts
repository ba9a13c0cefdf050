/** One layer: attention and SwiGLU, each with a residual and a norm behind it. */
import * as tf from "@tensorflow/tfjs-core";
import { type AttentionShape, attention } from "./attention.ts";
import type { BlockTensors } from "./parameters.ts";
import { recomputed } from "./recompute.ts";
import { addRmsNorm } from "./rms-norm.ts";
import type { RotaryTables } from "./rotary.ts";
import { swiglu } from "./swiglu.ts";

/** A block whose gradient is made of its input and its result alone, everything between being computed again. */
export interface Recompute {
  /** whether its weights learn; else only its input gets a gradient */
  readonly learned: boolean;
}

/**
 * x = rms(x + attention(x)); x = rms(x + swiglu(x)): post-norm.
 *
 * Shapes  x, result: float32 [B * T, D]
 * Source  TRM trm.py `TinyRecursiveReasoningModel_ACTV1Block`
 */
export function block(
  x: tf.Tensor2D,
  weights: BlockTensors,
  shape: AttentionShape,
  rotary: RotaryTables,
  eps: number,
  recompute?: Recompute,
): tf.Tensor2D {
  const attended = (input: tf.Tensor2D, of: BlockTensors): tf.Tensor2D => addRmsNorm(input, attention(input, of, shape, rotary), eps);
  // What no gradient needs goes at the end of the block, not at the end of the forward pass.
  return tf.tidy(() => {
    if (!recompute) {
      const a = attended(x, weights);
      return addRmsNorm(a, swiglu(a, weights), eps);
    }
    const list = [weights.qkv, weights.attentionOut, weights.gateUp, weights.down] as const;
    const sum = recomputed(
      (input, qkv = list[0], attentionOut = list[1], gateUp = list[2], down = list[3]) => {
        const of = { qkv, attentionOut, gateUp, down };
        const a = attended(input, of);
        return tf.add(a, swiglu(a, of)) as tf.Tensor2D;
      },
      x,
      recompute.learned ? list : [],
    );
    // The norm stays outside: its gradient needs its result, which the next block keeps anyway, and not the sum.
    return addRmsNorm(sum, tf.zeros(sum.shape), eps);
  });
}
