import assert from "node:assert/strict";
import { before, test } from "node:test";
import { startEngine } from "../../../src/backend/select.ts";
import type { Example } from "../../../src/encode/batch.ts";
import { ENCODED } from "../../../src/encode/demonstrations.ts";
import { Q_LOSS_WEIGHT } from "../../../src/loss/act-loss.ts";
import { initEncoder } from "../../../src/model/encoder.ts";
import { encoderLayout } from "../../../src/model/encoder-config.ts";
import { ADAM_ATAN2_DEFAULTS } from "../../../src/optim/adam-atan2.ts";
import { createRandom } from "../../../src/random.ts";
import type { Replica, ReplicaSettings } from "../../../src/train/replica.ts";
import { carryPartOf, restoreCarry, restoreReplica, trainingStateOf } from "../../../src/train/resume.ts";
import { relativeL2 } from "../../golden/npz.ts";
import { exampleAt, pairOfRanks, RATES, TINY, TOKENS, tinyReplica } from "./tiny-replica.ts";

const E = TINY.puzzleEmbeddingSize;
const CONFIG = { layers: 1, pairs: 2 };
const PAIR = 2 * TOKENS;

before(() => startEngine("wasm"));

/** Start of an encoder whose last layer is not zero any more. */
function begun(): Float32Array {
  const weights = initEncoder(TINY, CONFIG, new Float32Array(E), createRandom("encoder"));
  const out = encoderLayout(TINY, CONFIG).find(({ name }) => name === "encoder.out.weight")!;
  for (let i = 0; i < out.size; i++) weights[out.offset + i] = 0.3 * Math.sin(i);
  return weights;
}

/** A replica whose encoder makes half of the rows unless told otherwise. */
function withEncoder(settings: Partial<ReplicaSettings> = {}, share = 0.5, initial = begun()): Replica {
  return tinyReplica({ encoder: { config: CONFIG, initial, share }, ...settings });
}

/** Gives every row of a batch of `size` its next example, with made-up demonstrations. */
function shown(size: number): (row: number) => Example {
  const draws = new Int32Array(size);
  return (row) => {
    const n = draws[row]!++ * size + row;
    const random = createRandom("shown").fork(n);
    return { ...exampleAt(n), demonstrate: (atMost) => Int32Array.from({ length: (1 + (n % atMost)) * PAIR }, () => random.int(1, 11)) };
  };
}

test("the gradient of the encoder is that of the loss, through rows and trunk", async () => {
  const model = { ...TINY, hCycles: 1 }; // nothing is cut off from the gradient
  const rates = { ...RATES, lrTrunk: 0 };
  const run = async (initial: Float32Array): Promise<{ loss: number; moment: Float32Array }> => {
    const replica = withEncoder({ model }, 0.5, initial);
    const { lmLoss, qHaltLoss } = await replica.trainStep(shown(6), rates);
    const { firstMoment } = await replica.encoder!.read();
    replica.dispose();
    return { loss: lmLoss + Q_LOSS_WEIGHT * qHaltLoss, moment: firstMoment };
  };
  const flat = begun();
  const gradient = (await run(flat)).moment.map((value) => value / (1 - ADAM_ATAN2_DEFAULTS.beta1));
  const random = createRandom("directions");
  for (let trial = 0; trial < 4; trial++) {
    const direction = Float32Array.from(flat, () => random.normal());
    const length = Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0));
    const along = (by: number): Promise<{ loss: number }> => run(flat.map((value, i) => value + (by * direction[i]!) / length));
    const step = 0.1;
    const measured = ((await along(step)).loss - (await along(-step)).loss) / (2 * step);
    const expected = direction.reduce((sum, value, i) => sum + (value / length) * gradient[i]!, 0);
    assert.ok(Math.abs(expected) > 1e-5 && Math.abs(measured - expected) <= 0.05 * Math.abs(expected) + 2e-5, `${measured}, ${expected}`);
  }
});

test("rows that the encoder makes move it and no row of the table; the others move the table", async () => {
  const replica = withEncoder();
  const before = (await replica.encoder!.read()).weights.slice();
  const examples: Example[] = [];
  const next = shown(6);
  const { encoded } = await replica.trainStep((row) => (examples[row] = next(row)), RATES);
  const made = [0, 1, 2, 3, 4, 5].filter((row) => replica.encoder!.makes(row));
  assert.deepEqual(made, [1, 3, 5]);
  const ofTable = examples.filter((_, row) => !made.includes(row)).map(({ puzzleId }) => puzzleId);
  assert.deepEqual(replica.rows.touched().sort(), [...new Set(ofTable)].sort());
  const after = (await replica.encoder!.read()).weights;
  assert.ok(after.filter((value, i) => value !== before[i]).length > 0.9 * before.length);
  assert.ok(encoded!.lmLoss > 0);
  replica.dispose();
  for (const [share, rows] of [
    [1, [0, 1, 2, 3, 4, 5]],
    [0, []],
  ] as const) {
    const other = withEncoder({}, share);
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].filter((row) => other.encoder!.makes(row)),
      rows,
    );
    await other.trainStep(shown(6), RATES);
    assert.equal(other.rows.touched().length > 0, share === 0);
    other.dispose();
  }
});

test("a batch in parts and a batch over two ranks train the encoder as a whole one does, within rounding", async () => {
  const steps = async (...replicas: Replica[]): Promise<Replica> => {
    await Promise.all(
      replicas.map(async (replica) => {
        const next = shown(6);
        for (let step = 0; step < 3; step++) await replica.trainStep(next, RATES);
      }),
    );
    return replicas[0]!;
  };
  const whole = await steps(withEncoder());
  const parts = await steps(withEncoder({ microBatch: 2 }));
  const ranks = pairOfRanks().map((exchange) => {
    const replica = withEncoder();
    replica.join(exchange);
    return replica;
  });
  const shared = await steps(...ranks);
  const expected = await whole.encoder!.read();
  for (const replica of [parts, shared]) {
    const { firstMoment, weights } = await replica.encoder!.read();
    assert.ok(relativeL2(firstMoment, expected.firstMoment) < 1e-4, `moment ${relativeL2(firstMoment, expected.firstMoment)}`);
    assert.ok(relativeL2(weights, expected.weights) < 1e-4, `weights ${relativeL2(weights, expected.weights)}`);
  }
  assert.deepEqual((await ranks[1]!.encoder!.read()).weights, (await shared.encoder!.read()).weights, "both ranks have the same bits");
  for (const replica of [whole, parts, ...ranks]) replica.dispose();
});

test("a training of an encoder that is taken up again goes on with the same bits, demonstrations of its rows included", async () => {
  const unbroken = withEncoder();
  const first = shown(6);
  const kept: Example[] = [];
  const noted = (row: number): Example => {
    const example = first(row);
    kept.push(example);
    return example;
  };
  for (let step = 0; step < 4; step++) await unbroken.trainStep(noted, RATES);
  const state = await trainingStateOf(unbroken, { draws: new Int32Array(6), rowStart: new Float32Array(E), plannedSteps: 9, record: {} });
  const carry = await carryPartOf(unbroken);
  const again = withEncoder({}, 0.5, new Float32Array(begun().length));
  restoreReplica(again, state, "state");
  assert.ok(await restoreCarry(again, [{ first: 0, part: carry }]));
  const rest: Example[] = [];
  for (let step = 0; step < 2; step++)
    await unbroken.trainStep((row) => {
      const example = noted(row);
      rest.push(example);
      return example;
    }, RATES);
  for (let step = 0; step < 2; step++) await again.trainStep(() => rest.shift()!, RATES);
  assert.deepEqual(await again.encoder!.read(), await unbroken.encoder!.read());
  assert.deepEqual(await again.trunk(), await unbroken.trunk());
  for (const replica of [unbroken, again]) replica.dispose();
});

test("trained on a few rules, an encoder makes rows that solve pairs never seen, better than the row that all begin with", async () => {
  // A rule paints every cell with its own colour: what it is can be known from demonstrations alone.
  const side = 3;
  const draw = createRandom("rules");
  const canvas = (color?: number): Int32Array => Int32Array.from({ length: side * side }, () => color ?? draw.int(2, 7));
  const example = (rule: number, puzzleId: number): Example => ({
    inputs: canvas(),
    labels: canvas(rule),
    puzzleId,
    demonstrate: (atMost) => Int32Array.from(Array.from({ length: atMost }, () => [...canvas(), ...canvas(rule)]).flat()),
  });
  const model = { ...TINY, hCycles: 1, lCycles: 1, haltMaxSteps: 1 };
  const encoder = { config: CONFIG, initial: initEncoder(TINY, CONFIG, new Float32Array(E), createRandom("encoder")), share: 1 };
  const replica = tinyReplica({ model, encoder, haltMaxSteps: 1, globalBatch: 12, microBatch: 12 });
  for (let step = 0; step < 150; step++) {
    await replica.trainStep((row) => example(2 + (row % 6), 0), { ...RATES, lrTrunk: 5e-3 });
  }
  const asked = Array.from({ length: 24 }, (_, i) => example(2 + (i % 6), ENCODED));
  const mean = (losses: Float32Array): number => losses.reduce((sum, value) => sum + value, 0) / losses.length;
  const zeroShot = mean((await replica.predict(asked, 1, true)).losses!);
  replica.rows.put(77, new Float32Array(E));
  const without = mean(
    (
      await replica.predict(
        asked.map((each) => ({ ...each, puzzleId: 77 })),
        1,
        true,
      )
    ).losses!,
  );
  assert.ok(zeroShot < 0.5 * without, `loss ${zeroShot} with the encoder's rows, ${without} with the row that all begin with`);
  replica.dispose();
});
