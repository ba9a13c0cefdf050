/** Rotary position encoding. */
import * as tf from "@tensorflow/tfjs-core";

/** float32 [T, headSize] each; the caller owns them. */
export interface RotaryTables {
  readonly cos: tf.Tensor2D;
  readonly sin: tf.Tensor2D;
}

/**
 * cos and sin of position / theta^(2i/headSize), each half of a head with the same angles. With two axes the first half of
 * the frequencies takes the row, the second the column, each from 1 down to about 1/theta.
 *
 * @param positions int32[T * axes]: for each slot its place in the sequence, or its row and column; see `encode/positions.ts`
 * Source: TRM models/layers.py `RotaryEmbedding` (one axis); two axes are ours
 */
export function rotaryTables(positions: ArrayLike<number>, headSize: number, theta: number, axes: 1 | 2 = 1): RotaryTables {
  const half = headSize / 2;
  const perAxis = half / axes;
  const T = positions.length / axes;
  const cos = new Float32Array(T * headSize);
  const sin = new Float32Array(T * headSize);
  for (let t = 0; t < T; t++) {
    for (let i = 0; i < half; i++) {
      const axis = Math.floor(i / perAxis);
      // float32 at each step, as the official code computes its tables
      const frequency = Math.fround(1 / Math.fround(theta ** Math.fround((i - axis * perAxis) / perAxis)));
      const angle = Math.fround(positions[t * axes + axis]! * frequency);
      const at = t * headSize + i;
      cos[at] = cos[at + half] = Math.cos(angle);
      sin[at] = sin[at + half] = Math.sin(angle);
    }
  }
  return { cos: tf.tensor2d(cos, [T, headSize]), sin: tf.tensor2d(sin, [T, headSize]) };
}

/**
 * Rotates the last axis: x * cos + rotateHalf(x) * sin, with rotateHalf(a | b) = (-b | a).
 *
 * Shapes  x: float32 [..., T, headSize], tables [T, headSize]
 */
export function rotate(x: tf.Tensor, { cos, sin }: RotaryTables): tf.Tensor {
  return tf.add(tf.mul(x, cos), tf.mul(rotateHalf(x, -1), sin));
}

/** The gradient of `rotate`: the rotation by the negative angle. */
export function rotateBack(dy: tf.Tensor, { cos, sin }: RotaryTables): tf.Tensor {
  return tf.add(tf.mul(dy, cos), rotateHalf(tf.mul(dy, sin), 1));
}

/** (a | b) -> (sign * b | -sign * a). */
function rotateHalf(x: tf.Tensor, sign: 1 | -1): tf.Tensor {
  const half = x.shape[x.rank - 1]! / 2;
  const [a, b] = tf.split(x, [half, half], -1) as [tf.Tensor, tf.Tensor];
  return sign < 0 ? tf.concat([tf.neg(b), a], -1) : tf.concat([b, tf.neg(a)], -1);
}
