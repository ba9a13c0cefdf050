/** AdamATan2: Adam whose quotient is an arctangent, so that no epsilon is needed. */
import * as tf from "@tensorflow/tfjs-core";

export interface AdamATan2Settings {
  readonly beta1: number;
  readonly beta2: number;
  /** decoupled: parameters shrink by lr * weightDecay each step */
  readonly weightDecay: number;
  /**
   * Whose update. `official` (the default): package adam-atan2, which TRM's code uses. `fork`: package adam-atan2-pytorch,
   * used by the fork with LoRA: the first moment's correction stands inside the arctangent, and the whole counts 1.27 times.
   */
  readonly rule?: "official" | "fork";
}

/** Factor of the fork's update. Source: adam-atan2-pytorch 0.4.1, `a` */
const FORK_SCALE = 1.27;

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
  /** lr / (1 - beta1^t); by the fork's rule 1.27 lr */
  readonly stepSize: number | tf.Scalar;
  /** 1 - beta1^t, by the fork's rule alone */
  readonly firstScale?: number | tf.Scalar;
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
  { beta1, beta2, weightDecay, rule }: AdamATan2Settings,
): { [Rate in keyof AdamATan2Rates]: number } {
  const decay = 1 - lr * weightDecay;
  const firstScale = 1 - beta1 ** t;
  const secondScale = Math.sqrt(1 - beta2 ** t);
  return rule === "fork"
    ? { decay, stepSize: FORK_SCALE * lr, firstScale, secondScale }
    : { decay, stepSize: lr / firstScale, secondScale };
}

/**
 * One update: p *= 1 - lr*wd; m += (1-b1)(g-m); v += (1-b2)(g*g-v); p -= lr/(1-b1^t) * atan2(m, sqrt(v)/sqrt(1-b2^t)).
 * By the fork's rule the last is p -= 1.27*lr * atan2(m/(1-b1^t), sqrt(v)/sqrt(1-b2^t)).
 *
 * Owns    the returned tensors; the given ones stay alive
 * Source  adam-atan2 0.0.3 (official), adam-atan2-pytorch 0.4.1 (fork)
 */
export function adamATan2(
  { weights, firstMoment, secondMoment }: AdamATan2State,
  gradient: tf.Tensor1D,
  { decay, stepSize, firstScale, secondScale }: AdamATan2Rates,
  { beta1, beta2 }: AdamATan2Settings,
): AdamATan2State {
  return tf.tidy(() => {
    const m: tf.Tensor1D = tf.add(firstMoment, tf.mul(tf.sub(gradient, firstMoment), 1 - beta1));
    const v: tf.Tensor1D = tf.add(secondMoment, tf.mul(tf.sub(tf.square(gradient), secondMoment), 1 - beta2));
    const direction = tf.atan2(firstScale === undefined ? m : tf.div(m, firstScale), tf.div(tf.sqrt(v), secondScale));
    const p: tf.Tensor1D = tf.sub(tf.mul(weights, decay), tf.mul(direction, stepSize));
    return { weights: p, firstMoment: m, secondMoment: v };
  });
}
