/** y = x W^T, the only kind of linear layer here. */
import * as tf from "@tensorflow/tfjs-core";

/** float32 [N, in] times [out, in] transposed -> [N, out]; no bias. Source: TRM models/layers.py `CastedLinear` */
export function linear(x: tf.Tensor2D, weight: tf.Tensor2D): tf.Tensor2D {
  return tf.matMul(x, weight, false, true);
}
