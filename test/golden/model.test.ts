import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { nameParameters } from "../../src/model/parameters.ts";
import { attentionShape } from "../../src/model/trm.ts";
import { targetsOf } from "../../src/train/targets.ts";
import { difference, Npz, readFixtureJson } from "./npz.ts";
import { B, D, loadSmallModel, puzzleRows, S, SMALL_CONFIG, type SmallModel, T, V } from "./small-model.ts";
import { attention, block, evaluationStep, inputEmbeddings, readOut, rowLosses, swiglu } from "./steps-under-test.ts";

let model: SmallModel;
let golden: Npz;
before(async () => {
  model = await loadSmallModel();
  golden = new Npz("model-small");
});

const values = (tensor: tf.Tensor): Float32Array => tensor.dataSync() as Float32Array;
const near = (actual: ArrayLike<number>, expected: ArrayLike<number>, max: number, mean = Number.POSITIVE_INFINITY, what = ""): void => {
  const d = difference(actual, expected);
  assert.ok(d.max <= max && d.mean <= mean, `${what}: max ${d.max} (limit ${max}), mean ${d.mean} (limit ${mean})`);
};

test("rotary tables equal the official ones", () => {
  near(values(model.context.rotary.cos), golden.floats("rope_cos"), 1e-5);
  near(values(model.context.rotary.sin), golden.floats("rope_sin"), 1e-5);
});

test("the input embedding puts the scaled puzzle row before the tokens", () => {
  const tokens = tf.tensor2d(golden.ints("inputs"), [B, S], "int32");
  const rows = puzzleRows(model.puzzleTable, golden.ints("puzzle_identifiers"));
  const x = inputEmbeddings(SMALL_CONFIG, nameParameters(model.leaves), { tokens, puzzleRows: rows });
  near(values(x), golden.floats("input_embeddings"), 1e-6);
});

test("attention, SwiGLU and the whole block equal the official layers", () => {
  const weights = nameParameters(model.leaves).blocks[0]!;
  const shape = attentionShape(SMALL_CONFIG, 2, S);
  const x = tf.tensor2d(golden.floats("block0_in"), [2 * T, D]);
  near(values(attention(x, weights, shape, model.context.rotary)), golden.floats("block0_attn_out"), 1e-5, undefined, "attention");
  near(values(swiglu(x, weights)), golden.floats("block0_mlp_out"), 1e-5, undefined, "swiglu");
  near(
    values(block(x, weights, shape, model.context.rotary, SMALL_CONFIG.rmsNormEps)),
    golden.floats("block0_out"),
    1e-5,
    undefined,
    "block",
  );
});

test("four ACT steps in evaluation give the official states, logits, halting logits and losses", () => {
  const f64 = new Npz("model-small-f64");
  const perStep = readFixtureJson("model-small").eval_loss_and_metrics_per_step;
  const ids = golden.ints("puzzle_identifiers");
  const labels = golden.ints("labels");
  const targets = targetsOf(labels, B, S);
  let latents = { zH: tf.zeros([B * T, D]) as tf.Tensor2D, zL: tf.zeros([B * T, D]) as tf.Tensor2D };
  for (let step = 1; step <= 4; step++) {
    const at = step - 1;
    const next = evaluationStep(model.context, model.leaves, {
      tokens: tf.tensor2d(golden.ints("inputs"), [B, S], "int32"),
      puzzleRows: puzzleRows(model.puzzleTable, ids),
      fresh: step === 1 ? tf.ones([B, 1]) : tf.zeros([B, 1]),
      latents,
    });
    const { logits, q } = readOut(model.context, model.leaves, next.zH, B);
    const actual = values(logits);
    const halt = values(tf.slice2d(q, [0, 0], [B, 1]));
    for (const [reference, name] of [
      [golden, "float32"],
      [f64, "float64"],
    ] as const) {
      const expected = reference.floats(`step${step}_logits`);
      near(actual, expected, [5e-4, 2.5e-2, 0.1, 0.8][at]!, [2e-5, 1e-4, 6e-4, 5e-3][at]!, `${name} logits, step ${step}`);
      const row = (r: number): [Float32Array, Float32Array] => [
        actual.subarray(r * S * V, (r + 1) * S * V),
        expected.subarray(r * S * V, (r + 1) * S * V),
      ];
      near(...row(1), 5e-5, undefined, `${name} logits of row 1, step ${step}`);
      for (const r of [0, 3, 4]) near(...row(r), 5e-3, undefined, `${name} logits of row ${r}, step ${step}`);
      near(...row(5), 0.1, undefined, `${name} logits of the padding row, step ${step}`);
      near(halt, reference.floats(`step${step}_q_halt_logits`), [1e-5, 5e-5, 2e-4, 3e-3][at]!, undefined, `${name} q, step ${step}`);
    }
    near(values(tf.slice2d(q, [0, 1], [B, 1])), golden.floats(`step${step}_q_continue_logits`), 1e-5, undefined, "q continue");
    const predictions = values(tf.argMax(logits, -1)).subarray(0, 5 * S);
    const flips = predictions.reduce((sum, token, i) => sum + (token === golden.ints(`step${step}_preds`)[i] ? 0 : 1), 0);
    assert.ok(flips <= (step < 3 ? 0 : 2), `${flips} other tokens in step ${step}`);
    golden.ints(`step${step}_preds`);
    if (step === 1) {
      near(values(next.zH), golden.floats("step1_z_H"), 5e-4, 5e-6, "zH");
      near(values(next.zL), golden.floats("step1_z_L"), 5e-4, 5e-6, "zL");
    }
    if (step === 4) near(values(next.zH), golden.floats("step4_z_H"), 0.15, 1e-3, "zH");
    const losses = rowLosses(logits, tf.reshape(tf.slice2d(q, [0, 0], [B, 1]), [B]) as tf.Tensor1D, targets);
    const lm = values(tf.sum(losses.lmLoss))[0]!;
    const qLoss = values(tf.sum(losses.qHaltLoss))[0]!;
    const expected = perStep[at].metrics;
    assert.ok(Math.abs(lm / expected.lm_loss - 1) <= [2e-6, 1e-5, 5e-5, 5e-4][at]!, `lm_loss ${lm}, expected ${expected.lm_loss}`);
    assert.ok(
      Math.abs(qLoss - expected.q_halt_loss) <= [1e-5, 3e-5, 1e-4, 1e-3][at]!,
      `q_halt_loss ${qLoss}, expected ${expected.q_halt_loss}`,
    );
    latents = next;
  }
  assert.deepEqual(f64.unread, []);
});

test("every array of the fixture was compared", () => {
  assert.deepEqual(golden.unread, []);
});
