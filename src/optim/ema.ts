/** Exponential moving average of the trunk; evaluation uses it. */
import * as tf from "@tensorflow/tfjs-core";

/**
 * decay * average + (1 - decay) * weights.
 *
 * Owns    the returned tensor; the given ones stay alive
 * Source  TRM models/ema.py
 */
export function emaUpdate(average: tf.Tensor1D, weights: tf.Tensor1D, decay: number | tf.Scalar): tf.Tensor1D {
  return tf.tidy(() => {
    const keep = typeof decay === "number" ? tf.scalar(decay) : decay;
    return tf.add(tf.mul(average, keep), tf.mul(weights, tf.sub(1, keep)));
  });
}
