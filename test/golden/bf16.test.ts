import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { evaluationStep, readOut } from "../../src/train/act-step.ts";
import { difference, Npz, readFixtureJson } from "./npz.ts";
import { B, D, loadSmallModel, puzzleRows, S, type SmallModel, T, V } from "./small-model.ts";

/** Limits of the fixtures' README, section 3, for bfloat16: rows 0..4, by ACT step. */
const FLIPS = [15, 30, 50, 75];
const LOGITS_MEAN = [0.15, 0.4, 0.8, 1.2];
const Q_MAX = [0.15, 0.15, 0.3, 0.5];
const Z_MEAN = 0.04;
/** Rows with a sample; row 5 fills the batch up. */
const ROWS = 5;

let model: SmallModel;
before(async () => {
  model = await loadSmallModel();
});

const values = (tensor: tf.Tensor): Float32Array => tensor.dataSync() as Float32Array;

test("our float32 forward pass lies within bfloat16's limits of the official bfloat16 pass", () => {
  const inputs = new Npz("model-small");
  const golden = new Npz("model-small-bf16");
  const side = readFixtureJson("model-small-bf16");
  assert.deepEqual(Object.keys(side.arrays).sort(), [...golden.names].sort());
  let latents = { zH: tf.zeros([B * T, D]) as tf.Tensor2D, zL: tf.zeros([B * T, D]) as tf.Tensor2D };
  for (let step = 1; step <= 4; step++) {
    const next = evaluationStep(model.context, model.leaves, {
      tokens: tf.tensor2d(inputs.ints("inputs"), [B, S], "int32"),
      puzzleRows: puzzleRows(model.puzzleTable, inputs.ints("puzzle_identifiers")),
      fresh: step === 1 ? tf.ones([B, 1]) : tf.zeros([B, 1]),
      latents,
    });
    const { logits, q } = readOut(model.context, model.leaves, next.zH, B);
    const compare = (actual: Float32Array, name: string, width: number): { max: number; mean: number } => {
      const expected = golden.floats(`step${step}_${name}`);
      assert.equal(actual.length, expected.length, name);
      return difference(actual.subarray(0, ROWS * width), expected.subarray(0, ROWS * width));
    };
    const { mean } = compare(values(logits), "logits", S * V);
    assert.ok(mean <= LOGITS_MEAN[step - 1]!, `step ${step}: logits off by ${mean} on average`);
    const { max } = compare(values(tf.slice2d(q, [0, 0], [B, 1])), "q_halt_logits", 1);
    assert.ok(max <= Q_MAX[step - 1]!, `step ${step}: q off by ${max}`);
    const predictions = values(tf.argMax(logits, -1));
    const expected = golden.ints(`step${step}_preds`);
    const flips = predictions.subarray(0, ROWS * S).filter((token, i) => token !== expected[i]).length;
    assert.ok(flips <= FLIPS[step - 1]!, `step ${step}: ${flips} other tokens`);
    if (step === 1) {
      const off = compare(values(next.zH), "z_H", T * D).mean;
      assert.ok(off <= Z_MEAN, `zH off by ${off} on average`);
    }
    latents = next;
  }
  assert.deepEqual(golden.unread, []);
});
