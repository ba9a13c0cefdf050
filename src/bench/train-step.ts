/** Times a whole training step and an evaluation ACT step, beside the machine's matrix-product speed. */
import * as tf from "@tensorflow/tfjs-core";
import type { Example } from "../encode/batch.ts";
import { innerSize, type ModelConfig } from "../model/config.ts";
import { initTrunk } from "../model/init.ts";
import { PuzzleEmbedding } from "../model/puzzle-embedding.ts";
import { ADAM_ATAN2_DEFAULTS } from "../optim/adam-atan2.ts";
import { createRandom, type Random } from "../random.ts";
import type { MakeReady } from "../trace/ready-step.ts";
import { Replica } from "../train/replica.ts";

export interface BenchPreset {
  readonly hiddenSize: number;
  readonly numHeads: number;
  /** cells a side */
  readonly canvas: number;
  readonly batch: number;
}

/** The presets that speeds are quoted for; all with H 3, L 4, 2 layers, prefix 16. */
export const BENCH_PRESETS: Record<string, BenchPreset> = {
  S: { hiddenSize: 128, numHeads: 4, canvas: 10, batch: 16 },
  M: { hiddenSize: 256, numHeads: 4, canvas: 15, batch: 8 },
  L: { hiddenSize: 512, numHeads: 8, canvas: 30, batch: 1 },
};

export interface BenchResult {
  /** the first training step, compilation included */
  readonly secondsToFirstStep: number;
  readonly secondsPerTrainStep: { median: number; min: number };
  readonly secondsPerActStep: { median: number; min: number };
  readonly peakRssBytes: number;
  /** the engine's speed on the largest 2-D product of the step, in 10^9 floating-point operations a second */
  readonly matmulGflops: number;
  readonly flopsPerTrainStep: number;
  /** seconds that the step's matrix products alone would take at matmulGflops */
  readonly secondsOfProducts: number;
}

/** The model of a preset. */
export function benchModel({ hiddenSize, numHeads }: BenchPreset): ModelConfig {
  return {
    hiddenSize,
    numHeads,
    expansion: 4,
    innerMultiple: 256,
    lLayers: 2,
    hCycles: 3,
    lCycles: 4,
    haltMaxSteps: 16,
    prefixLength: 16,
    vocabularySize: 12,
    puzzleEmbeddingSize: hiddenSize,
    ropeTheta: 10000,
    rmsNormEps: 1e-5,
  };
}

/** Operations of the matrix products in one pass of the network (2 per multiply-add). */
export function flopsPerPass(model: ModelConfig, positions: number, batch: number): number {
  const D = model.hiddenSize;
  const tokens = batch * positions;
  return model.lLayers * (2 * tokens * (4 * D * D + 3 * D * innerSize(model)) + 4 * tokens * positions * D);
}

/** All passes forward, and twice the cost of the last H cycle for its gradient. */
export function flopsPerTrainStep(model: ModelConfig, positions: number, batch: number): number {
  const pass = flopsPerPass(model, positions, batch);
  return (model.hCycles * (model.lCycles + 1) + 2 * (model.lCycles + 1)) * pass;
}

/**
 * Runs warm-up and timed steps on the engine that was started.
 *
 * @param steps     timed steps after two for warming up
 * @param makeReady how steps run
 */
export async function benchTrainStep(preset: BenchPreset, steps: number, random: Random, makeReady: MakeReady): Promise<BenchResult> {
  const model = benchModel(preset);
  const tokens = preset.canvas ** 2;
  const positions = Int32Array.from({ length: model.prefixLength + tokens }, (_, i) => i);
  const rows = new PuzzleEmbedding(model.puzzleEmbeddingSize, () => {});
  const settings = {
    model,
    positions,
    globalBatch: preset.batch,
    microBatch: preset.batch,
    adam: ADAM_ATAN2_DEFAULTS,
    puzzleWeightDecay: 0.1,
    explorationProbability: 0.1,
    haltMaxSteps: model.haltMaxSteps,
    makeReady,
  };
  const replica = new Replica(settings, initTrunk(model, createRandom(0)), rows, random);
  const example = (): Example => ({
    inputs: Int32Array.from({ length: tokens }, () => random.int(0, 11)),
    labels: Int32Array.from({ length: tokens }, () => random.int(1, 11)),
    puzzleId: random.int(1, 999),
  });
  const rates = { lrTrunk: 1e-4, lrPuzzle: 1e-2, emaDecay: 0.999, frozen: false };
  const train: number[] = [];
  for (let i = 0; i < steps + 2; i++) train.push(await seconds(() => replica.trainStep(example, rates)));
  const examples = Array.from({ length: preset.batch }, example);
  const act: number[] = [];
  for (let i = 0; i < steps + 2; i++) act.push(await seconds(() => replica.predict(examples, 1)));
  const matmulGflops = await matrixProductSpeed(preset.batch * positions.length, innerSize(model) * 2, model.hiddenSize);
  replica.dispose();
  const flops = flopsPerTrainStep(model, positions.length, preset.batch);
  return {
    secondsToFirstStep: train[0]!,
    secondsPerTrainStep: spread(train.slice(2)),
    secondsPerActStep: spread(act.slice(2)),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    matmulGflops,
    flopsPerTrainStep: flops,
    secondsOfProducts: flops / (matmulGflops * 1e9),
  };
}

/** 2-D product [m, k] x [k, n] without transposes, in 10^9 operations a second: the median of seven. */
export async function matrixProductSpeed(m: number, n: number, k: number): Promise<number> {
  const [a, b] = [tf.randomUniform([m, k], -1, 1, "float32", 1), tf.randomUniform([k, n], -1, 1, "float32", 2)];
  const repeats = Math.max(1, Math.round(2e9 / (2 * m * n * k)));
  const run = async (): Promise<void> => {
    for (let i = 0; i < repeats; i++) {
      const c = tf.matMul(a, b);
      if (i === repeats - 1) await tf.slice(c, [0, 0], [1, 1]).data();
      c.dispose();
    }
  };
  await run();
  const times: number[] = [];
  for (let i = 0; i < 7; i++) times.push(await seconds(run));
  tf.dispose([a, b]);
  return (2 * m * n * k * repeats) / spread(times).median / 1e9;
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function spread(times: readonly number[]): { median: number; min: number } {
  const sorted = times.slice().sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]! };
}
