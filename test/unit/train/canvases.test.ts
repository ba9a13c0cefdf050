import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../../src/backend/select.ts";
import type { Example } from "../../../src/encode/batch.ts";
import { canvasPositions } from "../../../src/encode/positions.ts";
import { createRandom } from "../../../src/random.ts";
import type { MakeReady } from "../../../src/trace/ready-step.ts";
import type { Replica, ReplicaSettings } from "../../../src/train/replica.ts";
import { carryPartOf, restoreCarry, restoreReplica, trainingStateOf } from "../../../src/train/resume.ts";
import type { Canvases } from "../../../src/train/row-canvases.ts";
import { difference, relativeL2 } from "../../golden/npz.ts";
import { pairOfRanks, RATES, TINY, tinyReplica } from "./tiny-replica.ts";

before(() => startEngine("wasm"));

/** Cells a side of the canvases, the last the one that fixes the positions. */
const SIDES = [2, 3];
/** Which of them each row of the batch is on. */
const OF_ROW = Uint8Array.from([1, 0, 1, 0, 0, 1]);
const positionsOn = (side: number): Int32Array => canvasPositions(side, 3, TINY.prefixLength);
const canvases: Canvases = { positions: SIDES.map(positionsOn), ofRow: OF_ROW };

/** The n-th example of a row, on its canvas. */
function exampleOf(row: number, n: number): Example {
  const random = createRandom("canvases").fork(`${row}:${n}`);
  const tokens = SIDES[OF_ROW[row]!]! ** 2;
  const draw = (): Int32Array => Int32Array.from({ length: tokens }, () => random.int(2, 11));
  return { inputs: draw(), labels: draw(), puzzleId: (row + n) % 5 };
}

/** Rows of the whole batch, or of part of it: `rows` says which row of the whole each is. */
function stream(rows: readonly number[] = [...OF_ROW.keys()]): (row: number) => Example {
  const draws = rows.map(() => 0);
  return (row) => exampleOf(rows[row]!, draws[row]!++);
}

const several = (settings: Partial<ReplicaSettings> = {}): Replica => tinyReplica({ positions: positionsOn(3), canvases, ...settings });

/** Rows of the whole batch on a canvas. */
const rowsOn = (canvas: number): number[] => [...OF_ROW.keys()].filter((row) => OF_ROW[row] === canvas);

test("a batch on two canvases makes the steps of two ranks that have a canvas each, within rounding", async () => {
  for (const settings of [{}, { microBatch: 2 }, { recompute: true }]) {
    const mixed = several(settings);
    const exchanges = pairOfRanks();
    const ranks = SIDES.map((side, canvas) => {
      const replica = tinyReplica({ positions: positionsOn(side) });
      replica.join(exchanges[canvas]!);
      const next = stream([...rowsOn(0), ...rowsOn(1)]);
      return { replica, next };
    });
    const ofMixed = stream();
    for (const frozen of [false, true, false]) {
      const metrics = await mixed.trainStep(ofMixed, { ...RATES, frozen });
      const [expected] = await Promise.all(ranks.map(({ replica, next }) => replica.trainStep(next, { ...RATES, frozen })));
      assert.ok(Math.abs(metrics.lmLoss / expected!.lmLoss - 1) < 1e-4, `${metrics.lmLoss} and ${expected!.lmLoss}`);
      assert.deepEqual([metrics.finished, metrics.actSteps], [expected!.finished, expected!.actSteps]);
      if (mixed.step > 1) continue;
      const trunk = await mixed.trunk();
      for (const { replica } of ranks) {
        const off = relativeL2((await replica.trunk()).firstMoment, trunk.firstMoment);
        assert.ok(off <= 1e-5, `gradients differ by ${off}`);
        for (const id of mixed.rows.touched()) assert.ok(difference(replica.rows.row(id), mixed.rows.row(id)).max <= 1e-6, `row ${id}`);
      }
    }
    for (const { replica } of ranks) replica.dispose();
    mixed.dispose();
  }
});

test("a prediction is that of a replica whose only canvas is the example's", async () => {
  const mixed = several({ microBatch: 2 });
  for (const [canvas, side] of SIDES.entries()) {
    const alone = tinyReplica({ positions: positionsOn(side) });
    const examples = Array.from({ length: 5 }, (_, n) => exampleOf(rowsOn(canvas)[0]!, n));
    const [given, expected] = [await mixed.predict(examples, 3), await alone.predict(examples, 3)];
    assert.deepEqual(given.tokens, expected.tokens);
    assert.ok(difference(given.qHaltLogits, expected.qHaltLogits).max <= 1e-5);
    alone.dispose();
  }
  await assert.rejects(mixed.predict([{ ...exampleOf(0, 0), inputs: new Int32Array(16) }], 1), /16 tokens/);
  await assert.rejects(
    mixed.trainStep((row) => exampleOf(row === 0 ? 1 : row, 0), RATES),
    /an example of 4 tokens for row 0 of the batch, whose canvas has 9/,
  );
  mixed.dispose();
});

/** Notes the rows and tokens of each run; more than `limit` positions together don't fit. */
function noting(seen: string[], limit = Number.POSITIVE_INFINITY): MakeReady {
  return (_name, step) => ({
    run: (inputs) => {
      const [rows = 0, tokens = 0] = inputs.find(({ dtype, rank }) => dtype === "int32" && rank === 2)?.shape ?? [];
      if (rows * (TINY.prefixLength + tokens) > limit) {
        seen.push(`no room for ${rows} x ${tokens}`);
        throw new Error("RESOURCE_EXHAUSTED");
      }
      if (rows > 0) seen.push(`${rows} x ${tokens}`);
      return step(inputs);
    },
    dispose: () => {},
  });
}

test("as many rows of a smaller canvas go through the model together as have the positions of those of the largest", async () => {
  const seen: string[] = [];
  const replica = several({ microBatch: 2, makeReady: noting(seen) });
  await replica.trainStep(stream(), RATES);
  // 2 x 11 positions hold 3 rows of 6; 3 rows of 11 go in parts of 2 and 1.
  assert.deepEqual(seen, ["3 x 4", "2 x 9", "1 x 9"]);
  replica.dispose();
});

test("where memory runs out on one canvas, the rows of the others are cut to as many positions", async () => {
  const seen: string[] = [];
  const replica = several({ makeReady: noting(seen, 16) });
  await replica.trainStep(stream(), RATES);
  assert.deepEqual(seen, ["no room for 3 x 4", "2 x 4", "1 x 4", "1 x 9", "1 x 9", "1 x 9"]);
  replica.dispose();
});

test("rows on their way are saved in the order of the batch, and taken up by whoever has them then", async () => {
  const whole = several();
  const next = stream();
  for (let i = 0; i < 2; i++) await whole.trainStep(next, RATES);
  const carried = await whole.carriedRows();
  assert.ok(carried.steps.some((steps) => steps > 0) && carried.halted.includes(0), "samples are under way");
  OF_ROW.forEach((canvas, row) => {
    const { inputs } = exampleOf(row, 0);
    assert.deepEqual([...carried.inputs.subarray(row * 9, row * 9 + 9)], [...inputs, ...new Array<number>(9 - inputs.length).fill(0)]);
    const width = (TINY.prefixLength + 9) * TINY.hiddenSize;
    const state = carried.zH.subarray(row * width, (row + 1) * width);
    const used = (TINY.prefixLength + SIDES[canvas]! ** 2) * TINY.hiddenSize;
    assert.ok(state.subarray(0, used).every((value) => value !== 0) && state.subarray(used).every((value) => value === 0));
  });
  const state = await trainingStateOf(whole, {
    draws: new Int32Array(6).fill(1),
    rowStart: new Float32Array(16),
    plannedSteps: 9,
    record: {},
  });
  const part = await carryPartOf(whole);
  const exchanges = pairOfRanks();
  const ranks = exchanges.map((exchange) => {
    const replica = several({ microBatch: 2 });
    replica.join(exchange);
    return replica;
  });
  for (const replica of ranks) {
    restoreReplica(replica, state, "a test's");
    assert.ok(await restoreCarry(replica, [{ first: 0, part }]));
  }
  const again = several({ microBatch: 1 });
  restoreReplica(again, state, "a test's");
  assert.ok(await restoreCarry(again, [{ first: 0, part }]));
  assert.deepEqual(await again.carriedRows(), carried);
  const others = [Uint8Array.from([0, 1, 1, 0, 0, 1]), new Uint8Array(6).fill(1)];
  for (const ofRow of others) {
    const other = several({ canvases: { ...canvases, ofRow } });
    assert.equal(await restoreCarry(other, [{ first: 0, part }]), false, "rows on other canvases");
    other.dispose();
  }
  const onOne = several({ canvases: undefined });
  assert.equal(await restoreCarry(onOne, [{ first: 0, part }]), false, "rows on several canvases");
  assert.equal(await restoreCarry(again, [{ first: 0, part: await carryPartOf(onOne) }]), false, "rows on one canvas");
  onOne.dispose();
  const goesOn = (row: number): Example => exampleOf(row, 1);
  const expected = await whole.trainStep(goesOn, RATES);
  const [ofRanks] = await Promise.all(ranks.map((replica) => replica.trainStep(goesOn, RATES)));
  const alone = await again.trainStep(goesOn, RATES);
  for (const { lmLoss, finished } of [ofRanks!, alone]) {
    assert.ok(Math.abs(lmLoss / expected.lmLoss - 1) < 1e-5, `${lmLoss} and ${expected.lmLoss}`);
    assert.equal(finished, expected.finished);
  }
  for (const replica of [whole, again, ...ranks]) replica.dispose();
});

test("steps on two canvases leave no tensor behind, and dispose frees all", async () => {
  const atStart = tf.memory().numTensors;
  const replica = several();
  const next = stream();
  await replica.trainStep(next, RATES);
  const warm = tf.memory().numTensors;
  for (let i = 0; i < 3; i++) await replica.trainStep(next, RATES);
  assert.equal(tf.memory().numTensors, warm);
  replica.dispose();
  assert.equal(tf.memory().numTensors, atStart);
});
