/** One layer: attention and SwiGLU, each with a residual and a norm behind it. */
import type * as tf from "@tensorflow/tfjs-core";
import { type AttentionShape, attention } from "./attention.ts";
import type { BlockTensors } from "./parameters.ts";
import { addRmsNorm } from "./rms-norm.ts";
import type { RotaryTables } from "./rotary.ts";
import { swiglu } from "./swiglu.ts";

/**
 * x = rms(x + attention(x)); x = rms(x + swiglu(x)): post-norm.
 *
 * Shapes  x, result: float32 [B * T, D]
 * Source  TRM trm.py `TinyRecursiveReasoningModel_ACTV1Block`
 */
export function block(x: tf.Tensor2D, weights: BlockTensors, shape: AttentionShape, rotary: RotaryTables, eps: number): tf.Tensor2D {
  const attended = addRmsNorm(x, attention(x, weights, shape, rotary), eps);
  return addRmsNorm(attended, swiglu(attended, weights), eps);
}
