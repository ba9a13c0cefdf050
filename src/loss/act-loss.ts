/** The loss of one supervised pass, and the counts that go with it. */
import * as tf from "@tensorflow/tfjs-core";
import { stablemaxCrossEntropy } from "./stablemax.ts";

/** What the loss compares with, prepared on the host. */
export interface Targets {
  /** int32 [B, S]; 0 where nothing is asked */
  readonly labels: tf.Tensor2D;
  /** float32 [B, S]: 1 where a token is asked for */
  readonly asked: tf.Tensor2D;
  /** float32 [B]: 1 / max(number of tokens asked for, 1) */
  readonly perToken: tf.Tensor1D;
}

/** All float32 [B]; gradients flow into `lmLoss` and `qHaltLoss` only. */
export interface RowLosses {
  /** mean token loss of the row */
  readonly lmLoss: tf.Tensor1D;
  readonly qHaltLoss: tf.Tensor1D;
  /** share of the asked tokens that are right */
  readonly accuracy: tf.Tensor1D;
  /** 1 where every asked token is right (also where none is asked) */
  readonly exact: tf.Tensor1D;
}

/**
 * Weight of the halting loss in the sum.
 * Source: TRM models/losses.py `ACTLossHead`: lm_loss + 0.5 * q_halt_loss
 */
export const Q_LOSS_WEIGHT = 0.5;

/**
 * Losses row by row. The optimizer sees sum over rows of (lmLoss + 0.5 * qHaltLoss), divided by the global batch.
 *
 * Shapes  logits float32 [B, S, V]; qHaltLogits float32 [B]
 * Source  TRM models/losses.py `ACTLossHead.forward`
 */
export function rowLosses(logits: tf.Tensor3D, qHaltLogits: tf.Tensor1D, { labels, asked, perToken }: Targets): RowLosses {
  const [B, S, V] = logits.shape;
  const flat = tf.reshape(logits, [B * S, V]) as tf.Tensor2D;
  const mask = tf.reshape(asked, [B * S]);
  const oneHot = tf.mul(tf.oneHot(tf.reshape(labels, [B * S]), V), tf.reshape(mask, [B * S, 1])) as tf.Tensor2D;
  const perRow = (values: tf.Tensor): tf.Tensor1D => tf.mul(tf.sum(tf.reshape(values, [B, S]), -1), perToken);
  const right = tf.mul(tf.cast(tf.equal(tf.argMax(flat, -1), tf.reshape(labels, [B * S])), "float32"), mask);
  const wrong = tf.sum(tf.reshape(tf.sub(mask, right), [B, S]), -1);
  const exact = tf.cast(tf.equal(wrong, 0), "float32") as tf.Tensor1D;
  return {
    lmLoss: perRow(stablemaxCrossEntropy(flat, oneHot)),
    qHaltLoss: binaryCrossEntropy(qHaltLogits, exact),
    accuracy: perRow(right),
    exact,
  };
}

/** max(q, 0) - q * target + log(1 + exp(-|q|)); its gradient is sigmoid(q) - target. */
function binaryCrossEntropy(q: tf.Tensor1D, target: tf.Tensor1D): tf.Tensor1D {
  return tf.customGrad((input, save) => {
    const x = input as tf.Tensor1D;
    (save as tf.GradSaveFunc)([x, target]);
    return {
      value: tf.add(tf.sub(tf.relu(x), tf.mul(x, target)), tf.log1p(tf.exp(tf.neg(tf.abs(x))))),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(dy, tf.sub(tf.sigmoid(saved[0]!), saved[1]!)) as tf.Tensor1D,
    };
  })(q) as tf.Tensor1D;
}
