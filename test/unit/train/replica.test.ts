import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../../src/backend/select.ts";
import { ADAM_ATAN2_DEFAULTS } from "../../../src/optim/adam-atan2.ts";
import type { MakeReady } from "../../../src/trace/ready-step.ts";
import { type Answers, rowsTogether } from "../../../src/train/predict-rows.ts";
import { ALONE, Diverged, sliceOf } from "../../../src/train/replica.ts";
import { difference, relativeL2 } from "../../golden/npz.ts";
import { exampleAt, RATES, stream, TINY, TOKENS, tinyReplica } from "./tiny-replica.ts";

before(() => startEngine("wasm"));

test("a batch in parts gives the step of the whole batch, within rounding", async () => {
  const whole = tinyReplica();
  const states = [whole, tinyReplica({ microBatch: 2 }), tinyReplica({ microBatch: 4 })];
  const losses: number[][] = [];
  for (const replica of states) {
    const next = stream(6);
    const metrics = [];
    for (let step = 0; step < 3; step++) metrics.push(await replica.trainStep(next, RATES));
    losses.push(metrics.map(({ lmLoss }) => lmLoss));
  }
  for (const [i, replica] of states.entries()) {
    if (replica === whole) continue;
    losses[i]!.forEach((loss, step) => {
      assert.ok(Math.abs(loss / losses[0]![step]! - 1) <= 1e-4, `step ${step + 1}: loss ${loss} and ${losses[0]![step]}`);
    });
  }
  // After one step the first moment is a tenth of the gradient, which is what must agree.
  const [one, two] = [tinyReplica(), tinyReplica({ microBatch: 4 })];
  for (const replica of [one, two]) await replica.trainStep(stream(6), RATES);
  const off = relativeL2((await two.trunk()).firstMoment, (await one.trunk()).firstMoment);
  assert.ok(off > 0 && off <= 1e-5, `gradients differ by ${off}`);
  for (const id of one.rows.touched()) assert.ok(difference(two.rows.row(id), one.rows.row(id)).max <= 1e-6);
  for (const replica of [...states, one, two]) replica.dispose();
});

/** Runs op by op, but gives up as TensorFlow does where more than `limit` rows come together; notes the rows of each run. */
function withMemoryFor(limit: (runs: number) => number, seen: number[]): MakeReady {
  return (_name, step) => ({
    run: (inputs) => {
      const rows = inputs.find(({ dtype, rank }) => dtype === "int32" && rank === 2)?.shape[0] ?? 0; // tokens [B, S]
      if (rows > limit(seen.length)) throw new Error(`Session fail to run with error: RESOURCE_EXHAUSTED: Out of memory with ${rows}`);
      if (rows > 0) seen.push(rows);
      return step(inputs);
    },
    dispose: () => {},
  });
}

test("where memory runs out the batch goes in halves, from then on, with the result of halves from the start", async () => {
  const [seen, warnings] = [[] as number[], [] as string[]];
  const makeReady = withMemoryFor(() => 2, seen);
  const large = tinyReplica({ globalBatch: 8, microBatch: 8, makeReady, warn: (sentence) => warnings.push(sentence) });
  const small = tinyReplica({ globalBatch: 8, microBatch: 2 });
  const [a, b] = [stream(8), stream(8)];
  for (let step = 0; step < 3; step++)
    assert.deepEqual(
      await large.trainStep(a, { ...RATES, frozen: step === 1 }),
      await small.trainStep(b, { ...RATES, frozen: step === 1 }),
    );
  assert.deepEqual(await large.trunk(), await small.trunk());
  assert.deepEqual(await large.carriedRows(), await small.carriedRows());
  const examples = Array.from({ length: 7 }, (_, i) => exampleAt(i));
  assert.deepEqual(await large.predict(examples, 2), await small.predict(examples, 2));
  assert.deepEqual(seen, [...Array(12).fill(2), ...[2, 2, 2, 2, 2, 2, 1, 1]]); // a prediction's part goes through its two ACT steps at once
  assert.deepEqual(warnings, [
    "out of memory with 8 rows at a time; going on with 4",
    "out of memory with 4 rows at a time; going on with 2",
    "out of memory with 4 rows at a time; going on with 2",
  ]);
  for (const replica of [large, small]) replica.dispose();
});

test("memory that runs out in the middle of a step costs nothing that was computed; the gradient is the same within rounding", async () => {
  const [seen, whole] = [[] as number[], tinyReplica({ globalBatch: 8, microBatch: 8 })];
  const parts = tinyReplica({ globalBatch: 8, microBatch: 4, makeReady: withMemoryFor((runs) => (runs === 0 ? 4 : 3), seen) });
  for (const replica of [whole, parts]) await replica.trainStep(stream(8), RATES);
  assert.deepEqual(seen, [4, 2, 2]);
  const off = relativeL2((await parts.trunk()).firstMoment, (await whole.trunk()).firstMoment);
  assert.ok(off > 0 && off <= 1e-5, `gradients differ by ${off}`);
  const next = stream(8);
  await parts.trainStep(next, RATES);
  assert.deepEqual(seen.slice(3), [2, 2, 2, 2]);
  for (const replica of [whole, parts]) replica.dispose();
});

test("one row that does not fit is an error that says what would help", async () => {
  const replica = tinyReplica({ makeReady: withMemoryFor(() => 0, []) });
  await assert.rejects(
    replica.trainStep(stream(6), RATES),
    /out of memory with one row at a time; --recompute on and a smaller canvas.*RESOURCE_EXHAUSTED/,
  );
  replica.dispose();
});

test("memory that runs out deep inside a step, run op by op, leaves no tensor of it behind", async () => {
  const product = tf.getKernel("BatchMatMul", "wasm");
  for (const recompute of [false, true]) {
    const seen: string[] = [];
    const replica = tinyReplica({ recompute, warn: (sentence) => seen.push(sentence) });
    const next = stream(6);
    await replica.trainStep(next, RATES);
    const before = tf.memory().numTensors;
    tf.unregisterKernel("BatchMatMul", "wasm");
    tf.registerKernel({
      ...product,
      kernelFunc: (call) => {
        const { a } = call.inputs as unknown as { a: tf.TensorInfo };
        // a weight's gradient: deep in the backward pass
        if (call.attrs?.transposeA && a.shape[0]! > 3 * (TINY.prefixLength + TOKENS)) throw new Error("out of memory: a test's");
        return product.kernelFunc(call);
      },
    });
    try {
      await replica.trainStep(next, RATES);
    } finally {
      tf.unregisterKernel("BatchMatMul", "wasm");
      tf.registerKernel(product);
    }
    assert.deepEqual(seen, ["out of memory with 6 rows at a time; going on with 3"]);
    assert.equal(tf.memory().numTensors - before, 2, "two parts have two states more than one");
    replica.dispose();
  }
});

test("steps and predictions leave no tensor behind, and dispose frees all", async () => {
  const atStart = tf.memory().numTensors;
  const replica = tinyReplica({ microBatch: 4, explorationProbability: 0.5 });
  const next = stream(6);
  const round = async (): Promise<void> => {
    await replica.trainStep(next, RATES);
    await replica.trainStep(next, { ...RATES, frozen: true });
    await replica.predict([exampleAt(1), exampleAt(2), exampleAt(3)], 2);
  };
  await round();
  const warm = tf.memory();
  for (let i = 0; i < 3; i++) await round();
  assert.equal(tf.memory().numTensors, warm.numTensors);
  assert.equal(tf.memory().numBytes, warm.numBytes);
  replica.restore({ ...(await replica.trunk()), ...(await replica.buffers()), step: 8 });
  assert.equal(tf.memory().numTensors, warm.numTensors);
  replica.dispose();
  assert.equal(tf.memory().numTensors, atStart);
});

test("a frozen step moves the puzzle rows of the batch and no other bit", async () => {
  const replica = tinyReplica();
  const next = stream(6);
  await replica.trainStep(next, RATES);
  const trunk = await replica.trunk();
  const copies = Object.fromEntries(Object.entries(trunk).map(([name, values]) => [name, values.slice()]));
  const rows = new Map([...replica.rows.touched(), 77].map((id) => [id, replica.rows.row(id).slice()]));
  await replica.trainStep(next, { ...RATES, frozen: true });
  for (const [name, values] of Object.entries(await replica.trunk())) assert.deepEqual(values, copies[name], name);
  for (const [id, before] of rows) {
    const moved = replica.rows.row(id).some((v, i) => v !== before[i]);
    assert.equal(moved, id !== 77, `row ${id}`);
  }
  assert.equal(replica.step, 2);
  replica.dispose();
});

test("predictions come from the averaged trunk, not from the raw one", async () => {
  // Row 77 is never trained, so only the trunk can change what is predicted for it.
  const example = { ...exampleAt(0), puzzleId: 77 };
  const halting = async (emaDecay: number): Promise<{ before: number; after: number }> => {
    const replica = tinyReplica({ adam: { ...ADAM_ATAN2_DEFAULTS, weightDecay: 0 } });
    const next = stream(6);
    const before = (await replica.predict([example], 2)).qHaltLogits[0]!;
    for (let i = 0; i < 3; i++) await replica.trainStep(next, { ...RATES, emaDecay });
    const after = (await replica.predict([example], 2)).qHaltLogits[0]!;
    const { ema, weights } = await replica.trunk();
    if (emaDecay === 0) assert.deepEqual(ema, weights);
    replica.dispose();
    return { before, after };
  };
  const kept = await halting(1);
  assert.equal(kept.after, kept.before);
  const followed = await halting(0);
  assert.notEqual(followed.after, followed.before);
});

test("rows that halt answer as they would after that many steps, and are left out of the later ones", async () => {
  const replica = tinyReplica({ microBatch: 8 });
  for (let step = 0; step < 40; step++) await replica.trainStep(stream(6), RATES);
  const examples = Array.from({ length: 8 }, (_, i) => exampleAt(i));
  const actSteps = 5;
  // The halting head is shifted so that half of its logits say halt.
  const all: number[] = [];
  for (let steps = 1; steps <= actSteps; steps++) all.push(...(await replica.predict(examples, steps)).qHaltLogits);
  const trunk = await replica.trunk();
  trunk.ema[replica.layout.find(({ name }) => name === "q_head.bias")!.offset]! -= all.sort((a, b) => a - b)[all.length >> 1]!;
  replica.restore({ ...trunk, ...(await replica.buffers()), step: replica.step });
  const byStep: Answers[] = [];
  for (let steps = 1; steps <= actSteps; steps++) byStep.push(await replica.predict(examples, steps));
  const halting = await replica.predict(examples, { actSteps, stopAtHalt: true });
  const ends = examples.map((_, row) => {
    const step = byStep.findIndex(({ qHaltLogits }) => qHaltLogits[row]! > 0);
    return step < 0 ? actSteps - 1 : step;
  });
  assert.ok(new Set(ends).size > 1, `rows end at different steps: ${ends}`);
  ends.forEach((end, row) => {
    const expected = byStep[end]!;
    assert.ok(Math.abs(halting.qHaltLogits[row]! - expected.qHaltLogits[row]!) < 1e-4, `row ${row}`);
    const [from, to] = [row * TOKENS, (row + 1) * TOKENS];
    assert.deepEqual(halting.tokens.subarray(from, to), expected.tokens.subarray(from, to), `row ${row}`);
  });
  assert.equal(byStep[actSteps - 1]!.rowSteps, actSteps * examples.length);
  assert.ok(halting.rowSteps < actSteps * examples.length, `${halting.rowSteps} row-steps`);
  replica.dispose();
});

test("predictions go in parts of few sizes", () => {
  for (let count = 1; count <= 40; count++) {
    const parts: number[] = [];
    for (let left = count; left > 0; left -= parts.at(-1)!) parts.push(rowsTogether(left, 12));
    assert.equal(
      parts.reduce((a, b) => a + b),
      count,
    );
    assert.ok(
      parts.every((part) => part === 12 || [1, 2, 4, 8].includes(part)),
      `${count}: ${parts}`,
    );
  }
});

test("the answer of a prediction does not depend on its neighbours in the batch", async () => {
  const replica = tinyReplica();
  const together = await replica.predict([exampleAt(1), exampleAt(2), exampleAt(3)], 2);
  for (let i = 0; i < 3; i++) {
    const alone = await replica.predict([exampleAt(i + 1)], 2);
    assert.deepEqual([...alone.tokens], [...together.tokens.subarray(i * TOKENS, (i + 1) * TOKENS)]);
    assert.ok(Math.abs(alone.qHaltLogits[0]! - together.qHaltLogits[i]!) <= 1e-5);
  }
  replica.dispose();
});

test("the loss of true answers is that of a first training step on the same examples, row by row and however they are parted", async () => {
  const replica = tinyReplica({ microBatch: 4 });
  const examples = Array.from({ length: 6 }, (_, row) => exampleAt(row));
  const { losses } = await replica.predict(examples, 1, true);
  assert.equal(losses!.length, 6);
  assert.equal((await replica.predict(examples, 1)).losses, undefined);
  for (const [row, example] of examples.entries()) {
    const [alone] = (await replica.predict([example], { actSteps: 1, stopAtHalt: true }, true)).losses!;
    assert.ok(Math.abs(alone! / losses![row]! - 1) <= 1e-4, `row ${row}: ${alone} and ${losses![row]}`);
  }
  const { lmLoss } = await replica.trainStep((row) => examples[row]!, RATES);
  const mean = losses!.reduce((sum, loss) => sum + loss, 0) / 6;
  assert.ok(Math.abs(mean / lmLoss - 1) <= 1e-5, `${mean} and ${lmLoss}`);
  replica.dispose();
});

test("a loss that is not finite stops the step before anything is updated", async () => {
  const replica = tinyReplica();
  replica.rows.row(3).fill(Number.NaN);
  const { weights } = await replica.trunk();
  const row = replica.rows.row(1).slice();
  await assert.rejects(replica.trainStep(stream(6), RATES), /loss is not finite in optimizer step 1/);
  assert.deepEqual((await replica.trunk()).weights, weights);
  assert.deepEqual(replica.rows.row(1), row);
  assert.equal(replica.step, 0);
  replica.dispose();
});

test("training on one batch over and over learns it", async () => {
  const replica = tinyReplica();
  const next = (row: number) => exampleAt(row);
  const first = await replica.trainStep(next, RATES);
  let last = first;
  for (let i = 0; i < 60; i++) last = await replica.trainStep(next, { ...RATES, lrTrunk: 3e-3 });
  assert.ok(last.lmLoss < 0.7 * first.lmLoss, `${first.lmLoss} -> ${last.lmLoss}`);
  replica.dispose();
});

test("ranks share the global batch without gap or overlap", () => {
  for (const [batch, worldSize] of [
    [6, 1],
    [7, 3],
    [384, 4],
    [5, 5],
  ] as const) {
    const slices = Array.from({ length: worldSize }, (_, rank) => sliceOf(batch, { rank, worldSize }));
    assert.deepEqual(
      slices.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i)),
      Array.from({ length: batch }, (_, i) => i),
    );
    const counts = slices.map(({ count }) => count);
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1);
  }
});

test("predicting brings no puzzle row into being, and takes one that was never trained at its start", async () => {
  const [asked, unasked] = [tinyReplica(), tinyReplica()];
  for (const replica of [asked, unasked]) await replica.trainStep(stream(6), RATES);
  const example = { ...exampleAt(0), puzzleId: 77 };
  asked.rows.row(77);
  const before = unasked.rows.touched();
  assert.deepEqual(await unasked.predict([example, exampleAt(1)], 2), await asked.predict([example, exampleAt(1)], 2));
  assert.deepEqual(unasked.rows.touched(), before);
  for (const replica of [asked, unasked]) replica.dispose();
});

test("a step whose exchange fails changes nothing that lasts: joined anew, the replica goes on as one that never tried", async () => {
  const broken = async (): Promise<never> => {
    throw new Error("the other rank is lost");
  };
  const state = async (replica: ReturnType<typeof tinyReplica>): Promise<unknown> => ({
    trunk: await replica.trunk(),
    rows: replica.rows.touched().map((id) => [id, replica.rows.row(id).slice()]),
    step: replica.step,
  });
  for (const lostIn of ["allReduceSum", "allGather"] as const) {
    const [tried, expected] = [tinyReplica(), tinyReplica()];
    for (const replica of [tried, expected]) await replica.trainStep(stream(6), RATES);
    const tensors = tf.memory().numTensors;
    tried.join({ rank: 1, worldSize: 2, allReduceSum: async () => {}, allGather: async (data) => [data], [lostIn]: broken });
    assert.equal(tried.localBatch, 3);
    await assert.rejects(tried.trainStep(stream(6), RATES), /the other rank is lost/);
    for (const replica of [tried, expected]) replica.join(ALONE);
    assert.ok(tf.memory().numTensors <= tensors + 1, "tensors of the failed step"); // its summed gradient may wait for the next one
    assert.equal(tried.localBatch, 6);
    for (const replica of [tried, expected]) for (let i = 0; i < 2; i++) await replica.trainStep(stream(6), RATES);
    assert.deepEqual(await state(tried), await state(expected), lostIn);
    for (const replica of [tried, expected]) replica.dispose();
  }
});

test("a loss that is not finite is told apart from other errors", async () => {
  const replica = tinyReplica();
  replica.rows.row(exampleAt(0).puzzleId).fill(Number.NaN);
  await assert.rejects(
    replica.trainStep(stream(6), RATES),
    (error: unknown) => error instanceof Diverged && /optimizer step 1/.test(error.message),
  );
  replica.dispose();
});

test("agreement is the number of last ACT steps that gave the same answer, and is read out only where it is asked for", async () => {
  const runs: string[] = [];
  const makeReady: MakeReady = (name, step) => ({
    run: (inputs) => {
      runs.push(name);
      return step(inputs);
    },
    dispose: () => {},
  });
  const replica = tinyReplica({ microBatch: 4, makeReady });
  for (let step = 0; step < 20; step++) await replica.trainStep(stream(6), RATES);
  const examples = Array.from({ length: 7 }, (_, i) => exampleAt(i));
  const actSteps = 6;
  const answerKey = (tokens: Int32Array, at: number): string => tokens.subarray(at, at + TOKENS).join();
  const byStep: string[][] = [];
  for (let steps = 1; steps <= actSteps; steps++) {
    const { tokens } = await replica.predict(examples, steps);
    byStep.push(examples.map((_, row) => answerKey(tokens, row * TOKENS)));
  }
  const expected = examples.map((_, row) => {
    const changed = byStep.findLastIndex((answers) => answers[row] !== byStep.at(-1)![row]);
    return { steps: actSteps - 1 - changed, of: actSteps };
  });
  assert.ok(new Set(expected.map(({ steps }) => steps)).size > 1, `some answers are older than others: ${JSON.stringify(expected)}`);
  runs.length = 0;
  const plain = await replica.predict(examples, actSteps);
  const readOuts = (): number => runs.filter((name) => name === "read-out").length;
  assert.equal(readOuts(), 3, "one a part: 4, 2 and 1 rows");
  const { agreement, ...watched } = await replica.predict(examples, { actSteps, stopAtHalt: false, answerKey });
  assert.equal(readOuts(), 3 + 3 * actSteps);
  assert.deepEqual(watched, plain);
  assert.deepEqual(agreement, expected);
  replica.dispose();
});
