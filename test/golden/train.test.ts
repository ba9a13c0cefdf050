import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { RowCarry } from "../../src/model/carry.ts";
import { sliceParameters } from "../../src/model/parameters.ts";
import { ADAM_ATAN2_DEFAULTS, type AdamATan2State, adamATan2Rates } from "../../src/optim/adam-atan2.ts";
import { signSgd } from "../../src/optim/sign-sgd.ts";
import * as actStep from "../../src/train/act-step.ts";
import { targetsOf } from "../../src/train/targets.ts";
import { difference, Npz, readFixtureJson, relativeL2 } from "./npz.ts";
import { B, D, loadSmallModel, PREFIX, puzzleRows, S, SMALL_CONFIG, type SmallModel, T } from "./small-model.ts";
import { adamATan2, COMPILED_FOR, compiledFor, emaUpdate, gradientStep } from "./steps-under-test.ts";

const LR = 1e-4;
const PUZZLE_LR = 1e-2;
const RULE = { haltMaxSteps: SMALL_CONFIG.haltMaxSteps, explorationProbability: 0 };

let model: SmallModel;
before(async () => {
  model = await loadSmallModel();
});

const floats = (tensor: tf.Tensor): Float32Array => tensor.dataSync() as Float32Array;

function tableOf(weights: Float32Array): { row(id: number): Float32Array } {
  return { row: (id) => weights.subarray(id * D, (id + 1) * D) };
}

function exampleOf(fixture: Npz, step: number): (row: number) => { inputs: Int32Array; labels: Int32Array; puzzleId: number } {
  const batches = new Npz("train-small");
  const source = step > 0 ? batches : fixture;
  const inputs = source.ints(`step${step}_batch_inputs`);
  const labels = source.ints(`step${step}_batch_labels`);
  const ids = source.ints(`step${step}_batch_puzzle_identifiers`);
  return (row) => ({ inputs: inputs.slice(row * S, (row + 1) * S), labels: labels.slice(row * S, (row + 1) * S), puzzleId: ids[row]! });
}

/** What one run of the six official steps gives, ours. */
interface Trace {
  carrySteps: Int32Array;
  carryHalted: Uint8Array;
  usedLabels: Int32Array;
  usedIds: Int32Array;
  q: Float32Array;
  rowGradients: Float32Array;
  table: Float32Array;
  lmLoss: number;
  qHaltLoss: number;
  accuracy: number;
  exact: number;
  qAccuracy: number;
  stepsSum: number;
  count: number;
  gradient: Float32Array;
  weights: Float32Array;
  ema: Float32Array;
  zH: Float32Array;
  zL: Float32Array;
}

function runSixSteps(frozen: boolean, golden: Npz, recompute = false, gradientOf = gradientStep): Trace[] {
  const table = model.puzzleTable.slice();
  const carry = new RowCarry(B, S);
  const start = tf.tensor1d(model.flat);
  let state: AdamATan2State = { weights: start, firstMoment: tf.zerosLike(start), secondMoment: tf.zerosLike(start) };
  let ema: tf.Tensor1D = tf.clone(start);
  let latents = { zH: tf.zeros([B * T, D]) as tf.Tensor2D, zL: tf.zeros([B * T, D]) as tf.Tensor2D };
  const traces: Trace[] = [];
  for (let step = 1; step <= 6; step++) {
    const fresh = carry.refill(exampleOf(golden, step));
    const ids = carry.puzzleIds.slice();
    const leaves = sliceParameters(state.weights, model.layout);
    const result = gradientOf(
      { ...model.context, recompute },
      leaves,
      {
        tokens: tf.tensor2d(carry.inputs, [B, S], "int32"),
        puzzleRows: puzzleRows(table, ids),
        fresh: tf.tensor2d(fresh, [B, 1]),
        latents,
      },
      targetsOf(carry.labels, B, S),
      1 / B,
      frozen,
    );
    const rows = floats(result.rows);
    const column = (c: number): Float32Array => Float32Array.from({ length: B }, (_, r) => rows[r * (actStep.ROW_STATISTICS + D) + c]!);
    const q = column(4);
    const rowGradients = new Float32Array(B * D);
    for (let r = 0; r < B; r++) {
      const at = r * (actStep.ROW_STATISTICS + D) + actStep.ROW_STATISTICS;
      rowGradients.set(rows.subarray(at, at + D), r * D);
    }
    signSgd(tableOf(table), ids, rowGradients, PUZZLE_LR, { weightDecay: 0.1 });
    if (!frozen) {
      state = adamATan2(state, result.trunkGradient, adamATan2Rates(LR, step, ADAM_ATAN2_DEFAULTS), ADAM_ATAN2_DEFAULTS);
      ema = emaUpdate(ema, state.weights, 0.999);
    }
    const usedLabels = carry.labels.slice();
    carry.advance(RULE, (r) => q[r]!);
    const counted = (r: number): number =>
      carry.halted[r] && usedLabels.subarray(r * S, (r + 1) * S).some((label) => label !== -100) ? 1 : 0;
    const sum = (value: (r: number) => number): number => Array.from({ length: B }, (_, r) => value(r)).reduce((a, b) => a + b, 0);
    const exact = column(3);
    traces.push({
      carrySteps: carry.steps.slice(),
      carryHalted: carry.halted.slice(),
      usedLabels,
      usedIds: ids,
      q,
      rowGradients,
      table: table.slice(),
      lmLoss: sum((r) => column(0)[r]!),
      qHaltLoss: sum((r) => column(1)[r]!),
      accuracy: sum((r) => counted(r) * column(2)[r]!),
      exact: sum((r) => counted(r) * exact[r]!),
      qAccuracy: sum((r) => counted(r) * (q[r]! >= 0 === (exact[r] === 1) ? 1 : 0)),
      stepsSum: sum((r) => counted(r) * carry.steps[r]!),
      count: sum(counted),
      gradient: floats(result.trunkGradient),
      weights: floats(state.weights),
      ema: floats(ema),
      zH: floats(result.zH),
      zL: floats(result.zL),
    });
    latents = result;
  }
  return traces;
}

const l2 = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, v) => sum + v * v, 0));

function checkTraces(traces: Trace[], golden: Npz, name: "train-small" | "train-freeze"): void {
  const { steps } = readFixtureJson(name);
  const freeze = name === "train-freeze";
  const limits = freeze
    ? {
        lm: [1e-6, 1e-5, 1e-3, 1.5e-2, 1.5e-2, 3e-2],
        q: [2e-5, 2e-4, 2e-3, 6e-2, 0.15, 0.25],
        share: [0.002, 0.005, 0.03, 0.12, 0.2, 0.3],
        rows: [2e-4, 5e-3, 0.25],
      }
    : {
        lm: [1e-6, 2e-5, 6e-3, 3e-3, 3e-3, 4e-2],
        q: [2e-5, 1e-4, 6e-3, 4e-2, 4e-2, 0.2],
        share: [0.002, 0.005, 0.02, 0.06, 0.12, 0.2],
        rows: [2e-4, 5e-3, 0.12, 0.5],
      };
  traces.forEach((trace, i) => {
    const key = `step${i + 1}`;
    assert.deepEqual([...trace.carrySteps], [...golden.ints(`${key}_carry_steps`)], `${key} carry steps`);
    assert.deepEqual([...trace.carryHalted], [...golden.ints(`${key}_carry_halted`)], `${key} halted`);
    assert.deepEqual([...trace.usedIds], [...golden.ints(`${key}_used_puzzle_identifiers`)], `${key} ids`);
    if (!freeze) assert.deepEqual([...trace.usedLabels], [...golden.ints(`${key}_used_labels`)], `${key} labels`);
    const q = difference(trace.q, golden.floats(`${key}_q_halt_logits`)).max;
    assert.ok(q <= limits.q[i]!, `${key} q off by ${q}`);
    const rowsOff = relativeL2(trace.rowGradients, golden.floats(`${key}_puzzle_emb_row_grad`));
    assert.ok(!(rowsOff > (limits.rows[i] ?? Number.POSITIVE_INFINITY)), `${key} row gradients off by ${rowsOff}`);
    const expected = golden.floats(`${key}_puzzle_emb_weights`);
    const off = trace.table.reduce((sum, v, j) => sum + (Math.abs(v - expected[j]!) > 1e-6 ? 1 : 0), 0) / expected.length;
    assert.ok(off <= limits.share[i]!, `${key} puzzle rows: share off ${off}`);
    const { metrics, reduced } = steps[i];
    assert.ok(
      Math.abs(trace.lmLoss / B / reduced["train/lm_loss"] - 1) <= limits.lm[i]!,
      `${key} lm_loss ${trace.lmLoss / B} ${reduced["train/lm_loss"]}`,
    );
    if (!freeze) {
      const qOff = Math.abs(trace.qHaltLoss / B - reduced["train/q_halt_loss"]);
      assert.ok(qOff <= [2e-6, 2e-5, 2e-3, 2e-3, 8e-3, 5e-2][i]!, `${key} q_halt_loss off by ${qOff}`);
      assert.ok(Math.abs(trace.accuracy - metrics.accuracy) <= (i < 2 ? 1e-6 : 0.021), `${key} accuracy`);
      const norms = Object.entries(steps[i].grad_l2 as Record<string, number>);
      assert.ok(norms.length >= 12);
      if (i < 4) {
        for (const [parameter, norm] of norms) {
          const spec = model.layout.find((p) => parameter.endsWith(p.name));
          if (!spec || norm === 0) continue;
          const actual = l2(trace.gradient.subarray(spec.offset, spec.offset + spec.size));
          assert.ok(
            Math.abs(actual / norm - 1) <= [5e-5, 1e-3, 5e-2, 0.15][i]!,
            `${key} gradient norm of ${parameter}: ${actual}, expected ${norm}`,
          );
        }
      }
    }
    assert.equal(trace.count, metrics.count, `${key} count`);
    if (!freeze || i < 3) {
      assert.equal(trace.exact, metrics.exact_accuracy, `${key} exact`);
      assert.equal(trace.qAccuracy, metrics.q_halt_accuracy, `${key} q accuracy`);
    }
    assert.equal(trace.stepsSum, metrics.steps, `${key} steps`);
  });
}

test("six official training steps: losses, halting, gradients, weights and EMA agree", () => {
  const golden = new Npz("train-small");
  for (let k = 1; k <= 6; k++) for (const part of ["inputs", "labels", "puzzle_identifiers"]) golden.get(`step${k}_batch_${part}`);
  const traces = runSixSteps(false, golden);
  checkTraces(traces, golden, "train-small");
  assert.deepEqual(golden.unread, []);

  const gradients = new Npz("train-small-grads");
  const first = traces[0]!;
  for (const { name, offset, size } of model.layout) {
    const actual = first.gradient.subarray(offset, offset + size);
    const expected = gradients.floats(`model.inner.${name}`);
    const largest = expected.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    const off = relativeL2(actual, expected);
    assert.ok(off <= 1e-4 && difference(actual, expected).max <= 1.5e-4 * largest, `gradient of ${name}: relative ${off}`);
  }
  assert.ok(relativeL2(first.rowGradients, gradients.floats("puzzle_emb.local_weights")) <= 1e-4);
  assert.deepEqual([...first.usedIds], [...gradients.ints("puzzle_emb.local_ids")]);
  assert.ok(difference(first.zH, gradients.floats("step1_z_H")).max <= 5e-4);
  assert.ok(difference(first.zL, gradients.floats("step1_z_L")).max <= 8e-4);
  gradients.get("step1_logits"); // the loss head's input; compared through lm_loss and, in evaluation, in model.test.ts
  assert.deepEqual(gradients.unread, []);

  const weights = new Npz("train-small-weights");
  const averaged = new Npz("train-small-ema");
  const join = (source: Npz, prefix: string): Float32Array => {
    const out = new Float32Array(model.flat.length);
    for (const { name, offset } of model.layout) out.set(source.floats(prefix + name), offset);
    return out;
  };
  const off = Array.from(join(weights, `step1/${PREFIX}`), (v, i) => Math.abs(v - first.weights[i]!)).filter((d) => d > 1e-6);
  assert.ok(off.length <= 20 && off.every((d) => d <= 2.1e-4), `${off.length} weights off after step 1`);
  const last = traces[5]!;
  const moves = (to: Float32Array): Float32Array => to.map((v, i) => v - model.flat[i]!);
  const expected = join(weights, `step6/${PREFIX}`);
  const [ours, theirs] = [moves(last.weights), moves(expected)];
  const cosine = (a: Float32Array, b: Float32Array): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0) / l2(a) / l2(b);
  const d = difference(last.weights, expected);
  const report = `cosine ${cosine(ours, theirs)}, relative ${relativeL2(ours, theirs)}, mean ${d.mean}, max ${d.max}`;
  assert.ok(cosine(ours, theirs) >= 0.99 && relativeL2(ours, theirs) <= 0.15 && d.mean <= 4e-5 && d.max <= 8e-4, report);
  const expectedAverage = join(averaged, PREFIX);
  const averageMove = cosine(moves(last.ema), moves(expectedAverage));
  const averageOff = difference(last.ema, expectedAverage).max;
  assert.ok(averageMove >= 0.99 && averageOff <= 2e-6, `EMA: cosine ${averageMove}, max ${averageOff}`);
  for (const step of ["step1", "step6"]) {
    for (const [state, values] of [
      ["H_init", model.context.buffers.hInit],
      ["L_init", model.context.buffers.lInit],
    ] as const) {
      assert.deepEqual([...weights.floats(`${step}/${PREFIX}${state}`)], [...floats(values)]);
    }
    const table = weights.floats(`${step}/${PREFIX}puzzle_emb.weights`);
    const small = new Npz("train-small").floats(`${step}_puzzle_emb_weights`);
    assert.deepEqual([...table], [...small]);
  }
  assert.deepEqual(weights.unread, []);
  assert.deepEqual(averaged.unread, []);
});

test("six official training steps whose blocks are computed again for the gradient, with the trunk learning and frozen", () => {
  for (const name of ["train-small", "train-freeze"] as const) {
    const golden = new Npz(name);
    checkTraces(runSixSteps(name === "train-freeze", golden, true), golden, name);
  }
});

test("with the trunk frozen only the puzzle rows learn, as in the official freeze mode", () => {
  const golden = new Npz("train-freeze");
  const traces = runSixSteps(true, golden);
  checkTraces(traces, golden, "train-freeze");
  assert.deepEqual([...traces[5]!.weights], [...model.flat]);
  assert.deepEqual(golden.unread, []);
});

const skip = COMPILED_FOR ? false : "TRM_TEST_COMPILE is not set, and bfloat16 is for compiled steps alone";

test("in bfloat16 six training steps halt where the official ones do, and their losses are near", { skip }, () => {
  const golden = new Npz("train-small");
  const { steps } = readFixtureJson("train-small");
  const options = { target: COMPILED_FOR!, precision: "bfloat16" } as const;
  const traces = runSixSteps(false, golden, false, compiledFor(options, "gradient step in bfloat16", actStep.gradientStep));
  const gradients = new Npz("train-small-grads");
  const expected = model.layout.map(({ name }) => gradients.floats(`model.inner.${name}`));
  const gradientOff = relativeL2(traces[0]!.gradient, Float32Array.from(expected.flatMap((part) => [...part])));
  assert.ok(gradientOff > 1e-3 && gradientOff <= 0.15, `gradient off by ${gradientOff}`); // measured 0.057 (graph)
  traces.forEach((trace, i) => {
    const key = `step${i + 1}`;
    assert.deepEqual([...trace.carrySteps], [...golden.ints(`${key}_carry_steps`)], `${key} carry steps`);
    assert.deepEqual([...trace.carryHalted], [...golden.ints(`${key}_carry_halted`)], `${key} halted`);
    const off = Math.abs(trace.lmLoss / B / steps[i].reduced["train/lm_loss"] - 1);
    // The fixtures have no limits for it. Measured: 4e-4 (graph) and 2e-3 (XLA) in the first step, up to 1.4e-2 later, when signs of
    // updates have gone other ways: float32's limit there is 4e-2.
    assert.ok(off <= (i === 0 ? 6e-3 : 4e-2), `${key} lm_loss off by ${off}`);
  });
});

test("the carry replayed on the official halting logits is the official carry, exactly", () => {
  const golden = new Npz("train-small");
  const carry = new RowCarry(B, S);
  for (let step = 1; step <= 6; step++) {
    carry.refill(exampleOf(golden, step));
    assert.deepEqual([...carry.labels], [...golden.ints(`step${step}_used_labels`)]);
    assert.deepEqual([...carry.puzzleIds], [...golden.ints(`step${step}_used_puzzle_identifiers`)]);
    const q = golden.floats(`step${step}_q_halt_logits`);
    carry.advance(RULE, (r) => q[r]!);
    assert.deepEqual([...carry.steps], [...golden.ints(`step${step}_carry_steps`)]);
    assert.deepEqual([...carry.halted], [...golden.ints(`step${step}_carry_halted`)]);
  }
});

test("the sparse update chained on the official gradients gives the official rows", () => {
  for (const name of ["train-small", "train-freeze"]) {
    const golden = new Npz(name);
    const table = model.puzzleTable.slice();
    for (let step = 1; step <= 6; step++) {
      signSgd(
        tableOf(table),
        golden.ints(`step${step}_used_puzzle_identifiers`),
        golden.floats(`step${step}_puzzle_emb_row_grad`),
        PUZZLE_LR,
        { weightDecay: 0.1 },
      );
      assert.ok(difference(table, golden.floats(`step${step}_puzzle_emb_weights`)).max <= 1e-7);
    }
  }
});

test("AdamATan2 on the official gradients gives the official weights", () => {
  const gradients = new Npz("train-small-grads");
  const weights = new Npz("train-small-weights");
  for (const { name, offset, size } of model.layout) {
    const start = tf.tensor1d(model.flat.subarray(offset, offset + size));
    const g = tf.tensor1d(gradients.floats(`model.inner.${name}`));
    const zeros = tf.zerosLike(start);
    const next = adamATan2(
      { weights: start, firstMoment: zeros, secondMoment: zeros },
      g,
      adamATan2Rates(LR, 1, ADAM_ATAN2_DEFAULTS),
      ADAM_ATAN2_DEFAULTS,
    );
    const off = difference(floats(next.weights), weights.floats(`step1/${PREFIX}${name}`)).max;
    assert.ok(off <= 1e-7, `${name} off by ${off}`);
  }
});
