import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { locateTensorFlow } from "../../src/backend/locate-tensorflow.ts";
import { NO_PAIR } from "../../src/encode/demonstrations.ts";
import { attend } from "../../src/model/attention.ts";
import { initEncoder } from "../../src/model/encoder.ts";
import { sliceParameters } from "../../src/model/parameters.ts";
import { addRmsNorm } from "../../src/model/rms-norm.ts";
import { gate } from "../../src/model/swiglu.ts";
import { ADAM_ATAN2_DEFAULTS, adamATan2, adamATan2Rates } from "../../src/optim/adam-atan2.ts";
import { emaUpdate } from "../../src/optim/ema.ts";
import { createRandom } from "../../src/random.ts";
import { type CompiledStep, type CompileOptions, compile } from "../../src/trace/compile.ts";
import { printGraph } from "../../src/trace/graph.ts";
import { AttentionTrial, CacheSuspected, type FirstRun, jit } from "../../src/trace/jit.ts";
import { isOutOfMemory, type MakeReady, opByOp } from "../../src/trace/ready-step.ts";
import { supportedOps, UnsupportedOp } from "../../src/trace/shapes.ts";
import { trace } from "../../src/trace/tracer.ts";
import { evaluationStep, gradientStep, ROW_STATISTICS, readOut } from "../../src/train/act-step.ts";
import { RowEncoder } from "../../src/train/row-encoder.ts";
import { targetsOf } from "../../src/train/targets.ts";
import { Npz, relativeL2 } from "../golden/npz.ts";
import { B, D, loadSmallModel, puzzleRows, S, SMALL_CONFIG, type SmallModel, T, V } from "../golden/small-model.ts";

/** These tests need TensorFlow, started as the engine under test: TRM_TEST_ENGINE=tensorflow and its folder in LD_LIBRARY_PATH. */
const missing = ((): string | false => {
  const search = locateTensorFlow();
  if (!search.found) return `no ${search.missing.join("; no ")}`;
  return process.env.TRM_TEST_ENGINE === "tensorflow" ? false : "TRM_TEST_ENGINE is not tensorflow";
})();
if (missing) console.log(`skipped: ${missing}`);
const options = { skip: missing };

let model: SmallModel;
before(async () => {
  if (!missing) model = await loadSmallModel();
});

const TARGETS: CompileOptions[] = [{ target: "xla" }, { target: "graph" }];
const floats = (tensor: tf.Tensor): Float32Array => tensor.dataSync() as Float32Array;

/** Everything a training step reads, as a list: what changes from step to step first. */
function trainingInputs(weights: tf.Tensor, zH: tf.Tensor, zL: tf.Tensor): tf.Tensor[] {
  const batch = new Npz("train-small");
  const ids = batch.ints("step1_batch_puzzle_identifiers");
  const { labels, asked, perToken } = targetsOf(batch.ints("step1_batch_labels"), B, S);
  const { hInit, lInit } = model.context.buffers;
  const { cos, sin } = model.context.rotary;
  const tokens = tf.tensor2d(batch.ints("step1_batch_inputs"), [B, S], "int32");
  return [weights, zH, zL, tokens, puzzleRows(model.puzzleTable, ids), tf.ones([B, 1]), labels, asked, perToken, hInit, lInit, cos, sin];
}

function asContext([hInit, lInit, cos, sin]: tf.Tensor[]) {
  return {
    config: SMALL_CONFIG,
    buffers: { hInit: hInit as tf.Tensor1D, lInit: lInit as tf.Tensor1D },
    rotary: { cos: cos as tf.Tensor2D, sin: sin as tf.Tensor2D },
  };
}

function asInputs([zH, zL, tokens, rows, fresh]: tf.Tensor[]) {
  return {
    tokens: tokens as tf.Tensor2D,
    puzzleRows: rows as tf.Tensor2D,
    fresh: fresh as tf.Tensor2D,
    latents: { zH: zH as tf.Tensor2D, zL: zL as tf.Tensor2D },
  };
}

const gradient = (inputs: tf.Tensor[], recompute = false): tf.Tensor[] =>
  tf.tidy(() => {
    const [weights, ...rest] = inputs;
    const [labels, asked, perToken] = rest.slice(5, 8);
    const targets = { labels: labels as tf.Tensor2D, asked: asked as tf.Tensor2D, perToken: perToken as tf.Tensor1D };
    const leaves = sliceParameters(weights as tf.Tensor1D, model.layout);
    const { trunkGradient, rows, zH, zL } = gradientStep(
      { ...asContext(rest.slice(8)), recompute },
      leaves,
      asInputs(rest),
      targets,
      1 / B,
    );
    return [trunkGradient, rows, zH, zL];
  });

const update = (inputs: tf.Tensor[]): tf.Tensor[] =>
  tf.tidy(() => {
    const [weights, firstMoment, secondMoment, average, g] = inputs as tf.Tensor1D[];
    const [decay, stepSize, secondScale, keep] = inputs.slice(5) as tf.Scalar[];
    const next = adamATan2(
      { weights: weights!, firstMoment: firstMoment!, secondMoment: secondMoment! },
      g!,
      { decay: decay!, stepSize: stepSize!, secondScale: secondScale! },
      ADAM_ATAN2_DEFAULTS,
    );
    return [next.weights, next.firstMoment, next.secondMoment, emaUpdate(average!, next.weights, keep!)];
  });

const evaluation = (inputs: tf.Tensor[]): tf.Tensor[] =>
  tf.tidy(() => {
    const [weights, ...rest] = inputs;
    const leaves = sliceParameters(weights as tf.Tensor1D, model.layout);
    const { zH, zL } = evaluationStep(asContext(rest.slice(8)), leaves, asInputs(rest));
    const { logits, q } = readOut(asContext(rest.slice(8)), leaves, zH, B);
    return [zH, zL, logits, q, tf.argMax(logits, -1)];
  });

type Step = (inputs: tf.Tensor[]) => tf.Tensor[];

/** Five optimizer steps on one batch. */
function fiveSteps(gradientOf: Step, updateOf: Step) {
  const rates = (t: number): tf.Tensor[] => {
    const { decay, stepSize, secondScale } = adamATan2Rates(1e-4, t, ADAM_ATAN2_DEFAULTS);
    return [decay, stepSize, secondScale, 0.999].map((rate) => tf.scalar(rate));
  };
  let state = tf.tidy(() => [
    tf.tensor1d(model.flat),
    tf.zeros([model.flat.length]),
    tf.zeros([model.flat.length]),
    tf.tensor1d(model.flat),
  ]);
  let [zH, zL] = [tf.zeros([B * T, D]), tf.zeros([B * T, D])];
  const losses: number[] = [];
  let firstGradient = new Float32Array(0);
  for (let t = 1; t <= 5; t++) {
    const inputs = trainingInputs(state[0]!, zH, zL);
    const [g, rows, h, l] = gradientOf(inputs);
    const statistics = floats(rows!);
    const loss = Array.from({ length: B }, (_, r) => statistics[r * (ROW_STATISTICS + D)]!).reduce((a, b) => a + b, 0);
    losses.push(loss / B);
    if (t === 1) firstGradient = floats(g!).slice();
    const next = updateOf([...state, g!, ...rates(t)]);
    tf.dispose([...state, zH, zL, g!, rows!]);
    state = next;
    zH = h!;
    zL = l!;
  }
  const [weights, , , average] = state.map((tensor) => floats(tensor).slice());
  return { losses, firstGradient, weights: weights!, average: average! };
}

for (const target of TARGETS) {
  test(`five training steps compiled (${target.target}) are the op-by-op ones: loss, gradient, weights, average`, options, () => {
    const zeros = (): tf.Tensor => tf.zeros([model.flat.length]);
    const compiledGradient = compile(gradient, trainingInputs(zeros(), tf.zeros([B * T, D]), tf.zeros([B * T, D])), target);
    const rate = { dtype: "float32", shape: [] } as const;
    const compiledUpdate = compile(update, [zeros(), zeros(), zeros(), zeros(), zeros(), rate, rate, rate, rate], target);
    const expected = fiveSteps(gradient, update);
    const actual = fiveSteps(compiledGradient.run, compiledUpdate.run);
    expected.losses.forEach((loss, i) => {
      assert.ok(Math.abs(actual.losses[i]! / loss - 1) <= 1e-5, `loss of step ${i + 1}: ${actual.losses[i]}, op by op ${loss}`);
    });
    assert.ok(new Set(expected.losses).size === 5, "the loss moves");
    const off = relativeL2(actual.firstGradient, expected.firstGradient);
    assert.ok(off <= 2e-5, `gradient off by ${off}`);
    assert.ok(relativeL2(actual.weights, expected.weights) <= 1e-3 && relativeL2(actual.average, expected.average) <= 1e-5);
    compiledGradient.dispose();
    compiledUpdate.dispose();
  });

  test(`blocks are computed again for the gradient, though compiled (${target.target}), and it stays what it was`, options, () => {
    const inputs = trainingInputs(tf.tensor1d(model.flat), tf.zeros([B * T, D]), tf.zeros([B * T, D]));
    const [kept, again] = [false, true].map((recompute) => compile((given) => gradient(given, recompute), inputs, target));
    // 5 passes of 2 blocks, of whose 6 products the last is not needed again
    assert.equal(again!.counts.matrixProducts - kept!.counts.matrixProducts, 5 * 2 * 5);
    const [expected, actual] = [kept!.run(inputs), again!.run(inputs)];
    expected.forEach((tensor, i) => {
      const off = relativeL2(floats(actual[i]!), floats(tensor));
      assert.ok(off <= 2e-5, `result ${i} off by ${off}`);
    });
    kept!.dispose();
    again!.dispose();
  });

  test(`an evaluation step with its read-out compiled (${target.target}) gives the op-by-op states, logits and tokens`, options, () => {
    const start = (): tf.Tensor => tf.zeros([B * T, D]);
    const inputs = trainingInputs(tf.tensor1d(model.flat), start(), start());
    const compiled = compile(evaluation, inputs, target);
    const [actual, expected] = [compiled.run(inputs), evaluation(inputs)];
    expected.forEach((tensor, i) => {
      assert.deepEqual(actual[i]!.shape, tensor.shape);
      assert.equal(actual[i]!.dtype, tensor.dtype);
    });
    for (const i of [0, 1, 2, 3]) {
      const off = relativeL2(floats(actual[i]!), floats(expected[i]!));
      assert.ok(off <= 2e-5, `result ${i} off by ${off}`);
    }
    assert.deepEqual([...actual[4]!.dataSync()], [...expected[4]!.dataSync()]);
    assert.equal(expected[2]!.shape[2], V);
    compiled.dispose();
  });
}

test("matrix products in bfloat16 give nearly the float32 evaluation, and not the same", options, () => {
  const start = (): tf.Tensor => tf.zeros([B * T, D]);
  const inputs = trainingInputs(tf.tensor1d(model.flat), start(), start());
  const compiled = compile(evaluation, inputs, { target: "graph", precision: "bfloat16" });
  const off = relativeL2(floats(compiled.run(inputs)[2]!), floats(evaluation(inputs)[2]!));
  assert.ok(off > 1e-4 && off < 0.1, `logits off by ${off}`);
  compiled.dispose();
});

test("each operation with a shape rule gives the dtype, shape and numbers that TensorFlow gives, compiled and in a graph", options, () => {
  const x = tf.tensor3d([0.5, -1, 2, 0.25, 3, -0.75, 1, 1.5, -2, 0.1, 0.2, 0.3], [2, 3, 2]);
  const y = tf.tensor1d([0.5, 2]);
  const n = tf.tensor1d([2, 0, 1], "int32");
  const positive = tf.abs(x);
  const steps: Step[] = [
    ([x]) => [tf.neg(x!), tf.square(x!), tf.exp(x!), tf.abs(x!), tf.sign(x!), tf.sigmoid(x!), tf.tanh(x!), tf.relu(x!), tf.reciprocal(x!)],
    ([x]) => [tf.zerosLike(x!), tf.onesLike(x!), tf.softmax(x!), tf.addN([x!, x!, x!]), tf.cast(x!, "int32"), tf.cast(x!, "bool")],
    ([, , , p]) => [tf.sqrt(p!), tf.rsqrt(p!), tf.log(p!), tf.log1p(p!), tf.pow(p!, tf.scalar(1.5))],
    ([x, y]) => [tf.add(x!, y!), tf.sub(y!, x!), tf.mul(x!, y!), tf.div(x!, y!), tf.maximum(x!, y!), tf.minimum(x!, y!), tf.atan2(x!, y!)],
    ([x, y]) => [tf.squaredDifference(x!, y!), tf.equal(x!, y!), tf.notEqual(x!, y!), tf.less(x!, y!), tf.lessEqual(x!, y!)],
    ([x, y]) => [
      tf.logicalAnd(tf.greater(x!, 0), tf.greaterEqual(y!, x!)),
      tf.logicalOr(tf.less(x!, 0), tf.less(y!, 1)),
      tf.logicalNot(tf.less(x!, y!)),
    ],
    ([x]) => [
      tf.sum(x!),
      tf.sum(x!, 1),
      tf.sum(x!, [0, -1], true),
      tf.mean(x!, -1, true),
      tf.max(x!, 0),
      tf.min(x!, 1),
      tf.argMax(x!, -1),
      tf.argMax(x!, 1),
    ],
    ([x]) => [
      tf.reshape(x!, [3, -1]),
      tf.expandDims(x!, 1),
      tf.squeeze(tf.slice(x!, [0, 1, 0], [2, 1, -1])),
      tf.transpose(x!, [2, 0, 1]),
      tf.clone(x!),
    ],
    ([x]) => [...tf.split(x!, [1, 2], 1), tf.concat([x!, x!], -1), tf.concat([x!, x!], 0), tf.stack([x!, x!], 1), ...tf.unstack(x!, 1)],
    ([x]) => [tf.tile(x!, [1, 2, 3]), tf.fill([2, 2], 7), tf.pad(x!, [[0, 1], [2, 0], [0, 0]]), tf.where(tf.less(x!, 0), x!, tf.zerosLike(x!))], // biome-ignore format: one a line
    ([x]) => [tf.matMul(x!, x!, true, false), tf.matMul(x!, x!, false, true), tf.matMul(tf.reshape(x!, [4, 3]), tf.reshape(x!, [3, 4]))],
    ([, , , , qkv, table]) => {
      const rotary = { cos: table as tf.Tensor2D, sin: table as tf.Tensor2D };
      const shape = { batch: 1, positions: 3, heads: 1, headSize: 8 };
      return [attend(qkv as tf.Tensor2D, shape, rotary), tf.grad((q) => attend(q as tf.Tensor2D, shape, rotary))(qkv!)];
    },
    ([, , , , qkv]) => [
      addRmsNorm(qkv as tf.Tensor2D, qkv as tf.Tensor2D, 1e-5),
      tf.grad((q) => addRmsNorm(q as tf.Tensor2D, qkv as tf.Tensor2D, 1e-5))(qkv!),
      gate(qkv as tf.Tensor2D),
      tf.grad((q) => gate(q as tf.Tensor2D))(qkv!),
    ],
    ([, , n]) => [tf.oneHot(n!, 4), tf.tensor1d([3, 1, 4]), tf.zeros([2, 3]), tf.zeros([0]), tf.scalar(true, "bool"), n!],
  ];
  const qkv = tf.sin(tf.reshape(tf.range(0, 72), [3, 24]));
  const inputs = [x, y, n, positive, qkv, tf.cos(tf.reshape(tf.range(0, 24), [3, 8]))];
  const covered = new Set<string>();
  for (const step of steps) {
    const expected = tf.tidy(() => step(inputs));
    for (const target of TARGETS) {
      const compiled = compile(step, inputs, target);
      for (const { op } of trace(
        step,
        inputs.map(({ dtype, shape }) => ({ dtype: dtype as "float32", shape })),
      ).nodes)
        covered.add(op);
      compiled.run(inputs).forEach((tensor, i) => {
        const where = `${target.target} result ${i} of\n${printGraph(compiled.graph)}`;
        const type = compiled.graph.values[compiled.graph.outputs[i]!]!;
        assert.deepEqual([tensor.dtype, tensor.shape], [expected[i]!.dtype, expected[i]!.shape], where);
        assert.deepEqual([type.dtype, type.shape], [expected[i]!.dtype, expected[i]!.shape], where);
        const [actual, exact] = [tensor.dataSync(), expected[i]!.dataSync()];
        actual.forEach((value, j) => {
          assert.ok(
            Math.abs(value - exact[j]!) <= 1e-6 * Math.max(1, Math.abs(exact[j]!)),
            `${where} element ${j}: ${value}, not ${exact[j]}`,
          );
        });
      });
      compiled.dispose();
    }
  }
  // tfjs has these under another name, or makes others of them; cuDNN's attention needs a GPU
  const unreachable = ["Div", "AddV2", "Identity", "TrmFusedAttend", "TrmFusedAttendGrad", "XlaCustomCallV2"];
  if (tf.getKernel("TrmGate", "tensorflow") === undefined) unreachable.push(...supportedOps().filter((op) => op.startsWith("Trm")));
  assert.deepEqual(
    supportedOps().filter((op) => !covered.has(op) && !unreachable.includes(op)),
    [],
  );
});

test("a trace reads as one line an operation, without the repeats and the unused", options, () => {
  const step: Step = ([x, w]) => {
    tf.exp(x!);
    const [a, b] = [tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D)];
    return [tf.mean(tf.mul(tf.add(a, b), 0.5), -1), tf.grad((v) => tf.sum(tf.square(v)))(x!)];
  };
  const compiled = compile(step, [tf.ones([2, 3]), tf.ones([3, 4])]);
  assert.equal(
    printGraph(compiled.graph),
    [
      "inputs %0:float32[2,3] %1:float32[3,4]",
      "%2:float32[2,4] = BatchMatMulV2(%0, %1) adj_x=false adj_y=false",
      "%3:float32[2,4] = Add(%2, %2)",
      "%4:float32[2,4] = Mul(%3, float32[]{0.5})",
      "%5:float32[2] = Mean(%4, int32[1]{1}) keep_dims=false",
      "%6:float32[1,1] = Reshape(float32[]{1}, int32[2]{1})",
      "%7:float32[2,3] = Mul(%6, float32[2,3]{1})",
      "%8:float32[2,3] = Mul(%0, float32[]{2})",
      "%9:float32[2,3] = Mul(%7, %8)",
      "outputs %5 %9",
      "",
    ].join("\n"),
  );
  assert.deepEqual(
    compiled.run([tf.ones([2, 3]), tf.ones([3, 4])]).map((tensor) => [...tensor.dataSync()]),
    [[3, 3], [2, 2, 2, 2, 2, 2]],
  ); // biome-ignore format: two results
  compiled.dispose();
});

/** What must not change by tracing, whether it ends well or not. */
function surroundings(): unknown {
  const { numTensors, numDataBuffers } = tf.memory();
  return {
    backend: tf.getBackend(),
    kernels: tf.getKernelsForBackend("trace").length,
    known: tf.findBackend("trace"),
    numTensors,
    numDataBuffers,
  };
}

test("what can't be traced is refused by name, and leaves the engine as it was", options, () => {
  const x = tf.tensor1d([1, 2, 3]);
  const types = [{ dtype: "float32", shape: [3] }] as const;
  const refused: [Step, RegExp][] = [
    [([v]) => [tf.cumsum(v!)], /Cumsum cannot be traced/],
    [([v]) => [tf.keep(tf.exp(v!)), tf.cumsum(v!)], /Cumsum/],
    [([v]) => [tf.mul(v!, tf.exp(v!).dataSync()[0]!)], /reads the numbers of a tensor \(a result of Exp\)/],
    [([v]) => [tf.mul(v!, x)], /Mul uses a tensor \[3\] from outside/],
    [([v]) => [tf.add(v!, tf.tensor1d(Float32Array.from({ length: 3000 }, (_, i) => i)))], /a tensor \[3000\] from numbers/],
    [([v]) => [tf.neg(tf.keep(tf.exp(v!)))], /1 tensors outlive it/],
  ];
  const before = surroundings();
  assert.equal(tf.getKernelsForBackend("trace").length, 0);
  for (const [step, message] of refused) {
    assert.throws(() => trace(step, types), message);
    assert.deepEqual(surroundings(), before);
  }
  assert.throws(() => trace(refused[0]![0], types), UnsupportedOp);
  trace(([v]) => [tf.exp(v!)], types);
  assert.deepEqual(surroundings(), before);
  assert.deepEqual([...tf.exp(tf.zerosLike(x)).dataSync()], [1, 1, 1]);
});

test("inputs of another shape, dtype or number are refused, not miscomputed", options, () => {
  const compiled: CompiledStep = compile(([x]) => [tf.neg(x!)], [{ dtype: "float32", shape: [2] }]);
  assert.throws(() => compiled.run([tf.ones([3])]), /input 0 of the compiled step is float32\[3\]; it was compiled for float32\[2\]/);
  assert.throws(() => compiled.run([tf.ones([2], "int32")]), /int32\[2\]/);
  assert.throws(() => compiled.run([]), /takes 1 inputs, not 0/);
  compiled.dispose();
});

test("fifty compiled runs leave as many tensors as one, here and in TensorFlow", options, () => {
  const binding = tf.backend() as unknown as { getNumOfTFTensors(): number; getNumOfSavedModels(): number };
  const models = binding.getNumOfSavedModels();
  const x = tf.ones([4, 4]);
  const compiled = compile(([v]) => [tf.matMul(v as tf.Tensor2D, v as tf.Tensor2D), tf.softmax(v!)], [x]);
  const run = (): void => tf.dispose(compiled.run([x]));
  run();
  const count = (): number[] => [tf.memory().numTensors, tf.memory().numDataBuffers, binding.getNumOfTFTensors()];
  const before = count();
  for (let i = 0; i < 50; i++) run();
  assert.deepEqual(count(), before);
  compiled.dispose();
  assert.equal(binding.getNumOfSavedModels(), models);
});

test("jit compiles once per shape, and runs op by op with a warning what can't be traced", options, () => {
  const binding = tf.backend() as unknown as { getNumOfSavedModels(): number };
  const models = binding.getNumOfSavedModels();
  const warnings: string[] = [];
  let calls = 0;
  const counted = jit("twice", ([x]) => [tf.mul(x!, ++calls > 2 ? 0 : 2)], { warn: (sentence) => warnings.push(sentence) });
  const twice = (...numbers: number[]): number[] => [...counted.run([tf.tensor1d(numbers)])[0]!.dataSync()];
  assert.deepEqual([twice(1, 2), twice(3, 4), twice(5), twice(6), twice(7, 8)], [[2, 4], [6, 8], [10], [12], [14, 16]]); // biome-ignore format: results
  assert.equal(calls, 2);
  assert.equal(binding.getNumOfSavedModels() - models, 2);
  counted.dispose();
  assert.equal(binding.getNumOfSavedModels(), models);
  const untraceable = jit("sums", ([x]) => [tf.cumsum(x!)], { target: "graph", warn: (sentence) => warnings.push(sentence) });
  for (let i = 0; i < 2; i++) assert.deepEqual([...untraceable.run([tf.tensor1d([1, 2, 3])])[0]!.dataSync()], [1, 3, 6]);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /sums does not run compiled \(graph\): operation Cumsum cannot be traced/);
  const said = [
    "OOM when allocating tensor",
    "Failed copying input tensor: Dst tensor is not initialized.",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "Invalid TF_Status: 8",
  ];
  for (const words of said) assert.ok(isOutOfMemory(new Error(`Session fail to run with error: ${words}`)), words);
  for (const words of ["Cumsum", "Invalid TF_Status: 83", "CUBLAS_STATUS_NOT_SUPPORTED"])
    assert.ok(!isOutOfMemory(new Error(words)), words);
});

test("where XLA has no attention by cuDNN, jit composes it, says so once and tries it in no other shape or step", options, () => {
  const shapeOf = (rows: number) => ({ batch: rows / 6, positions: 6, heads: 2, headSize: 8 });
  const step: Step = ([qkv, cos, sin]) => {
    const rotary = { cos: cos as tf.Tensor2D, sin: sin as tf.Tensor2D };
    const shape = shapeOf(qkv!.shape[0]!);
    return [attend(qkv as tf.Tensor2D, shape, rotary), tf.grad((x) => attend(x as tf.Tensor2D, shape, rotary))(qkv!)];
  };
  const table = tf.reshape(tf.range(0, 48), [6, 8]);
  const inputs = [tf.sin(tf.reshape(tf.range(0, 288), [6, 48])), tf.cos(table), tf.sin(table)];
  const how = { target: "xla", precision: "bfloat16" } as const;
  const warnings: string[] = [];
  const first: FirstRun[] = [];
  const trial = new AttentionTrial((run) => first.push(run));
  const firstFused = (): FirstRun[] => first.filter(({ fused }) => fused);
  const tried = { ...how, fusedAttention: true, trial, warn: (sentence: string) => warnings.push(sentence) };
  const [negated] = jit("no attention", ([x]) => [tf.neg(x!)], tried).run([tf.tensor1d([1, 2])]);
  assert.deepEqual([...floats(negated!)], [-1, -2]);
  const plain = [true, false].map((underway) => ({ underway, fused: false }));
  assert.deepEqual([warnings, first], [[], plain]);
  const fused = jit("attention", step, tried);
  const composed = compile(step, inputs, how);
  for (let run = 0; run < 2; run++)
    fused.run(inputs).forEach((result, i) => {
      assert.deepEqual([...floats(result)], [...floats(composed.run(inputs)[i]!)]);
    });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /^attention: attention by cuDNN fails here; it is composed from now on, .*--attention composed.*fmhaSoftmax/s);
  // It is to blame once XLA has compiled the step without it; if the process ends before that, it is as well.
  const attempts = [true, false, true, false].map((underway, i) => ({ underway, fused: true, ...(i === 3 && { failed: true }) }));
  assert.deepEqual(first, [...plain, ...attempts]);
  fused.run([tf.concat([inputs[0]!, inputs[0]!], 0), inputs[1]!, inputs[2]!]);
  jit("again", step, tried).run(inputs);
  assert.deepEqual([warnings.length, firstFused()], [1, attempts]);
  fused.dispose();
  composed.dispose();
  assert.throws(() => compile(step, inputs, { target: "xla", fusedAttention: true }), /fused attention needs XLA and bfloat16/);
});

test("what XLA does not compile in a process that keeps what it compiles is tried without that, where another process can", options, () => {
  const untraceable: Step = ([x]) => [tf.tensor1d([...x!.dataSync()])];
  const x = tf.tensor1d([1, 2]);
  const how = { target: "xla", warn: () => {} } as const;
  process.env.TRM_XLA_CACHE = mkdtempSync(join(tmpdir(), "trm-trace-cache-"));
  try {
    assert.throws(() => jit("untraceable", untraceable, { ...how, mayRestart: true }).run([x]), CacheSuspected);
    assert.deepEqual([...floats(jit("untraceable", untraceable, how).run([x])[0]!)], [1, 2]);
  } finally {
    rmSync(process.env.TRM_XLA_CACHE, { recursive: true });
    process.env.TRM_XLA_CACHE = "";
  }
  assert.deepEqual([...floats(jit("untraceable", untraceable, { ...how, mayRestart: true }).run([x])[0]!)], [1, 2]);
});

test("the encoder and its gradient, compiled, are those op by op", options, () => {
  const encoder = { layers: 1, pairs: 3 };
  const positions = Int32Array.from({ length: T }, (_, i) => i);
  const made = (makeReady: MakeReady): RowEncoder => new RowEncoder({ model: SMALL_CONFIG, encoder, positions, microBatch: 1, makeReady });
  const warnings: string[] = [];
  const eager = made(opByOp);
  const random = createRandom("demonstrations");
  const shown = Int32Array.from({ length: 2 * eager.demonstrationSize }, () => random.int(0, 11));
  shown.fill(NO_PAIR, eager.demonstrationSize + 4 * S); // the second row has two pairs
  const flat = initEncoder(SMALL_CONFIG, encoder, new Float32Array(D).fill(0.1), createRandom("encoder"));
  const weights = tf.tensor1d(flat.map((value, i) => value + 0.01 * Math.sin(i)));
  const byRows = Float32Array.from({ length: 2 * D }, (_, i) => Math.cos(i));
  const rows = eager.rows(weights, shown);
  const gradient = floats(eager.gradient(weights, shown, byRows));
  for (const { target } of TARGETS) {
    const compiled = made((name, step) => jit(name, step, { target: target!, precision: "float32", warn: (text) => warnings.push(text) }));
    assert.ok(relativeL2(compiled.rows(weights, shown), rows) < 1e-5, `${target}: rows`);
    // XLA takes long to compile the gradient, which has the operations of the trunk's.
    if (target === "graph")
      assert.ok(relativeL2(floats(compiled.gradient(weights, shown, byRows)), gradient) < 1e-4, `${target}: gradient`);
    compiled.dispose();
  }
  assert.deepEqual(warnings, []);
  eager.dispose();
});
