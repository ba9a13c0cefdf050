import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../../src/backend/select.ts";
import { block, type Recompute } from "../../../src/model/block.ts";
import { initTrunk } from "../../../src/model/init.ts";
import { nameParameters, parameterLayout, sliceParameters } from "../../../src/model/parameters.ts";
import { recomputed } from "../../../src/model/recompute.ts";
import { rotaryTables } from "../../../src/model/rotary.ts";
import { createRandom } from "../../../src/random.ts";
import { TINY } from "../train/tiny-replica.ts";

before(() => startEngine("wasm"));

const D = TINY.hiddenSize;
const SHAPE = { batch: 1, positions: 400, heads: TINY.numHeads, headSize: D / TINY.numHeads };

/** Gradients of six blocks, one behind the other, by their input and their four matrices; and the most bytes that tensors took. */
async function sixBlocks(recompute: Recompute | undefined): Promise<{ gradients: number[][]; peakBytes: number }> {
  const trunk = nameParameters(sliceParameters(tf.tensor1d(initTrunk(TINY, createRandom("blocks")).weights), parameterLayout(TINY)));
  const { qkv, attentionOut, gateUp, down } = trunk.blocks[0]!;
  const tables = rotaryTables(
    Array.from({ length: SHAPE.positions }, (_, i) => i),
    SHAPE.headSize,
    TINY.ropeTheta,
  );
  const x = tf.randomNormal([SHAPE.positions, D], 0, 1, "float32", 1) as tf.Tensor2D;
  const weight = tf.randomNormal([SHAPE.positions, D], 0, 1, "float32", 2);
  const chain = (input: tf.Tensor, ...matrices: tf.Tensor[]): tf.Tensor => {
    const [q, o, g, d] = matrices as tf.Tensor2D[];
    let h = input as tf.Tensor2D;
    for (let i = 0; i < 6; i++)
      h = block(h, { qkv: q!, attentionOut: o!, gateUp: g!, down: d! }, SHAPE, tables, TINY.rmsNormEps, recompute);
    return tf.sum(tf.mul(h, weight));
  };
  let gradients: tf.Tensor[] = [];
  const { peakBytes } = await tf.profile(() => {
    gradients = tf.grads(chain)([x, qkv, attentionOut, gateUp, down]);
  });
  const numbers = gradients.map((gradient) => [...gradient.dataSync()]);
  tf.dispose(gradients);
  return { gradients: numbers, peakBytes };
}

test("blocks that are computed again for their gradient have the same gradient, bit for bit, and take less than half of the memory", async () => {
  const kept = await sixBlocks(undefined);
  const again = await sixBlocks({ learned: true });
  assert.ok(kept.gradients.length === 5 && kept.gradients.every((gradient) => gradient.some((g) => Math.abs(g) > 0.01)));
  assert.deepEqual(again.gradients, kept.gradients);
  assert.ok(again.peakBytes < kept.peakBytes / 2, `${again.peakBytes} bytes instead of ${kept.peakBytes}`);
});

test("a function is computed once forward and once more for its gradient, which leaves no tensor behind", () => {
  let calls = 0;
  const square = (x: tf.Tensor2D, scale?: tf.Tensor2D): tf.Tensor2D => {
    calls++;
    return tf.mul(tf.square(x), scale ?? 3);
  };
  const [x, two] = [tf.tensor2d([[1, -2]]), tf.tensor2d([[2, 2]])];
  const before = tf.memory().numTensors;
  const [dx, dTwo] = tf.grads((...inputs) => recomputed(square, inputs[0] as tf.Tensor2D, inputs.slice(1) as tf.Tensor2D[]))([x, two]);
  assert.equal(calls, 2);
  assert.deepEqual([...dx!.dataSync(), ...dTwo!.dataSync()], [4, -8, 1, 4]);
  const alone = tf.grad((input) => recomputed(square, input as tf.Tensor2D, []))(x);
  assert.deepEqual([...alone.dataSync()], [6, -12]);
  tf.dispose([dx!, dTwo!, alone]);
  assert.equal(tf.memory().numTensors, before);
});
