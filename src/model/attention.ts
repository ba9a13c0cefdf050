/** Self-attention over the whole sequence, not causal, no mask. */
import * as tf from "@tensorflow/tfjs-core";
import { linear } from "./linear.ts";
import { hasOwnKernel, ownKernel } from "./own-kernel.ts";
import type { BlockTensors } from "./parameters.ts";
import { type RotaryTables, rotate, rotateBack } from "./rotary.ts";

/** What attention needs to know beside its input. */
export interface AttentionShape {
  readonly batch: number;
  /** T: prefix and canvas positions */
  readonly positions: number;
  readonly heads: number;
  readonly headSize: number;
}

/**
 * softmax(rope(q) rope(k)^T / sqrt(headSize)) v, then the output projection.
 *
 * Shapes  x, result: float32 [B * T, D]; qkv [3D, D] giving q | k | v, each head after head; attentionOut [D, D]
 * Source  TRM models/layers.py `Attention`
 */
export function attention(x: tf.Tensor2D, block: BlockTensors, shape: AttentionShape, rotary: RotaryTables): tf.Tensor2D {
  return linear(attend(linear(x, block.qkv), shape, rotary), block.attentionOut);
}

/** float32 [B * T, 3D] (q | k | v) -> [B * T, D]: all heads' attention, merged. */
export function attend(qkv: tf.Tensor2D, shape: AttentionShape, rotary: RotaryTables): tf.Tensor2D {
  if (hasOwnKernel("FusedAttend") && shape.headSize % 8 === 0) return fusedAttend(qkv, shape, rotary);
  const attributes = { ...shape };
  if (hasOwnKernel("Attend") && shape.headSize % 8 === 0) {
    return tf.customGrad((input, save) => {
      const [value] = ownKernel("Attend", { qkv: input as tf.Tensor, ...rotary }, attributes)!;
      (save as tf.GradSaveFunc)([input as tf.Tensor]);
      return {
        value: value!,
        gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => ownKernel("AttendGrad", { dy, qkv: saved[0]!, ...rotary }, attributes)![0]!,
      };
    })(qkv) as tf.Tensor2D;
  }
  return tf.customGrad((input, save) => {
    const [q, k, v] = splitHeads(input as tf.Tensor2D, shape, rotary);
    const weights = scores(q, k, shape);
    const value = mergeHeads(tf.matMul(weights, v), shape);
    (save as tf.GradSaveFunc)([q, k, v, weights]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        tf.tidy(() => backward(dy as tf.Tensor2D, saved as [Heads, Heads, Heads, Heads], shape, rotary)),
    };
  })(qkv) as tf.Tensor2D;
}

/** The same where the engine has it in one: scores stay in the processor, and heads need no transposition. */
function fusedAttend(qkv: tf.Tensor2D, { batch, positions, heads, headSize }: AttentionShape, { cos, sin }: RotaryTables): tf.Tensor2D {
  return tf.customGrad((input, save) => {
    const byPosition = tf.reshape(input as tf.Tensor, [batch, positions, 3 * heads, headSize]) as tf.Tensor4D;
    const slice = (from: tf.Tensor4D, first: number, count: number): tf.Tensor4D =>
      tf.slice4d(from, [0, 0, first, 0], [batch, positions, count, headSize]);
    const table = (of: tf.Tensor2D): tf.Tensor2D => tf.reshape(of, [positions, 1, headSize]) as unknown as tf.Tensor2D;
    const rotated = rotate(slice(byPosition, 0, 2 * heads), { cos: table(cos), sin: table(sin) }) as tf.Tensor4D;
    const [q, k, v] = [slice(rotated, 0, heads), slice(rotated, heads, heads), slice(byPosition, 2 * heads, heads)];
    const [byHead, statistics] = ownKernel("FusedAttend", { q, k, v }, {}) as [tf.Tensor4D, tf.Tensor3D];
    const out = tf.transpose(byHead, [0, 2, 1, 3]);
    (save as tf.GradSaveFunc)([q, k, v, statistics, out]);
    return {
      value: tf.reshape(out, [batch * positions, heads * headSize]),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        tf.tidy(() => {
          const [q, k, v, statistics, out] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
          const dOut = tf.reshape(dy, [batch, positions, heads, headSize]);
          const [dQ, dK, dV] = ownKernel("FusedAttendGrad", { q, k, v, statistics, dOut, out }, {})!;
          const parts = tf.concat([rotateBack(tf.concat([dQ!, dK!], 0), { cos, sin }), dV!], 0);
          const joined = tf.transpose(tf.reshape(parts, [3, batch, heads, positions, headSize]), [1, 3, 0, 2, 4]);
          return tf.reshape(joined, [batch * positions, 3 * heads * headSize]);
        }),
    };
  })(qkv) as tf.Tensor2D;
}

/** [B * heads, T, headSize] or, for the weights, [B * heads, T, T] */
type Heads = tf.Tensor3D;

function scores(q: Heads, k: Heads, { headSize }: AttentionShape): Heads {
  return tf.softmax(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(headSize))) as Heads;
}

function splitHeads(qkv: tf.Tensor2D, { batch, positions, heads, headSize }: AttentionShape, rotary: RotaryTables): [Heads, Heads, Heads] {
  const byPart = tf.transpose(tf.reshape(qkv, [batch, positions, 3, heads, headSize]), [2, 0, 3, 1, 4]);
  const parts = tf.reshape(byPart, [3 * batch * heads, positions, headSize]) as Heads;
  const count = batch * heads;
  const rotated = rotate(tf.slice3d(parts, [0, 0, 0], [2 * count, positions, headSize]), rotary) as Heads;
  const part = (from: Heads, i: number): Heads => tf.slice3d(from, [i * count, 0, 0], [count, positions, headSize]);
  return [part(rotated, 0), part(rotated, 1), part(parts, 2)];
}

function mergeHeads(x: Heads, { batch, positions, heads, headSize }: AttentionShape): tf.Tensor2D {
  const byPosition = tf.transpose(tf.reshape(x, [batch, heads, positions, headSize]), [0, 2, 1, 3]);
  return tf.reshape(byPosition, [batch * positions, heads * headSize]);
}

function backward(
  dy: tf.Tensor2D,
  [q, k, v, weights]: [Heads, Heads, Heads, Heads],
  shape: AttentionShape,
  rotary: RotaryTables,
): tf.Tensor2D {
  const { batch, positions, heads, headSize } = shape;
  const count = batch * heads;
  const dOut = tf.reshape(tf.transpose(tf.reshape(dy, [batch, positions, heads, headSize]), [0, 2, 1, 3]), [
    count,
    positions,
    headSize,
  ]) as Heads;
  const dV = tf.matMul(weights, dOut, true, false);
  const dWeights = tf.mul(tf.matMul(dOut, v, false, true), weights);
  const dScores = tf.mul(tf.sub(dWeights, tf.mul(weights, tf.sum(dWeights, -1, true))), 1 / Math.sqrt(headSize)) as Heads;
  const dRotated = tf.concat3d([tf.matMul(dScores, k), tf.matMul(dScores, q, true, false)], 0);
  const parts = tf.concat([rotateBack(dRotated, rotary), dV], 0);
  const byPosition = tf.transpose(tf.reshape(parts, [3, batch, heads, positions, headSize]), [1, 3, 0, 2, 4]);
  return tf.reshape(byPosition, [batch * positions, 3 * heads * headSize]);
}
