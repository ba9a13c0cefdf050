/** The gated feed-forward part of a block. */
import * as tf from "@tensorflow/tfjs-core";
import { linear } from "./linear.ts";
import { hasOwnKernel, ownKernel } from "./own-kernel.ts";
import type { BlockTensors } from "./parameters.ts";

/**
 * (silu(gate) * up) Wdown^T, with gate | up = x Wgateup^T.
 *
 * Shapes  x, result: float32 [N, D]; gateUp [2F, D]; down [D, F]
 * Source  TRM models/layers.py `SwiGLU`
 */
export function swiglu(x: tf.Tensor2D, block: BlockTensors): tf.Tensor2D {
  return linear(gate(linear(x, block.gateUp)), block.down);
}

/** silu(first half) * second half: float32 [N, 2F] -> [N, F]. */
export function gate(gateUp: tf.Tensor2D): tf.Tensor2D {
  return tf.customGrad((input, save) => {
    const x = input as tf.Tensor2D;
    const value = forward(x);
    (save as tf.GradSaveFunc)([x]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.tidy(() => backward(dy as tf.Tensor2D, saved[0] as tf.Tensor2D)),
    };
  })(gateUp) as tf.Tensor2D;
}

function halves(x: tf.Tensor2D): [tf.Tensor2D, tf.Tensor2D] {
  const [rows, width] = x.shape;
  return [tf.slice2d(x, [0, 0], [rows, width / 2]), tf.slice2d(x, [0, width / 2], [rows, width / 2])];
}

/**
 * (a | b). By a sum of padded halves, which XLA computes in one pass over memory; of a concatenation it first writes both
 * halves (a training step on an H100: 5 % slower).
 */
function side(a: tf.Tensor2D, b: tf.Tensor2D): tf.Tensor2D {
  const width = a.shape[1];
  const [before, behind] = [[0, 0] as [number, number], [width, 0] as [number, number]];
  return tf.add(tf.pad2d(a, [before, [0, width]]), tf.pad2d(b, [before, behind]));
}

/** The fused kernels step through each half by four. */
function fused(name: string, x: tf.Tensor2D): boolean {
  return x.shape[1] % 8 === 0 && hasOwnKernel(name);
}

function forward(x: tf.Tensor2D): tf.Tensor2D {
  if (fused("Gate", x)) return ownKernel("Gate", { x }, {})![0] as tf.Tensor2D;
  const [g, up] = halves(x);
  return tf.mul(tf.mul(g, tf.sigmoid(g)), up);
}

function backward(dy: tf.Tensor2D, x: tf.Tensor2D): tf.Tensor2D {
  if (fused("GateGrad", x)) return ownKernel("GateGrad", { dy, x }, {})![0] as tf.Tensor2D;
  const [g, up] = halves(x);
  const s = tf.sigmoid(g);
  const silu = tf.mul(g, s);
  const dSilu = tf.add(s, tf.mul(silu, tf.sub(1, s)));
  return side(tf.mul(tf.mul(dy, up), dSilu) as tf.Tensor2D, tf.mul(dy, silu) as tf.Tensor2D);
}
