import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../../src/backend/select.ts";
import { loadTrainingState, saveTrainingState } from "../../../src/checkpoint/training-state.ts";
import { adapterSize } from "../../../src/model/config.ts";
import { initTrunk } from "../../../src/model/init.ts";
import { mergeLora } from "../../../src/model/lora.ts";
import { parameterLayout } from "../../../src/model/parameters.ts";
import { ADAM_ATAN2_DEFAULTS } from "../../../src/optim/adam-atan2.ts";
import { createRandom } from "../../../src/random.ts";
import type { ReplicaSettings } from "../../../src/train/replica.ts";
import { restoreReplica, trainingStateOf } from "../../../src/train/resume.ts";
import { difference, relativeL2 } from "../../golden/npz.ts";
import { exampleAt, pairOfRanks, RATES, stream, TINY, tinyReplica } from "./tiny-replica.ts";

const LORA = { rank: 2, alpha: 16 };
const SETTINGS: Partial<ReplicaSettings> = { lora: LORA, adam: { ...ADAM_ATAN2_DEFAULTS, rule: "fork" } };
const trunk = initTrunk(TINY, createRandom("trunk")).weights; // that of every tiny replica

before(() => startEngine("wasm"));

test("adapters learn on a base that stays bit by bit, in a step of one part and in one of several", async () => {
  for (const microBatch of [6, 4]) {
    const replica = tinyReplica({ ...SETTINGS, microBatch });
    const example = { ...exampleAt(0), puzzleId: 77 }; // a row that is never trained
    const start = Object.fromEntries(Object.entries(await replica.trunk()).map(([name, values]) => [name, values.slice()]));
    const before = await replica.predict([example], 2);
    const next = stream(6);
    for (let step = 0; step < 4; step++) await replica.trainStep(next, RATES);
    const learned = await replica.trunk();
    assert.equal(learned.weights.length, adapterSize(TINY, LORA.rank));
    assert.ok(difference(learned.weights, start.weights!).max > 1e-3);
    const after = await replica.predict([example], 2);
    assert.notEqual(after.qHaltLogits[0], before.qHaltLogits[0]);
    // With the adapters of the start on it again, the base answers as it did.
    replica.restore({ ...(start as unknown as typeof learned), ...(await replica.buffers()), step: 4 });
    assert.deepEqual(await replica.predict([example], 2), before);
    replica.dispose();
  }
});

test("what predicts, and what a checkpoint would keep, is the base with the averaged adapters worked in", async () => {
  const replica = tinyReplica(SETTINGS);
  const next = stream(6);
  for (let step = 0; step < 4; step++) await replica.trainStep(next, RATES);
  const { ema, weights } = await replica.trunk();
  const layout = parameterLayout(TINY);
  const merged = mergeLora(trunk, ema, layout, LORA);
  assert.ok(difference(replica.averagedTrunk(), merged).max <= 1e-6);
  assert.ok(difference(mergeLora(trunk, weights, layout, LORA), merged).max > 1e-4, "raw and averaged adapters differ");
  const plain = tinyReplica();
  plain.restore({ ...(await plain.trunk()), ema: merged, ...(await plain.buffers()), step: 4 });
  const [adapted, expected] = await Promise.all([replica, plain].map((each) => each.predict([{ ...exampleAt(1), puzzleId: 77 }], 2)));
  assert.ok(Math.abs(adapted!.qHaltLogits[0]! - expected!.qHaltLogits[0]!) <= 1e-5);
  for (const each of [replica, plain]) each.dispose();
});

test("steps with adapters leave no tensor behind, and learn a batch", async () => {
  const atStart = tf.memory().numTensors;
  const replica = tinyReplica(SETTINGS);
  const step = async (): Promise<number> => {
    const { lmLoss } = await replica.trainStep((row) => exampleAt(row), { ...RATES, lrTrunk: 3e-3 });
    await replica.predict([exampleAt(1)], 1);
    return lmLoss;
  };
  const first = await step();
  const warm = tf.memory().numTensors;
  let last = first;
  for (let i = 0; i < 50; i++) last = await step();
  assert.equal(tf.memory().numTensors, warm);
  assert.ok(last < 0.8 * first, `${first} -> ${last}`);
  replica.dispose();
  assert.equal(tf.memory().numTensors, atStart);
});

test("two ranks exchange the adapters' gradients alone and come to the step of one", async () => {
  const alone = tinyReplica(SETTINGS);
  const sent: number[] = [];
  const ranks = pairOfRanks(sent).map((exchange) => {
    const replica = tinyReplica(SETTINGS);
    replica.join(exchange);
    return replica;
  });
  await alone.trainStep(stream(6), RATES);
  await Promise.all(ranks.map((replica) => replica.trainStep(stream(6), RATES)));
  assert.ok(
    sent.every((length) => length >= adapterSize(TINY, 2) && length < adapterSize(TINY, 2) + 20),
    `${sent}`,
  );
  const [expected, first, second] = await Promise.all([alone, ...ranks].map((replica) => replica.trunk()));
  assert.deepEqual(first, second);
  assert.ok(relativeL2(first!.firstMoment, expected!.firstMoment) <= 1e-5);
  for (const id of alone.rows.touched()) assert.ok(difference(ranks[0]!.rows.row(id), alone.rows.row(id)).max <= 1e-6);
  for (const each of [alone, ...ranks]) each.dispose();
});

test("taken up from its files, a training of adapters goes on as if it had never stopped; a trunk's state is refused", async () => {
  const folder = mkdtempSync(join(tmpdir(), "trm-lora-"));
  try {
    const [unbroken, resumed, whole] = [tinyReplica(SETTINGS), tinyReplica(SETTINGS), tinyReplica()];
    const course = { draws: new Int32Array(6), plannedSteps: 9, rowStart: new Float32Array(16), record: {} };
    for (const replica of [unbroken, whole]) for (let i = 0; i < 3; i++) await replica.trainStep((row) => exampleAt(6 * i + row), RATES);
    saveTrainingState(join(folder, "lora"), await trainingStateOf(unbroken, course));
    saveTrainingState(join(folder, "whole"), await trainingStateOf(whole, course));
    restoreReplica(resumed, loadTrainingState(join(folder, "lora"))!, "lora");
    unbroken.join(unbroken.exchange); // both begin new samples
    for (const replica of [unbroken, resumed]) await replica.trainStep((row) => exampleAt(40 + row), RATES);
    assert.deepEqual(await resumed.trunk(), await unbroken.trunk());
    assert.deepEqual(resumed.averagedTrunk(), unbroken.averagedTrunk());
    assert.throws(() => restoreReplica(resumed, loadTrainingState(join(folder, "whole"))!, "whole"), /resume with the same shape/);
    for (const each of [unbroken, resumed, whole]) each.dispose();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
