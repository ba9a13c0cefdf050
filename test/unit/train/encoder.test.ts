import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../../src/backend/select.ts";
import { type Demonstrations, NO_PAIR } from "../../../src/encode/demonstrations.ts";
import { initEncoder } from "../../../src/model/encoder.ts";
import { encoderLayout } from "../../../src/model/encoder-config.ts";
import { createRandom } from "../../../src/random.ts";
import { RowEncoder } from "../../../src/train/row-encoder.ts";
import { difference } from "../../golden/npz.ts";
import { TINY, TOKENS } from "./tiny-replica.ts";

const E = TINY.puzzleEmbeddingSize;
const SHAPE = { layers: 2, pairs: 3 };
const PAIR = 2 * TOKENS;
const MEAN = Float32Array.from({ length: E }, (_, i) => Math.cos(i));

let encoder: RowEncoder;
let weights: Float32Array;

before(async () => {
  await startEngine("wasm");
  encoder = new RowEncoder({
    model: TINY,
    encoder: SHAPE,
    positions: Int32Array.from({ length: TINY.prefixLength + TOKENS }, (_, i) => i),
    microBatch: 2,
  });
  weights = initEncoder(TINY, SHAPE, MEAN, createRandom("encoder"));
});

/** An encoder that has learned something: its last layer is not zero any more. */
function learned(): Float32Array {
  const { offset, size } = encoderLayout(TINY, SHAPE).find(({ name }) => name === "encoder.out.weight")!;
  return weights.map((value, i) => (i >= offset && i < offset + size ? 0.3 * Math.sin(i) : value));
}

/** Made-up demonstrations of a task: so many pairs on grids of three by two cells. */
function demonstrations(task: number, pairs: number): Demonstrations {
  const random = createRandom("demonstrations").fork(task);
  const all = new Int32Array(SHAPE.pairs * PAIR).fill(NO_PAIR);
  for (let i = 0; i < pairs * PAIR; i++) all[i] = i % 3 === 2 ? 0 : random.int(1, 11);
  return all;
}

function rowsOf(flat: Float32Array, ...tasks: Demonstrations[]): Float32Array {
  const tensor = tf.tensor1d(flat);
  const rows = encoder.rows(tensor, Int32Array.from(tasks.flatMap((each) => [...each])));
  tensor.dispose();
  return rows;
}

test("an encoder that has learned nothing gives the row that it began with, whatever it sees", () => {
  for (const pairs of [0, 1, 3]) assert.deepEqual(rowsOf(weights, demonstrations(1, pairs)), MEAN);
});

test("the order of the demonstrations makes no difference, nor where among them there is none; what they show does", () => {
  const [a, b, c] = [0, 1, 2].map((k) => demonstrations(7, 3).slice(k * PAIR, (k + 1) * PAIR)) as [Int32Array, Int32Array, Int32Array];
  const none = new Int32Array(PAIR).fill(NO_PAIR);
  const together = (...pairs: Int32Array[]): Int32Array => Int32Array.from(pairs.flatMap((pair) => [...pair]));
  const row = rowsOf(learned(), together(a, b, c));
  for (const order of [together(b, c, a), together(c, b, a)]) assert.ok(difference(rowsOf(learned(), order), row).max < 1e-5);
  const two = rowsOf(learned(), together(a, b, none));
  for (const order of [together(none, b, a), together(b, none, a)]) assert.ok(difference(rowsOf(learned(), order), two).max < 1e-5);
  assert.ok(difference(two, row).max > 1e-2, "a pair more is seen");
  const turned = together(Int32Array.from([...a.slice(TOKENS), ...a.slice(0, TOKENS)]), b, c);
  assert.ok(difference(rowsOf(learned(), turned), row).max > 1e-3, "which canvas is the input is seen");
});

test("a task's row does not depend on the tasks beside it, nor on how many go together", () => {
  const tasks = Array.from({ length: 7 }, (_, task) => demonstrations(task, 1 + (task % 3)));
  const rows = rowsOf(learned(), ...tasks);
  tasks.forEach((task, i) => {
    assert.ok(difference(rowsOf(learned(), task), rows.subarray(i * E, (i + 1) * E)).max < 1e-5);
  });
});

test("the gradient of every part of the encoder is that of finite differences", () => {
  const flat = learned();
  const tasks = Int32Array.from([0, 1, 2].flatMap((task) => [...demonstrations(task, 1 + task)]));
  const byRows = Float32Array.from({ length: 3 * E }, (_, i) => Math.sin(3 * i + 1));
  const loss = (at: Float32Array): number => {
    const tensor = tf.tensor1d(at);
    const rows = encoder.rows(tensor, tasks);
    tensor.dispose();
    return rows.reduce((sum, value, i) => sum + value * byRows[i]!, 0);
  };
  const tensor = tf.tensor1d(flat);
  const result = encoder.gradient(tensor, tasks, byRows);
  const gradient = result.dataSync() as Float32Array;
  tf.dispose([tensor, result]);
  const random = createRandom("directions");
  for (const { name, offset, size } of encoder.layout) {
    const step = 1e-2;
    const direction = Float32Array.from({ length: size }, () => random.normal());
    const length = Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0));
    const moved = (by: number): Float32Array =>
      flat.map((value, i) => (i >= offset && i < offset + size ? value + (by * direction[i - offset]!) / length : value));
    const measured = (loss(moved(step)) - loss(moved(-step))) / (2 * step);
    const expected = direction.reduce((sum, value, i) => sum + (value / length) * gradient[offset + i]!, 0);
    assert.ok(Math.abs(measured - expected) <= 2e-3 * Math.max(1, Math.abs(expected)), `${name}: ${measured} and ${expected}`);
    const strength = Math.sqrt(gradient.subarray(offset, offset + size).reduce((sum, value) => sum + value * value, 0));
    assert.ok(strength > 1e-3, `${name} has a gradient: ${strength}`);
  }
});

test("memory that runs out halves the rows that go together, and changes nothing else", () => {
  const seen: number[] = [];
  const small = new RowEncoder({
    model: TINY,
    encoder: SHAPE,
    positions: Int32Array.from({ length: TINY.prefixLength + TOKENS }, (_, i) => i),
    microBatch: 8,
    makeReady: (_name, step) => ({
      run: (inputs) => {
        const rows = inputs.at(-5)!.shape[0]!; // of the pairs' shares, before four tables
        if (rows > 2) throw new Error("RESOURCE_EXHAUSTED: a test's");
        seen.push(rows);
        return step(inputs);
      },
      dispose: () => {},
    }),
  });
  const tasks = Int32Array.from([0, 1, 2, 3, 4].flatMap((task) => [...demonstrations(task, 2)]));
  const tensor = tf.tensor1d(learned());
  assert.ok(difference(small.rows(tensor, tasks), encoder.rows(tensor, tasks)).max < 1e-6);
  assert.deepEqual(seen, [2, 2, 1]);
  tensor.dispose();
  small.dispose();
});
