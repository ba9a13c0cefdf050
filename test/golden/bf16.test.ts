import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { attend } from "../../src/model/attention.ts";
import { hasOwnKernel } from "../../src/model/own-kernel.ts";
import { nameParameters } from "../../src/model/parameters.ts";
import * as actStep from "../../src/train/act-step.ts";
import { difference, Npz, readFixtureJson, relativeL2 } from "./npz.ts";
import { B, D, loadSmallModel, puzzleRows, S, type SmallModel, T, V } from "./small-model.ts";
import { COMPILED_FOR, compiledFor, evaluationStep, readOut } from "./steps-under-test.ts";

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

interface Steps {
  readonly evaluationStep: typeof actStep.evaluationStep;
  readonly readOut: typeof actStep.readOut;
}

/** Four ACT steps against the official bfloat16 pass. @returns their logits, rows 0..4 */
function fourSteps({ evaluationStep, readOut }: Steps, diagnostic: (text: string) => void): Float32Array[] {
  const inputs = new Npz("model-small");
  const golden = new Npz("model-small-bf16");
  const side = readFixtureJson("model-small-bf16");
  assert.deepEqual(Object.keys(side.arrays).sort(), [...golden.names].sort());
  let latents = { zH: tf.zeros([B * T, D]) as tf.Tensor2D, zL: tf.zeros([B * T, D]) as tf.Tensor2D };
  const ours: Float32Array[] = [];
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
    ours.push(values(logits).slice(0, ROWS * S * V));
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
    diagnostic(
      `step ${step}: ${flips} of ${ROWS * S} tokens differ, logits by ${mean.toFixed(3)} on average, q by at most ${max.toFixed(3)}`,
    );
    latents = next;
  }
  assert.deepEqual(golden.unread, []);
  return ours;
}

test("our float32 forward pass lies within bfloat16's limits of the official bfloat16 pass", (t) => {
  fourSteps({ evaluationStep, readOut }, (text) => t.diagnostic(text));
});

const skip = COMPILED_FOR ? false : "TRM_TEST_COMPILE is not set, and bfloat16 is for compiled steps alone";

test("attention's products are in bfloat16 too, but in our own kernel, which is float32's and faster", { skip }, () => {
  const golden = new Npz("model-small");
  const shape = { batch: 2, positions: T, heads: 4, headSize: 16 };
  const qkv = tf.tidy(() =>
    tf.matMul(tf.tensor2d(golden.floats("block0_in"), [2 * T, D]), nameParameters(model.leaves).blocks[0]!.qkv, false, true),
  ) as tf.Tensor2D;
  const inBfloat16 = compiledFor({ target: COMPILED_FOR!, precision: "bfloat16" }, "attention in bfloat16", attend);
  const off = relativeL2(values(inBfloat16(qkv, shape, model.context.rotary)), values(attend(qkv, shape, model.context.rotary)));
  if (COMPILED_FOR === "graph" && hasOwnKernel("Attend")) assert.equal(off, 0);
  else assert.ok(off > 5e-4 && off < 2e-2, `off by ${off}`);
});

test("our bfloat16 forward pass lies within its limits of the official one", { skip }, (t) => {
  const options = { target: COMPILED_FOR!, precision: "bfloat16" } as const;
  const inBfloat16 = {
    evaluationStep: compiledFor(options, "evaluation step in bfloat16", actStep.evaluationStep),
    readOut: compiledFor(options, "read-out in bfloat16", actStep.readOut),
  };
  const [rounded] = fourSteps(inBfloat16, (text) => t.diagnostic(text));
  const [exact] = fourSteps({ evaluationStep, readOut }, () => {});
  const { mean } = difference(rounded!, exact!);
  assert.ok(mean > 1e-3, `products are rounded: logits of the float32 pass differ by ${mean} on average`);
});
