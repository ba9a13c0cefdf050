import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../../src/backend/select.ts";
import { attend } from "../../../src/model/attention.ts";
import { rotaryTables } from "../../../src/model/rotary.ts";
import { attentionCall, FUSED_ATTEND, FUSED_ATTEND_GRAD } from "../../../src/trace/fused-attention.ts";
import { ruleOf } from "../../../src/trace/shapes.ts";
import { relativeL2 } from "../../golden/npz.ts";

before(() => startEngine("wasm"));

const SHAPE = { batch: 2, positions: 5, heads: 3, headSize: 8 };
const toHeads = (x: tf.Tensor): tf.Tensor => tf.transpose(x, [0, 2, 1, 3]);

/** What cuDNN computes, from [B, T, heads, size] to [B, heads, T, size]. */
function scores(q: tf.Tensor, k: tf.Tensor): tf.Tensor {
  return tf.mul(tf.matMul(toHeads(q), toHeads(k), false, true), 1 / Math.sqrt(SHAPE.headSize));
}

/** Its kernels composed, in the engine that runs, until the function returns. */
function withFusedKernels<R>(work: () => R): R {
  const backendName = tf.getBackend();
  tf.registerKernel({
    kernelName: FUSED_ATTEND,
    backendName,
    kernelFunc: ({ inputs }) => {
      const { q, k, v } = inputs as Record<string, tf.Tensor>;
      const s = scores(q!, k!);
      return [tf.matMul(tf.softmax(s), toHeads(v!)), tf.logSumExp(s, -1)];
    },
  });
  tf.registerKernel({
    kernelName: FUSED_ATTEND_GRAD,
    backendName,
    kernelFunc: ({ inputs }) => {
      const { q, k, v, statistics, dOut, out } = inputs as Record<string, tf.Tensor>;
      const weights = tf.exp(tf.sub(scores(q!, k!), tf.expandDims(statistics!, -1)));
      const along = toHeads(tf.sum(tf.mul(dOut!, out!), -1, true));
      const dScores = tf.mul(weights, tf.sub(tf.matMul(toHeads(dOut!), toHeads(v!), false, true), along));
      const scaled = tf.mul(dScores, 1 / Math.sqrt(SHAPE.headSize));
      return [tf.matMul(scaled, toHeads(k!)), tf.matMul(scaled, toHeads(q!), true, false), tf.matMul(weights, toHeads(dOut!), true, false)];
    },
  });
  try {
    return work();
  } finally {
    for (const name of [FUSED_ATTEND, FUSED_ATTEND_GRAD]) tf.unregisterKernel(name, backendName);
  }
}

test("attention by fused kernels is attention, and so is its gradient", () => {
  const { batch, positions, heads, headSize } = SHAPE;
  const width = heads * headSize;
  const rotary = rotaryTables(
    Int32Array.from({ length: positions }, (_, i) => i),
    headSize,
    100,
  );
  const qkv = tf.randomNormal([batch * positions, 3 * width], 0, 1, "float32", 3) as tf.Tensor2D;
  const dy = tf.randomNormal([batch * positions, width], 0, 1, "float32", 4);
  const both = (): tf.Tensor[] => [attend(qkv, SHAPE, rotary), tf.grad((x) => attend(x as tf.Tensor2D, SHAPE, rotary))(qkv, dy)];
  const usual = both();
  withFusedKernels(both).forEach((result, i) => {
    assert.deepEqual(result.shape, usual[i]!.shape);
    const off = relativeL2(result.dataSync(), usual[i]!.dataSync());
    assert.ok(off < 1e-5, `result ${i} off by ${off}`);
  });
});

test("XLA's call has the operation's results, and its products have sizes that agree", () => {
  const q = { dtype: "float32", shape: [2, 5, 3, 8] } as const;
  const byPosition = [2, 5, 3, 8];
  const square = [2, 3, 5, 5];
  for (const op of [FUSED_ATTEND, FUSED_ATTEND_GRAD]) {
    const { attributes, results } = attentionCall({ op }, q);
    const own = ruleOf(op).types([q], {});
    assert.deepEqual(
      results.slice(0, -1).map(({ shape }) => shape),
      own.map(({ shape }) => shape),
    );
    const { cudnn_fmha_backend_config: config } = JSON.parse((attributes.backend_config as { text: string }).text);
    assert.deepEqual(config.intermediate_tensor_shape.dimensions, square.map(String));
    assert.equal(config.fmha_scale, 1 / Math.sqrt(8));
    const backwards = op === FUSED_ATTEND_GRAD;
    const products: Record<string, [number[], number[], number[]]> = backwards
      ? {
          bmm1_grad_gemm1: [square, byPosition, [5, 8]],
          bmm1_grad_gemm2: [square, byPosition, [5, 8]],
          bmm2_grad_gemm1: [square, byPosition, [5, 8]],
          bmm2_grad_gemm2: [byPosition, byPosition, [5, 5]],
        }
      : { bmm1: [byPosition, byPosition, [5, 5]], bmm2: [square, byPosition, [5, 8]] };
    for (const [name, [left, right, expected]] of Object.entries(products)) {
      const numbers = config[`${name}_dot_dimension_numbers`];
      const side = (shape: number[], prefix: string): { contracted: number; batch: number[]; free: number[] } => {
        const [contracted] = numbers[`${prefix}_contracting_dimensions`].map(Number) as [number];
        const batch = numbers[`${prefix}_batch_dimensions`].map(Number) as number[];
        const free = shape.filter((_, axis) => axis !== contracted && !batch.includes(axis));
        return { contracted: shape[contracted]!, batch: batch.map((axis) => shape[axis]!), free };
      };
      const [l, r] = [side(left, "lhs"), side(right, "rhs")];
      assert.deepEqual([l.contracted, l.batch, r.batch, [...l.free, ...r.free]], [r.contracted, [2, 3], [2, 3], expected], name);
    }
  }
});
