/** The tiny recursive model: tokens and a puzzle embedding in, refined states, token logits and a halting logit out. */
import * as tf from "@tensorflow/tfjs-core";
import type { AttentionShape } from "./attention.ts";
import { block, type Recompute } from "./block.ts";
import { headSize, type ModelConfig } from "./config.ts";
import { linear } from "./linear.ts";
import type { TrunkTensors } from "./parameters.ts";
import type { Latents, Network } from "./recursion.ts";
import type { RotaryTables } from "./rotary.ts";

/** What one forward pass is given, beside the states. */
export interface ModelInputs {
  /** int32 [B, S] */
  readonly tokens: tf.Tensor2D;
  /** float32 [B, E] rows of the puzzle embedding */
  readonly puzzleRows: tf.Tensor2D;
}

/** Shape of attention for a batch. */
export function attentionShape(config: ModelConfig, batch: number, canvasTokens: number): AttentionShape {
  return { batch, positions: config.prefixLength + canvasTokens, heads: config.numHeads, headSize: headSize(config) };
}

/**
 * sqrt(D) * (puzzle embedding in the prefix positions | token embeddings).
 *
 * Shapes  result: float32 [B * T, D]; the row of E numbers is padded with zeros to P x D
 * Source  TRM trm.py `_input_embeddings`
 */
export function inputEmbeddings(config: ModelConfig, trunk: TrunkTensors, { tokens, puzzleRows }: ModelInputs): tf.Tensor2D {
  const { hiddenSize: D, prefixLength: P, puzzleEmbeddingSize: E, vocabularySize: V } = config;
  const [B, S] = tokens.shape;
  // A product with one-hot rows instead of a gather: its gradient exists on every engine.
  const embedded = tf.reshape(tf.matMul(tf.oneHot(tf.reshape(tokens, [B * S]), V) as tf.Tensor2D, trunk.embedTokens), [B, S, D]);
  const padded = E === P * D ? puzzleRows : tf.concat2d([puzzleRows, tf.zeros([B, P * D - E])], 1);
  const all = tf.concat([tf.reshape(padded, [B, P, D]), embedded], 1);
  return tf.reshape(tf.mul(all, Math.sqrt(D)), [B * (P + S), D]);
}

/** The one network of both latents: blocks on the sum of state and injection. */
export function networkOf(
  config: ModelConfig,
  trunk: TrunkTensors,
  shape: AttentionShape,
  rotary: RotaryTables,
  recompute?: Recompute,
): Network {
  return (state, injection) => {
    let h: tf.Tensor2D = tf.add(state, injection);
    for (const weights of trunk.blocks) h = block(h, weights, shape, rotary, config.rmsNormEps, recompute);
    return h;
  };
}

/** float32 [B, S, V] token logits from zH [B * T, D]. Source: TRM trm.py `lm_head` */
export function tokenLogits(config: ModelConfig, trunk: TrunkTensors, zH: tf.Tensor2D, batch: number): tf.Tensor3D {
  const { hiddenSize: D, prefixLength: P, vocabularySize: V } = config;
  const positions = zH.shape[0] / batch;
  const canvas = tf.slice3d(tf.reshape(zH, [batch, positions, D]), [0, P, 0], [batch, positions - P, D]);
  return tf.reshape(linear(tf.reshape(canvas, [batch * (positions - P), D]), trunk.lmHead), [batch, positions - P, V]);
}

/** float32 [B, 2] halt and continue logits from zH at position 0. Source: TRM trm.py `q_head` */
export function qLogits(config: ModelConfig, trunk: TrunkTensors, zH: tf.Tensor2D, batch: number): tf.Tensor2D {
  const D = config.hiddenSize;
  const first = tf.slice3d(tf.reshape(zH, [batch, zH.shape[0] / batch, D]), [0, 0, 0], [batch, 1, D]);
  return tf.add(linear(tf.reshape(first, [batch, D]), trunk.qHeadWeight), trunk.qHeadBias);
}

/**
 * Start states for the rows that begin a new sample, the carried ones for the others.
 *
 * Shapes  fresh: float32 [B, 1], 1 = begins; latents [B * T, D]; hInit, lInit [D]
 * Source  TRM trm.py `reset_carry`
 */
export function resetLatents(carried: Latents, fresh: tf.Tensor2D, start: { hInit: tf.Tensor1D; lInit: tf.Tensor1D }): Latents {
  const [batch, D] = [fresh.shape[0], start.hInit.shape[0]];
  const begins = tf.reshape(fresh, [batch, 1, 1]);
  const goesOn = tf.sub(1, begins);
  // A blend, exact for masks of 0 and 1 and finite states: a state that is not finite has stopped the training before it gets here.
  const reset = (state: tf.Tensor2D, initial: tf.Tensor1D): tf.Tensor2D => {
    const byRow = tf.reshape(state, [batch, state.shape[0] / batch, D]);
    const blended = tf.add(tf.mul(byRow, goesOn), tf.mul(begins, tf.reshape(initial, [1, 1, D])));
    return tf.reshape(blended, [state.shape[0], D]);
  };
  return { zH: reset(carried.zH, start.hInit), zL: reset(carried.zL, start.lInit) };
}
