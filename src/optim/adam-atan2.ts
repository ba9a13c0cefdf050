/** AdamATan2: Adam whose quotient is an arctangent, so that no epsilon is needed. */
import * as tf from "@tensorflow/tfjs-core";

export interface AdamATan2Settings {
  readonly beta1: number;
  readonly beta2: number;
  /** decoupled: parameters shrink by lr * weightDecay each step */
  readonly weightDecay: number;
}

/** Source: TRM config/cfg_pretrain.yaml */
export const ADAM_ATAN2_DEFAULTS: AdamATan2Settings = { beta1: 0.9, beta2: 0.95, weightDecay: 0.1 };

/** Parameters and their moments: float32 [N] each. */
export type AdamATan2State = {
  readonly weights: tf.Tensor1D;
  readonly firstMoment: tf.Tensor1D;
  readonly secondMoment: tf.Tensor1D;
};

/** What changes from step to step, as scalars so that a compiled step takes them as inputs. */
export interface AdamATan2Rates {
  /** 1 - lr * weightDecay */
  readonly decay: number | tf.Scalar;
  /** lr / (1 - beta1^t) */
  readonly stepSize: number | tf.Scalar;
  /** sqrt(1 - beta2^t) */
  readonly secondScale: number | tf.Scalar;
}

/**
 * Rates of step t.
 *
 * @param lr  learning rate of this step
 * @param t   1 for the first step
 */
export function adamATan2Rates(
  lr: number,
  t: number,
  { beta1, beta2, weightDecay }: AdamATan2Settings,
): Record<keyof AdamATan2Rates, number> {
  return { decay: 1 - lr * weightDecay, stepSize: lr / (1 - beta1 ** t), secondScale: Math.sqrt(1 - beta2 ** t) };
}

/**
 * One update: p *= 1 - lr*wd; m += (1-b1)(g-m); v += (1-b2)(g*g-v); p -= lr/(1-b1^t) * atan2(m, sqrt(v)/sqrt(1-b2^t)).
 *
 * Owns    the returned tensors; the given ones stay alive
 * Source  adam-atan2 0.0.3 (the package that the official code uses), not adam-atan2-pytorch, which differs by a factor 1.27
 */
export function adamATan2(
  { weights, firstMoment, secondMoment }: AdamATan2State,
  gradient: tf.Tensor1D,
  { decay, stepSize, secondScale }: AdamATan2Rates,
  { beta1, beta2 }: AdamATan2Settings,
): AdamATan2State {
  return tf.tidy(() => {
    const m: tf.Tensor1D = tf.add(firstMoment, tf.mul(tf.sub(gradient, firstMoment), 1 - beta1));
    const v: tf.Tensor1D = tf.add(secondMoment, tf.mul(tf.sub(tf.square(gradient), secondMoment), 1 - beta2));
    const direction = tf.atan2(m, tf.div(tf.sqrt(v), secondScale));
    const p: tf.Tensor1D = tf.sub(tf.mul(weights, decay), tf.mul(direction, stepSize));
    return { weights: p, firstMoment: m, secondMoment: v };
  });
}
