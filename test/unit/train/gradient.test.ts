import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../../src/backend/select.ts";
import { Q_LOSS_WEIGHT } from "../../../src/loss/act-loss.ts";
import { headSize, type ModelConfig } from "../../../src/model/config.ts";
import { initTrunk } from "../../../src/model/init.ts";
import { initLora, loraAssemble, loraLayout } from "../../../src/model/lora.ts";
import { type ParameterSpec, parameterLayout, sliceParameters } from "../../../src/model/parameters.ts";
import { rotaryTables } from "../../../src/model/rotary.ts";
import { createRandom } from "../../../src/random.ts";
import { type ActContext, gradientStep, ROW_STATISTICS } from "../../../src/train/act-step.ts";
import { targetsOf } from "../../../src/train/targets.ts";
import { exampleAt, TINY, TOKENS } from "./tiny-replica.ts";

/** With one H cycle nothing is cut off from the gradient, so it is the loss's own. */
const WHOLE: ModelConfig = { ...TINY, hCycles: 1 };
const B = 3;
const E = WHOLE.puzzleEmbeddingSize;
const T = WHOLE.prefixLength + TOKENS;
const LORA = { rank: 2, alpha: 4 };

let context: ActContext;
let trunk: Float32Array;
const layout = parameterLayout(WHOLE);
const rows = Float32Array.from({ length: B * E }, (_, i) => Math.sin(i));

before(async () => {
  await startEngine("wasm");
  const start = initTrunk(WHOLE, createRandom("gradient"));
  trunk = start.weights;
  // A halting head that has learned something, else its inputs have no gradient.
  const q = layout.find(({ name }) => name === "q_head.weight")!;
  for (let i = 0; i < q.size; i++) trunk[q.offset + i] = 0.3 * Math.cos(i);
  for (const { name, offset, size } of layout) if (name === "q_head.bias") trunk.fill(-0.5, offset, offset + size);
  context = {
    config: WHOLE,
    buffers: { hInit: tf.tensor1d(start.hInit), lInit: tf.tensor1d(start.lInit) },
    rotary: rotaryTables(
      Int32Array.from({ length: T }, (_, i) => i),
      headSize(WHOLE),
      WHOLE.ropeTheta,
    ),
  };
});

/** Loss, its gradient by what is trained, and by the puzzle rows. */
function evaluate(
  flat: Float32Array,
  puzzleRows: Float32Array,
  adapted: boolean,
  { recompute = false, frozen = false } = {},
): { loss: number; trained: Float32Array; rows: Float32Array } {
  return tf.tidy(() => {
    const examples = Array.from({ length: B }, (_, r) => exampleAt(r + 1));
    const join = (part: "inputs" | "labels"): Int32Array => Int32Array.from(examples.flatMap((example) => [...example[part]]));
    const assemble = adapted ? loraAssemble(sliceParameters(tf.tensor1d(trunk), layout), layout, LORA) : undefined;
    const result = gradientStep(
      { ...context, recompute },
      sliceParameters(tf.tensor1d(flat), adapted ? loraLayout(layout, LORA) : layout),
      {
        tokens: tf.tensor2d(join("inputs"), [B, TOKENS], "int32"),
        puzzleRows: tf.tensor2d(puzzleRows, [B, E]),
        fresh: tf.ones([B, 1]),
        latents: { zH: tf.zeros([B * T, WHOLE.hiddenSize]), zL: tf.zeros([B * T, WHOLE.hiddenSize]) },
      },
      targetsOf(join("labels"), B, TOKENS),
      1 / B,
      frozen,
      assemble,
    );
    const all = result.rows.dataSync() as Float32Array;
    const width = ROW_STATISTICS + E;
    const gradient = new Float32Array(B * E);
    let loss = 0;
    for (let r = 0; r < B; r++) {
      loss += (all[r * width]! + Q_LOSS_WEIGHT * all[r * width + 1]!) / B;
      gradient.set(all.subarray(r * width + ROW_STATISTICS, (r + 1) * width), r * E);
    }
    return { loss, trained: result.trunkGradient.dataSync() as Float32Array, rows: gradient };
  });
}

/** Step of the central difference: its error falls with the square, that of float32 grows with the inverse. */
const STEP = 1e-3;

/** Slope of the loss along a direction of length 1, and what the gradient says it is. */
function compare(gradient: Float32Array, direction: Float32Array, lossAt: (step: Float32Array) => number): { slope: number; said: number } {
  const length = Math.hypot(...direction);
  const shift = (factor: number): Float32Array => direction.map((d) => (factor * d) / length);
  const slope = (lossAt(shift(STEP)) - lossAt(shift(-STEP))) / (2 * STEP);
  return { slope, said: gradient.reduce((sum, g, i) => sum + (g * direction[i]!) / length, 0) };
}

function check(flat: Float32Array, specs: readonly ParameterSpec[], adapted: boolean): void {
  const { trained } = evaluate(flat, rows, adapted);
  for (const { name, offset, size } of specs) {
    const part = trained.subarray(offset, offset + size);
    // Along the gradient, and along its signs: together they see every entry.
    for (const [way, toward] of [
      ["gradient", part],
      ["signs", part.map(Math.sign)],
    ] as const) {
      const direction = new Float32Array(flat.length);
      direction.set(toward, offset);
      const { slope, said } = compare(
        trained,
        direction,
        (step) =>
          evaluate(
            flat.map((v, i) => v + step[i]!),
            rows,
            adapted,
          ).loss,
      );
      assert.ok(Math.abs(said) > 1e-4, `${name} has next to no gradient: ${said}`);
      assert.ok(Math.abs(slope - said) <= 0.002 * Math.abs(said) + 3e-4, `${name} along its ${way}: slope ${slope}, gradient ${said}`);
    }
  }
}

test("computing blocks again for the gradient changes no bit of it: trunk, adapters, puzzle rows, with a frozen trunk too", () => {
  const adapters = initLora(trunk, layout, LORA, createRandom("adapters")).map((v, i) => v + 0.1 * Math.sin(i));
  for (const [flat, adapted] of [
    [trunk, false],
    [adapters, true],
  ] as const) {
    for (const frozen of [false, true]) {
      const [kept, again] = [false, true].map((recompute) => evaluate(flat, rows, adapted, { recompute, frozen }));
      assert.ok(kept!.rows.some((g) => Math.abs(g) > 1e-3) && kept!.trained.some((g) => Math.abs(g) > 1e-3) === !frozen);
      assert.deepEqual(again, kept);
    }
  }
});

test("the trunk's gradient equals finite differences, parameter by parameter", () => {
  check(trunk, layout, false);
});

test("the adapters' gradient equals finite differences, matrix by matrix", () => {
  const adapters = initLora(trunk, layout, LORA, createRandom("adapters"));
  const specs = loraLayout(layout, LORA);
  for (const { name, offset, size } of specs)
    if (name.endsWith("_B")) for (let i = 0; i < size; i++) adapters[offset + i] = 0.2 * Math.sin(i);
  check(adapters, specs, true);
});

test("the puzzle rows' gradient equals finite differences, row by row", () => {
  const { rows: gradient } = evaluate(trunk, rows, false);
  for (let r = 0; r < B; r++) {
    const direction = new Float32Array(B * E);
    direction.set(gradient.subarray(r * E, (r + 1) * E), r * E);
    const { slope, said } = compare(
      gradient,
      direction,
      (step) =>
        evaluate(
          trunk,
          rows.map((v, i) => v + step[i]!),
          false,
        ).loss,
    );
    assert.ok(said > 1e-4);
    assert.ok(Math.abs(slope - said) <= 0.002 * said + 3e-4, `row ${r}: slope ${slope}, gradient ${said}`);
  }
});
