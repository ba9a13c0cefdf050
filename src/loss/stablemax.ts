/** Stablemax cross-entropy: softmax's exponential replaced by a function that grows linearly. */
import * as tf from "@tensorflow/tfjs-core";

/**
 * Cross-entropy of each token under stablemax: log(sum_v s(x_v)) - log(s(x_label)), with
 * s(x) = x + 1 for x >= 0 and 1 / (1 - x) below.
 *
 * Shapes  logits: float32 [N, V]; oneHotLabels: float32 [N, V], all zero where nothing is asked; result float32 [N]
 * Source  TRM models/losses.py `stablemax_cross_entropy` (there in float64; here float32, see the golden test)
 */
export function stablemaxCrossEntropy(logits: tf.Tensor2D, oneHotLabels: tf.Tensor2D): tf.Tensor1D {
  return tf.customGrad((input, save) => {
    const x = input as tf.Tensor2D;
    const s = stablemaxNumerator(x);
    const total = tf.sum(s, -1, true);
    const atLabel = tf.sum(tf.mul(s, oneHotLabels), -1, true);
    const asked = tf.sum(oneHotLabels, -1, true); // 1, or 0 where nothing is asked
    (save as tf.GradSaveFunc)([x, total, atLabel, asked, oneHotLabels]);
    // Where nothing is asked, log(1) stands for log(s_label) and the whole is multiplied by 0.
    const loss = tf.mul(asked, tf.sub(tf.log(total), tf.log(tf.add(atLabel, tf.sub(1, asked)))));
    return {
      value: tf.squeeze(loss, [1]),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [xs, sum, label, mask, oneHot] = saved as tf.Tensor2D[];
        const slope = stablemaxSlope(xs!);
        const perLogit = tf.sub(tf.div(mask!, sum!), tf.div(oneHot!, tf.add(label!, tf.sub(1, mask!))));
        return tf.mul(tf.mul(slope, perLogit), tf.reshape(dy, [-1, 1])) as tf.Tensor2D;
      },
    };
  })(logits) as tf.Tensor1D;
}

/** s(x); the argument of the reciprocal is kept at or above 1, so no branch overflows. */
export function stablemaxNumerator(x: tf.Tensor2D): tf.Tensor2D {
  return tf.add(tf.relu(x), tf.reciprocal(tf.sub(1, tf.minimum(x, 0))));
}

/** ds/dx: 1 for x >= 0, else 1 / (1 - x)^2. */
function stablemaxSlope(x: tf.Tensor2D): tf.Tensor2D {
  return tf.square(tf.reciprocal(tf.sub(1, tf.minimum(x, 0))));
}

/** log(s(x) / sum s): float32 [N, V]. */
export function logStablemax(x: tf.Tensor2D): tf.Tensor2D {
  const s = stablemaxNumerator(x);
  return tf.log(tf.div(s, tf.sum(s, -1, true)));
}
