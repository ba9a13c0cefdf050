import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../src/backend/select.ts";
import * as actLoss from "../../src/loss/act-loss.ts";
import { type AdamATan2State, adamATan2Rates } from "../../src/optim/adam-atan2.ts";
import { learningRate } from "../../src/optim/schedule.ts";
import { signSgd } from "../../src/optim/sign-sgd.ts";
import { targetsOf } from "../../src/train/targets.ts";
import { difference, Npz, readFixtureJson } from "./npz.ts";
import { ENGINE_UNDER_TEST } from "./small-model.ts";
import { adamATan2, emaUpdate, logStablemax, rowLosses, stablemaxCrossEntropy, underTest } from "./steps-under-test.ts";

before(() => startEngine(ENGINE_UNDER_TEST));

const floats = (tensor: tf.Tensor): Float32Array => tensor.dataSync() as Float32Array;

test("AdamATan2 follows the official optimizer over eight steps", () => {
  const golden = new Npz("optim");
  const { settings } = readFixtureJson("optim");
  const chosen = { beta1: settings.betas[0], beta2: settings.betas[1], weightDecay: settings.weight_decay ?? 0.1 };
  let state: AdamATan2State = { weights: tf.tensor1d(golden.floats("p0")), firstMoment: tf.zeros([64]), secondMoment: tf.zeros([64]) };
  const gradients = golden.floats("grads");
  const lrs: number[] = settings.lr_per_step;
  assert.deepEqual([...golden.floats("lrs")], lrs.map(Math.fround));
  for (let step = 1; step <= 8; step++) {
    const at = (name: string): Float32Array => golden.floats(name).subarray((step - 1) * 64, step * 64);
    state = adamATan2(
      state,
      tf.tensor1d(gradients.subarray((step - 1) * 64, step * 64)),
      adamATan2Rates(lrs[step - 1]!, step, chosen),
      chosen,
    );
    const p = difference(floats(state.weights), at("official_p")).max;
    assert.ok(p <= 5e-8, `step ${step}: p off by ${p}`);
    assert.ok(difference(floats(state.firstMoment), at("official_exp_avg")).max <= 1e-6);
    const v = floats(state.secondMoment);
    at("official_exp_avg_sq").forEach((expected, i) => {
      assert.ok(Math.abs(v[i]! - expected) <= 1e-6 * expected + 1e-30, `second moment ${i}`);
    });
    const other = difference(floats(state.weights), at("fork_p")).max;
    if (step === 8) assert.ok(other > 1e-5, "the other package's rule would be as close");
  }
  const table = golden.floats("sparse_w0").slice();
  signSgd({ row: (id) => table.subarray(id * 8, (id + 1) * 8) }, golden.ints("sparse_ids"), golden.floats("sparse_row_grads"), 1e-2, {
    weightDecay: 0.1,
  });
  assert.ok(difference(table, golden.floats("sparse_w1")).max <= 1e-7);
  let average = tf.tensor1d(golden.floats("ema_w0"));
  const sequence = golden.floats("ema_seq");
  for (let i = 0; i < 4; i++) average = emaUpdate(average, tf.tensor1d(sequence.subarray(i * 6, (i + 1) * 6)), 0.999);
  assert.ok(difference(floats(average), golden.floats("ema_shadow")).max <= 1e-7);
  assert.deepEqual(golden.unread, []);
});

test("the learning-rate schedule equals the official one", () => {
  const { schedule } = readFixtureJson("optim");
  assert.equal(schedule.length, 3);
  for (const s of schedule) {
    s.steps.forEach((step: number, i: number) => {
      const actual = learningRate(step, {
        base: s.base_lr,
        warmupSteps: s.num_warmup_steps,
        totalSteps: s.num_training_steps,
        minRatio: s.min_ratio,
      });
      assert.ok(Math.abs(actual - s.lr[i]) <= 1e-12 * Math.abs(s.lr[i]), `step ${step}: ${actual}, expected ${s.lr[i]}`);
    });
  }
});

test("the loss head gives the official losses, metrics and gradients", () => {
  const golden = new Npz("loss-head");
  const expected = readFixtureJson("loss-head");
  const [B, S, V] = [7, 20, 12];
  const logits = tf.tensor3d(golden.floats("logits"), [B, S, V]);
  const labels = golden.ints("labels");
  const qValues = golden.floats("q_halt_logits");
  const q = tf.tensor1d(qValues);
  const targets = targetsOf(labels, B, S);
  const flat = tf.reshape(logits, [B * S, V]) as tf.Tensor2D;
  const oneHot = tf.mul(tf.oneHot(tf.reshape(targets.labels, [B * S]), V), tf.reshape(targets.asked, [B * S, 1])) as tf.Tensor2D;
  assert.ok(difference(floats(logStablemax(flat)), golden.floats("log_stablemax")).max <= 1e-5);
  assert.ok(difference(floats(stablemaxCrossEntropy(flat, oneHot)), golden.floats("token_loss")).max <= 1e-5);
  const losses = rowLosses(logits, q, targets);
  const sum = (tensor: tf.Tensor): number => floats(tf.sum(tensor))[0]!;
  const gradients = underTest("gradients of the losses", (x: tf.Tensor3D, y: tf.Tensor1D, given: actLoss.Targets) => {
    const total = (l: tf.Tensor, m: tf.Tensor): tf.Scalar => {
      const { lmLoss, qHaltLoss } = actLoss.rowLosses(l as tf.Tensor3D, m as tf.Tensor1D, given);
      return tf.sum(tf.add(lmLoss, tf.mul(qHaltLoss, 0.5)));
    };
    return tf.grads(total)([x, y]);
  });
  const [gLogits, gQ] = gradients(logits, q, targets);
  assert.ok(difference(floats(gLogits!), golden.floats("grad_logits")).max <= 1e-6);
  assert.ok(difference(floats(gQ!), golden.floats("grad_q_halt_logits")).max <= 1e-6);
  const loss = sum(losses.lmLoss) + 0.5 * sum(losses.qHaltLoss);
  assert.ok(Math.abs(loss / expected.loss - 1) <= 1e-6, `loss ${loss}, expected ${expected.loss}`);
  const [halted, steps] = [golden.ints("halted"), golden.ints("steps")];
  const counted = Array.from({ length: B }, (_, r) => (halted[r] && labels.subarray(r * S, (r + 1) * S).some((l) => l !== -100) ? 1 : 0));
  const over = (values: ArrayLike<number>): number => counted.reduce<number>((sum, c, r) => sum + c * values[r]!, 0);
  const exact = floats(losses.exact);
  assert.deepEqual(
    [0, 1, 5, 4, 6].map((r) => exact[r]),
    [1, 1, 1, 1, 1],
  );
  assert.equal(over(new Array(B).fill(1)), expected.metrics.count);
  assert.ok(Math.abs(over(floats(losses.accuracy)) - expected.metrics.accuracy) <= 1e-6);
  assert.equal(over(exact), expected.metrics.exact_accuracy);
  assert.equal(over(Array.from(qValues, (v, r) => (v >= 0 === (exact[r] === 1) ? 1 : 0))), expected.metrics.q_halt_accuracy);
  assert.equal(over(steps), expected.metrics.steps);
  assert.equal(expected.all_halted, false);
  assert.ok(halted.some((h) => h === 0));
  assert.deepEqual(golden.unread, []);
});
