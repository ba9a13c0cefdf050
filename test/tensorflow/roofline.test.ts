import assert from "node:assert/strict";
import { before, test } from "node:test";
import { locateTensorFlow } from "../../src/backend/locate-tensorflow.ts";
import { startEngine } from "../../src/backend/select.ts";
import { countSteps, type StepCounts } from "../../src/bench/count-steps.ts";
import { DEFAULT_ASSUMPTIONS } from "../../src/bench/project.ts";
import { fullSizeModel, roofline } from "../../src/bench/roofline.ts";
import { BENCH_PRESETS, benchModel, flopsPerPass, flopsPerTrainStep } from "../../src/bench/train-step.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { trm } from "../cli/toy.ts";

/** Traces are made of TensorFlow's kernels: TRM_TEST_ENGINE=tensorflow and the library's folder in LD_LIBRARY_PATH. */
const missing = ((): string | false => {
  const search = locateTensorFlow();
  if (!search.found) return `no ${search.missing.join("; no ")}`;
  return process.env.TRM_TEST_ENGINE === "tensorflow" ? false : "TRM_TEST_ENGINE is not tensorflow";
})();
if (missing) console.log(`skipped: ${missing}`);
const options = { skip: missing };

before(async () => {
  if (!missing) await startEngine("tensorflow");
});

const M = benchModel(BENCH_PRESETS.M!);
const CANVAS = BENCH_PRESETS.M!.canvas;
const POSITIONS = M.prefixLength + CANVAS ** 2;
const count = (rows: number, changes: Partial<Parameters<typeof countSteps>[0]> = {}): StepCounts =>
  countSteps({ model: M, canvas: CANVAS, rows, precision: "float32", recompute: false, ...changes });

/** Operations of one product of the token head, of one of the halting head. */
const headProducts = ({ hiddenSize, vocabularySize }: ModelConfig, canvas: number, rows: number): [number, number] => [
  2 * rows * canvas ** 2 * hiddenSize * vocabularySize,
  2 * rows * hiddenSize * 2,
];

test("counted FLOPs are those of the closed formula and of the heads", options, () => {
  const { gradient, evaluation } = count(8);
  const [token, halt] = headProducts(M, CANVAS, 8);
  // token head: forward, and two for the gradient; embedding tokens by a product: forward and for its weights; halting head: three
  assert.equal(gradient.flops - flopsPerTrainStep(M, POSITIONS, 8), 5 * token + 3 * halt);
  assert.equal(evaluation.flops - M.hCycles * (M.lCycles + 1) * flopsPerPass(M, POSITIONS, 8), token);
});

test("twice the batch is twice the FLOPs, whatever the precision; the update's work is the weights' alone", options, () => {
  const [one, two, half] = [count(4), count(8), count(8, { precision: "bfloat16" })];
  assert.equal(two.gradient.flops, 2 * one.gradient.flops);
  assert.equal(two.evaluation.flops, 2 * one.evaluation.flops);
  assert.equal(half.gradient.flops, two.gradient.flops);
  assert.deepEqual(two.update, one.update);
  // reads weights, two moments, average and gradient; writes the first four
  assert.ok(one.update.bytes >= 9 * 4 * one.parameters && one.update.bytes <= 13 * 4 * one.parameters, `${one.update.bytes}`);
});

test(
  "bytes grow with the batch by less than twice, weights being read once; bf16 products move more than half and less than all",
  options,
  () => {
    const [one, two, half] = [count(4), count(8), count(8, { precision: "bfloat16" })];
    assert.ok(two.gradient.bytes < 2 * one.gradient.bytes && two.gradient.bytes > 1.8 * one.gradient.bytes);
    assert.ok(half.gradient.bytes > 0.5 * two.gradient.bytes && half.gradient.bytes < 0.8 * two.gradient.bytes);
  },
);

test("blocks computed again add one forward of the last cycle", options, () => {
  const [kept, again] = [count(2), count(2, { recompute: true })];
  const added = again.gradient.flops - kept.gradient.flops;
  // but for the last product of each block, whose result the gradient does not need
  assert.ok(
    added > 0.7 * (M.lCycles + 1) * flopsPerPass(M, POSITIONS, 2) && added <= (M.lCycles + 1) * flopsPerPass(M, POSITIONS, 2),
    `${added}`,
  );
});

/** The full-size model's canvas, in bf16, as many rows at a time as the memory holds. */
const FULL_SIZE = { canvas: 30, microBatch: undefined, recompute: false } as const;
const inBfloat16 = (workers: number) => ({ ...DEFAULT_ASSUMPTIONS, precision: "bfloat16", workers }) as const;

test("the full-size model on four L4: 96 rows a worker, work as by hand", options, () => {
  const assumptions = inBfloat16(4);
  const request = { ...FULL_SIZE, devices: ["l4"], globalBatch: 384, hours: 11, assumptions } as const;
  const [l4] = roofline(request).projections;
  assert.equal(l4!.rowsPerWorker, 96);
  assert.ok(l4!.microBatchRows >= 1 && l4!.microBatchRows <= 96);
  const byFormula = flopsPerTrainStep(fullSizeModel(), 916, 96);
  assert.ok(Math.abs(l4!.optimizerStep.flops / byFormula - 1) < 1e-3);
  // attention's scores alone would pass 60 times a block's forward and more through memory, 13.4 MB a copy in bf16; they stay in the processor
  const scores = 96 * 30 * 4 * 13.4e6;
  const [composed] = roofline({ ...request, assumptions: { ...assumptions, precision: "float32" } }).projections;
  assert.equal(composed!.optimizerStep.flops, l4!.optimizerStep.flops);
  assert.ok(composed!.optimizerStep.bytes > 2 * scores, `${composed!.optimizerStep.bytes}`);
  assert.ok(l4!.optimizerStep.bytes < composed!.optimizerStep.bytes / 2 - scores, `${l4!.optimizerStep.bytes}`);
  const byChoice = roofline({ ...request, assumptions: { ...assumptions, attention: "composed" } }).projections[0]!;
  assert.ok(byChoice.optimizerStep.bytes > l4!.optimizerStep.bytes + scores, `${byChoice.optimizerStep.bytes}`);
  assert.ok(byChoice.microBatchRows < l4!.microBatchRows, `${byChoice.microBatchRows} of ${l4!.microBatchRows} rows`);
  assert.equal(l4!.stepsInHours, Math.floor((11 * 3600) / l4!.optimizerStep.seconds));
});

test("on an H100 projected seconds of products and memory are at most a fifth above those measured, and not below", options, () => {
  const request = { ...FULL_SIZE, devices: ["h100"], globalBatch: 96, hours: 1, assumptions: inBfloat16(1) } as const;
  const [{ optimizerStep, actStep, microBatchRows }] = roofline(request).projections as [ReturnType<typeof roofline>["projections"][0]];
  assert.equal(microBatchRows, 96);
  // 96 rows of the full-size model: gradient 0.1227 s and update 0.0003 s, ACT step 0.0717 s
  for (const [{ secondsOfProducts, secondsOfMemory }, measured] of [[optimizerStep, 0.123] as const, [actStep, 0.0717] as const]) {
    const ratio = (secondsOfProducts + secondsOfMemory) / measured;
    assert.ok(ratio >= 1 && ratio < 1.2, `${ratio}`);
  }
});

test("bench --roofline gives counts beside measured times, and a projection whose assumptions are printed", options, async () => {
  const args = ["bench", "--roofline", "--steps", "1", "--device", "l4", "--workers", "1", "--batch-size", "8", "--canvas", "10"];
  const { status, stdout, stderr } = await trm(...args, "--flop-share", "0.5", "--json");
  assert.equal(status, 0, stderr);
  const {
    counted,
    roofline: projected,
    flopsPerTrainStep: formula,
    secondsPerTrainStep,
  } = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
  assert.ok(Math.abs(counted.trainStep.flops / formula - 1) < 1e-3);
  assert.equal(counted.trainStep.gigabytesPerSecond, counted.trainStep.bytes / secondsPerTrainStep.median / 1e9);
  const [{ optimizerStep, rowsPerWorker }] = projected.projections;
  assert.equal(rowsPerWorker, 8);
  assert.ok(Math.abs(optimizerStep.secondsOfProducts / (optimizerStep.flops / 60.5e12) - 1) < 1e-9);
  const words = await trm(...args);
  for (const said of [/1 x L4 \(121 TFLOP\/s bf16, 300 GB\/s each\)/, /60 % of the peak/, /count 2 bytes/, /NVIDIA L4 .* datasheet/])
    assert.match(words.stdout, said);
});

test("bench --roofline without the tracer's engine says what is missing", async () => {
  const { status, stderr } = await trm("bench", "--roofline", "--engine", "wasm");
  assert.equal(status, 1);
  assert.match(stderr, /--roofline counts the work of traced steps, and tracing needs TensorFlow's binding and library/);
});
