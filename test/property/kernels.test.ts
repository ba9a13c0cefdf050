import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { startEngine } from "../../src/backend/select.ts";
import { attend } from "../../src/model/attention.ts";
import { OWN_KERNEL_PREFIX } from "../../src/model/own-kernel.ts";
import { addRmsNorm } from "../../src/model/rms-norm.ts";
import { rotaryTables } from "../../src/model/rotary.ts";
import { gate } from "../../src/model/swiglu.ts";
import { createRandom } from "../../src/random.ts";
import * as plain from "./plain-tensors.ts";

/** Both engines have kernels of their own. */
const engine = process.env.TRM_TEST_ENGINE === "tensorflow" ? "tensorflow" : "wasm";
before(() => startEngine(engine));

/** Why TensorFlow has none here; false where it must have them. */
const without = ((): string | false => {
  if (engine === "wasm") return false;
  if (process.env.TRM_NATIVE_KERNELS === "off") return "TRM_NATIVE_KERNELS is off";
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.split(" ") ?? [];
  return flags.includes("avx2") && flags.includes("fma") ? false : "the processor has no AVX2";
})();
if (without) console.log(`own kernels skipped: ${without}`);
const options = { skip: without };

const RUNS = { numRuns: 60 };
/** Below this a sigmoid is 0 in float32. */
const SMALLEST = 1e-30;
const seed = fc.integer();
const floats = (tensor: tf.Tensor): Float32Array => tensor.dataSync() as Float32Array;

/** Normal numbers of a given spread. */
function draws(from: number, name: string, length: number, spread = 1): Float32Array {
  const random = createRandom(String(from)).fork(name);
  return Float32Array.from({ length }, () => spread * random.normal());
}

/** Rounding is told from a wrong number by its size against the largest one. */
function near(actual: ArrayLike<number>, expected: ArrayLike<number>, limit: number, what: string): void {
  assert.equal(actual.length, expected.length, what);
  const largest = Array.from(expected).reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3);
  for (let i = 0; i < expected.length; i++) {
    assert.ok(Math.abs(actual[i]! - expected[i]!) <= limit * largest, `${what} at ${i}: ${actual[i]}, expected ${expected[i]}`);
  }
}

/** Takes our fused kernels out of the registry, so that the operation is composed of tfjs's. */
function withoutOwnKernels<T>(body: () => T): T {
  const own = tf.getKernelsForBackend(engine).filter(({ kernelName }) => kernelName.startsWith(OWN_KERNEL_PREFIX));
  assert.ok(own.length >= 6);
  for (const { kernelName } of own) tf.unregisterKernel(kernelName, engine);
  try {
    return body();
  } finally {
    for (const kernel of own) tf.registerKernel(kernel);
  }
}

/** Asserts that a product errs by no more than the rounding of its k products and sums, in whatever order: where terms cancel, their size counts and not the sum's. */
function nearProduct(
  actual: plain.Numbers,
  a: Float32Array,
  b: Float32Array,
  { m, k, n, transposeA, transposeB }: { m: number; k: number; n: number; transposeA: boolean; transposeB: boolean },
): void {
  const expected = plain.matMul(a, b, m, k, n, transposeA, transposeB);
  const terms = plain.matMul(a.map(Math.abs), b.map(Math.abs), m, k, n, transposeA, transposeB);
  expected.forEach((value, at) => {
    const bound = (k + 1) * 2 ** -24 * terms[at]!;
    assert.ok(Math.abs(actual[at]! - value) <= bound, `product at ${at}: ${actual[at]}, expected ${value} within ${bound}`);
  });
}

/** As `near`, each number against the size of its own terms: where they cancel, their size counts and not the sum's. */
function nearSum(actual: plain.Numbers, expected: plain.Numbers, terms: plain.Numbers, limit: number, what: string): void {
  assert.equal(actual.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    const bound = limit * terms[i]! + SMALLEST;
    assert.ok(Math.abs(actual[i]! - expected[i]!) <= bound, `${what} at ${i}: ${actual[i]}, expected ${expected[i]} within ${bound}`);
  }
}

/** An operation's value and, for a given dy, its gradient. */
function valueAndGradient(f: (x: tf.Tensor2D) => tf.Tensor2D, x: tf.Tensor2D, dy: tf.Tensor2D): [Float32Array, Float32Array] {
  return [floats(f(x)), floats(tf.grad((t) => tf.sum(tf.mul(f(t as tf.Tensor2D), dy)))(x))];
}

test("a matrix product equals plain loops, in every orientation, batched or with one shared operand, at odd sizes", () => {
  const side = fc.integer({ min: 1, max: 37 });
  const batches = fc.constantFrom<[number, number]>([1, 1], [3, 3], [1, 4], [4, 1]);
  fc.assert(
    fc.property(seed, side, side, side, fc.boolean(), fc.boolean(), batches, (s, m, k, n, transposeA, transposeB, [countA, countB]) => {
      const a = draws(s, "a", countA * m * k);
      const b = draws(s, "b", countB * k * n);
      const actual = tf.tidy(() =>
        floats(
          tf.matMul(
            tf.tensor(a, [countA, ...(transposeA ? [k, m] : [m, k])]),
            tf.tensor(b, [countB, ...(transposeB ? [n, k] : [k, n])]),
            transposeA,
            transposeB,
          ),
        ),
      );
      for (let i = 0; i < Math.max(countA, countB); i++) {
        const [atA, atB] = [countA === 1 ? 0 : i * m * k, countB === 1 ? 0 : i * k * n];
        const factors = [a.subarray(atA, atA + m * k), b.subarray(atB, atB + k * n)] as const;
        nearProduct(actual.subarray(i * m * n, (i + 1) * m * n), ...factors, { m, k, n, transposeA, transposeB });
      }
    }),
    RUNS,
  );
});

test("a matrix product deeper than one cache block equals plain loops", () => {
  const depth = fc.integer({ min: 250, max: 530 });
  fc.assert(
    fc.property(seed, depth, fc.boolean(), fc.boolean(), (s, k, transposeA, transposeB) => {
      const [m, n] = [5, 11];
      const [a, b] = [draws(s, "a", m * k), draws(s, "b", k * n)];
      const actual = tf.tidy(() =>
        floats(
          tf.matMul(tf.tensor2d(a, transposeA ? [k, m] : [m, k]), tf.tensor2d(b, transposeB ? [n, k] : [k, n]), transposeA, transposeB),
        ),
      );
      nearProduct(actual, a, b, { m, k, n, transposeA, transposeB });
    }),
    { numRuns: 20 },
  );
});

test("the fused norm and its gradient equal plain loops and tfjs's operations", options, () => {
  const size = fc.integer({ min: 1, max: 37 });
  fc.assert(
    fc.property(seed, size, size, fc.constantFrom(1e-3, 1, 30), (s, rows, width, spread) => {
      tf.tidy(() => {
        const [x, y, dy] = [draws(s, "x", rows * width, spread), draws(s, "y", rows * width, spread), draws(s, "dy", rows * width)];
        const shape: [number, number] = [rows, width];
        const residual = tf.tensor2d(y, shape);
        const run = () => valueAndGradient((t) => addRmsNorm(t, residual, 1e-5), tf.tensor2d(x, shape), tf.tensor2d(dy, shape));
        const expected = plain.addRmsNorm(x, y, width, 1e-5);
        const gradient = plain.addRmsNormGrad(dy, expected.normed, expected.inverse, width);
        // In a narrow row the gradient is what two nearly equal numbers leave.
        const scale = Array.from(dy).reduce((m, v) => Math.max(m, Math.abs(v)), 0) * Math.max(...expected.inverse);
        for (const [value, actual] of [run(), withoutOwnKernels(run)]) {
          near(value, expected.normed, 1e-6, "norm");
          gradient.forEach((v, i) => {
            assert.ok(Math.abs(actual[i]! - v) <= 2e-6 * scale, `gradient at ${i}: ${actual[i]}, expected ${v}`);
          });
        }
      });
    }),
    RUNS,
  );
});

test("the fused gate and its gradient equal plain loops and tfjs's operations, also where the sigmoid is flat", options, () => {
  fc.assert(
    fc.property(
      seed,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 37 }),
      fc.constantFrom(0.1, 1, 10, 60),
      (s, rows, width, spread) => {
        tf.tidy(() => {
          const [x, dy] = [draws(s, "x", rows * 2 * width, spread), draws(s, "dy", rows * width)];
          const run = () => valueAndGradient(gate, tf.tensor2d(x, [rows, 2 * width]), tf.tensor2d(dy, [rows, width]));
          for (const [value, gradient] of [run(), withoutOwnKernels(run)]) {
            near(value, plain.gate(x, width), 1e-6, "gate");
            nearSum(gradient, plain.gateGrad(dy, x, width), plain.gateGradTerms(dy, x, width), 2e-6, "gradient");
          }
        });
      },
    ),
    RUNS,
  );
});

test("fused attention and its gradient equal plain loops and tfjs's operations", options, () => {
  fc.assert(
    fc.property(
      seed,
      fc.integer({ min: 1, max: 2 }),
      fc.integer({ min: 1, max: 37 }),
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom(8, 16, 24, 4),
      fc.constantFrom(0.3, 1, 4),
      (s, batch, positions, heads, headSize, spread) => {
        tf.tidy(() => {
          const shape = { batch, positions, heads, headSize };
          const D = heads * headSize;
          const qkv = draws(s, "qkv", batch * positions * 3 * D, spread);
          const dy = draws(s, "dy", batch * positions * D);
          const rotary = rotaryTables(
            Int32Array.from({ length: positions }, (_, i) => i),
            headSize,
            10000,
          );
          const [cos, sin] = [floats(rotary.cos), floats(rotary.sin)];
          const run = () =>
            valueAndGradient(
              (t) => attend(t, shape, rotary),
              tf.tensor2d(qkv, [batch * positions, 3 * D]),
              tf.tensor2d(dy, [batch * positions, D]),
            );
          for (const [value, gradient] of [run(), withoutOwnKernels(run)]) {
            near(value, plain.attend(qkv, shape, cos, sin), 2e-5, "attention");
            near(gradient, plain.attendGrad(dy, qkv, shape, cos, sin), 5e-5, "gradient");
          }
        });
      },
    ),
    { numRuns: 40 },
  );
});

test("the kernels' exponential is within two units in the last place (TensorFlow's: four) over all of float32's range", options, () => {
  const limit = engine === "wasm" ? 2.5e-7 : 5e-7;
  tf.tidy(() => {
    for (let x = 0; x <= 86; x += 0.37) {
      const width = 8;
      const g = tf.tensor2d([...new Array<number>(width).fill(-x), ...new Array<number>(width).fill(1)], [1, 2 * width]);
      const actual = floats(gate(g))[0]!; // -x * sigmoid(-x), where the sigmoid is about exp(-x)
      const rounded = Math.fround(x);
      const expected = -rounded / (1 + Math.exp(rounded));
      assert.ok(Math.abs(actual - expected) <= limit * Math.abs(expected), `x = ${x}: ${actual}, expected ${expected}`);
    }
  });
});
