import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import type { Targets } from "../../src/loss/act-loss.ts";
import { loraAssemble, loraLayout, mergeLora } from "../../src/model/lora.ts";
import { flattenParameters, type ParameterSpec, sliceParameters } from "../../src/model/parameters.ts";
import { type AdamATan2Settings, type AdamATan2State, adamATan2Rates } from "../../src/optim/adam-atan2.ts";
import { signSgd } from "../../src/optim/sign-sgd.ts";
import { type ActContext, type ActInputs, gradientStep, ROW_STATISTICS } from "../../src/train/act-step.ts";
import { targetsOf } from "../../src/train/targets.ts";
import { difference, Npz, readFixtureJson, relativeL2 } from "./npz.ts";
import { B, D, loadSmallModel, puzzleRows, S, type SmallModel, T } from "./small-model.ts";
import { adamATan2, readOut, underTest } from "./steps-under-test.ts";

const LORA = { rank: 1, alpha: 16 };
const ADAM: AdamATan2Settings = { beta1: 0.9, beta2: 0.95, weightDecay: 0.1, rule: "fork" };
const OFFICIAL = "model.inner.";

let model: SmallModel;
before(async () => {
  model = await loadSmallModel();
});

const floats = (tensor: tf.Tensor): Float32Array => tensor.dataSync() as Float32Array;

/** Gradients of the adapters, the trunk's own weights fixed. */
const loraGradientStep = underTest(
  "gradient step of the adapters",
  (
    context: ActContext,
    trunk: readonly tf.Tensor[],
    adapters: readonly tf.Tensor[],
    inputs: ActInputs,
    targets: Targets,
    layout: readonly ParameterSpec[],
  ) => gradientStep(context, adapters, inputs, targets, 1 / B, false, loraAssemble(trunk, layout, LORA)),
);

test("a training step of the fork's LoRA: logits, losses, gradients, adapters and puzzle rows agree", () => {
  const golden = new Npz("lora-small");
  const expected = readFixtureJson("lora-small");
  const layout = loraLayout(model.layout, LORA);
  assert.deepEqual(
    layout.map(({ name }) => OFFICIAL + name),
    expected.trainable,
  );
  assert.deepEqual([expected.lora_rank, expected.lora_alpha], [LORA.rank, LORA.alpha]);
  const embedding = model.layout[0]!;
  const named = new Map(
    layout.map(({ name, shape }) => {
      if (name === embedding.name) return [name, { data: model.flat.subarray(0, embedding.size) }];
      const { shape: officialShape } = golden.get(`start/${OFFICIAL}${name}`);
      assert.deepEqual(shape, officialShape, name);
      return [name, { data: golden.floats(`start/${OFFICIAL}${name}`) }];
    }),
  );
  const flat = flattenParameters(named, layout);
  const trainable = sliceParameters(tf.tensor1d(flat), layout);
  const assemble = loraAssemble(model.leaves, model.layout, LORA);

  const batch = new Npz("train-small");
  const ids = batch.ints("step1_batch_puzzle_identifiers");
  const labels = batch.ints("step1_batch_labels");
  const result = loraGradientStep(
    model.context,
    model.leaves,
    trainable,
    {
      tokens: tf.tensor2d(batch.ints("step1_batch_inputs"), [B, S], "int32"),
      puzzleRows: puzzleRows(model.puzzleTable, ids),
      fresh: tf.ones([B, 1]),
      latents: { zH: tf.zeros([B * T, D]), zL: tf.zeros([B * T, D]) },
    },
    targetsOf(labels, B, S),
    model.layout,
  );

  const rows = floats(result.rows);
  const at = (r: number, column: number): number => rows[r * (ROW_STATISTICS + D) + column]!;
  const column = (c: number): number[] => Array.from({ length: B }, (_, r) => at(r, c));
  const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);
  const { logits } = readOut(model.context, assemble(trainable) as tf.Tensor[], result.zH, B);
  const logitsOff = difference(floats(logits), golden.floats("logits")).max;
  assert.ok(logitsOff <= 2e-3, `logits off by ${logitsOff}`);
  const qOff = difference(column(4), golden.floats("q_halt_logits")).max;
  assert.ok(qOff <= 2e-5, `q off by ${qOff}`);
  const loss = sum(column(0)) + 0.5 * sum(column(1));
  assert.ok(Math.abs(loss / expected.loss - 1) <= 1e-6, `loss ${loss}, expected ${expected.loss}`);
  assert.ok(Math.abs(sum(column(0)) / expected.metrics.lm_loss - 1) <= 1e-6);
  assert.ok(Math.abs(sum(column(1)) / expected.metrics.q_halt_loss - 1) <= 1e-6);
  const halted = column(4).map((q) => (q > 0 ? 1 : 0));
  assert.equal(sum(halted), expected.metrics.count);
  assert.equal(expected.metrics.steps, 1);
  assert.ok(Math.abs(sum(column(2).map((a, r) => a * halted[r]!)) - expected.metrics.accuracy) <= 1e-6);
  assert.equal(sum(column(3).map((e, r) => e * halted[r]!)), expected.metrics.exact_accuracy);
  assert.equal(sum(column(3).map((e, r) => halted[r]! * Number(at(r, 4) >= 0 === (e === 1)))), expected.metrics.q_halt_accuracy);

  const gradient = floats(result.trunkGradient);
  const weights = tf.tensor1d(flat);
  const state: AdamATan2State = { weights, firstMoment: tf.zerosLike(weights), secondMoment: tf.zerosLike(weights) };
  const after = floats(adamATan2(state, result.trunkGradient, adamATan2Rates(1e-4, 1, ADAM), ADAM).weights);
  for (const { name, offset, size } of layout) {
    const off = relativeL2(gradient.subarray(offset, offset + size), golden.floats(`grad/${OFFICIAL}${name}`));
    assert.ok(off <= 1e-4, `gradient of ${name}: relative ${off}`);
    const moved = difference(after.subarray(offset, offset + size), golden.floats(`after/${OFFICIAL}${name}`)).max;
    assert.ok(moved <= 1e-6, `${name} after the step off by ${moved}`);
  }

  const rowGradients = new Float32Array(B * D);
  for (let r = 0; r < B; r++) for (let i = 0; i < D; i++) rowGradients[r * D + i] = at(r, ROW_STATISTICS + i);
  const rowsOff = relativeL2(rowGradients, golden.floats("grad/puzzle_emb.local_weights"));
  assert.ok(rowsOff <= 1e-4, `puzzle rows' gradient: relative ${rowsOff}`);
  const table = model.puzzleTable.slice();
  signSgd({ row: (id) => table.subarray(id * D, (id + 1) * D) }, ids, rowGradients, 1e-2, { weightDecay: 0.1 });
  const others = Array.from(golden.floats("after/puzzle_emb.weights"), (v, i) => Math.abs(v - table[i]!)).filter((d) => d > 1e-6);
  assert.ok(others.length <= 1 && others.every((d) => d <= 0.0201), `${others.length} entries of the puzzle rows differ`);
  assert.deepEqual(golden.unread, []);
});

test("the fork's optimizer follows its official steps", () => {
  const golden = new Npz("optim");
  const lrs: number[] = readFixtureJson("optim").settings.lr_per_step;
  const gradients = golden.floats("grads");
  let state: AdamATan2State = { weights: tf.tensor1d(golden.floats("p0")), firstMoment: tf.zeros([64]), secondMoment: tf.zeros([64]) };
  for (let step = 1; step <= 8; step++) {
    const at = (values: Float32Array): Float32Array => values.subarray((step - 1) * 64, step * 64);
    state = adamATan2(state, tf.tensor1d(at(gradients)), adamATan2Rates(lrs[step - 1]!, step, ADAM), ADAM);
    const off = difference(floats(state.weights), at(golden.floats("fork_p"))).max;
    assert.ok(off <= 5e-8, `step ${step} off by ${off}`);
  }
});

test("merging adapters into the weights gives the model that was trained", () => {
  const golden = new Npz("lora-small");
  const layout = loraLayout(model.layout, LORA);
  const embedding = model.layout[0]!;
  const adapters = new Float32Array(layout.at(-1)!.offset + layout.at(-1)!.size);
  for (const { name, offset } of layout) {
    adapters.set(name === embedding.name ? model.flat.subarray(0, embedding.size) : golden.floats(`start/${OFFICIAL}${name}`), offset);
  }
  const merged = mergeLora(model.flat, adapters, model.layout, LORA);
  const assembled = loraAssemble(model.leaves, model.layout, LORA)(sliceParameters(tf.tensor1d(adapters), layout));
  assembled.forEach((leaf, i) => {
    const { name, offset, size } = model.layout[i]!;
    assert.ok(difference(merged.subarray(offset, offset + size), floats(leaf)).max <= 1e-6, name);
  });
  assert.ok(difference(merged, model.flat).max > 1e-3);
});
