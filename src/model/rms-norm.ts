/** Root-mean-square normalisation without a gain, over the last axis. */
import * as tf from "@tensorflow/tfjs-core";
import { ownKernel } from "./own-kernel.ts";

/**
 * rms(x + y) = (x + y) / sqrt(mean((x + y)^2) + eps): a residual sum and its norm in one go.
 *
 * Shapes  x, y, result: float32 [N, D]
 * Source  TRM models/layers.py `rms_norm`, used after each residual (post-norm)
 */
export function addRmsNorm(x: tf.Tensor2D, y: tf.Tensor2D, eps: number): tf.Tensor2D {
  return tf.customGrad((xIn, yIn, save) => {
    const { normed, inverse } = forward(xIn as tf.Tensor2D, yIn as tf.Tensor2D, eps);
    (save as tf.GradSaveFunc)([normed, inverse]);
    return {
      value: normed,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [n, s] = saved as [tf.Tensor2D, tf.Tensor2D];
        const dx = tf.tidy(() => backward(dy as tf.Tensor2D, n, s));
        return [dx, dx];
      },
    };
  })(x, y) as tf.Tensor2D;
}

function forward(x: tf.Tensor2D, y: tf.Tensor2D, eps: number): { normed: tf.Tensor2D; inverse: tf.Tensor2D } {
  const own = ownKernel("AddRmsNorm", { x, y }, { eps });
  if (own) return { normed: own[0] as tf.Tensor2D, inverse: own[1] as tf.Tensor2D };
  const sum = tf.add(x, y);
  // not rsqrt: TensorFlow's is approximate and a little too small, and PyTorch's is the exact quotient
  const inverse = tf.div(1, tf.sqrt(tf.add(tf.mean(tf.square(sum), -1, true), eps))) as tf.Tensor2D;
  return { normed: tf.mul(sum, inverse), inverse };
}

/** d(sum) = (dy - n * mean(dy * n)) / rms: the same for both summands. */
function backward(dy: tf.Tensor2D, normed: tf.Tensor2D, inverse: tf.Tensor2D): tf.Tensor2D {
  const own = ownKernel("AddRmsNormGrad", { dy, normed, inverse }, {});
  if (own) return own[0] as tf.Tensor2D;
  const along = tf.mean(tf.mul(dy, normed), -1, true);
  return tf.mul(tf.sub(dy, tf.mul(normed, along)), inverse);
}
