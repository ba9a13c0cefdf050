/** A replica small enough for a hundred steps a second. */
import type { Example } from "../../../src/encode/batch.ts";
import { IGNORE_LABEL } from "../../../src/encode/vocabulary.ts";
import type { ModelConfig } from "../../../src/model/config.ts";
import { initTrunk } from "../../../src/model/init.ts";
import { type PartsOf, PuzzleEmbedding, type RowStart } from "../../../src/model/puzzle-embedding.ts";
import { ADAM_ATAN2_DEFAULTS } from "../../../src/optim/adam-atan2.ts";
import { createRandom } from "../../../src/random.ts";
import { type Exchange, Replica, type ReplicaSettings, type StepRates } from "../../../src/train/replica.ts";

export const TINY: ModelConfig = {
  hiddenSize: 16,
  numHeads: 2,
  expansion: 2,
  innerMultiple: 8,
  lLayers: 1,
  hCycles: 2,
  lCycles: 2,
  haltMaxSteps: 3,
  prefixLength: 2,
  vocabularySize: 12,
  puzzleEmbeddingSize: 16,
  ropeTheta: 10000,
  rmsNormEps: 1e-5,
};

/** Cells of a 3 x 3 canvas. */
export const TOKENS = 9;

export const RATES: StepRates = { lrTrunk: 1e-3, lrPuzzle: 1e-2, emaDecay: 0.9, frozen: false };

/** The n-th example of an endless stream; one token of each is not asked for. */
export function exampleAt(n: number): Example {
  const random = createRandom("examples").fork(n);
  const inputs = Int32Array.from({ length: TOKENS }, () => random.int(2, 11));
  const labels = Int32Array.from({ length: TOKENS }, (_, i) => (i === n % TOKENS ? IGNORE_LABEL : random.int(2, 11)));
  return { inputs, labels, puzzleId: n % 5 };
}

export function tinyReplica(settings: Partial<ReplicaSettings> = {}, partsOf?: PartsOf): Replica {
  const start: RowStart = (id, out) => {
    const random = createRandom("rows").fork(id);
    for (let i = 0; i < out.length; i++) out[i] = 0.3 * random.normal();
  };
  const rows = new PuzzleEmbedding(TINY.puzzleEmbeddingSize, start, undefined, partsOf);
  const initial = initTrunk(TINY, createRandom("trunk"));
  return new Replica(
    {
      model: TINY,
      positions: Int32Array.from({ length: TINY.prefixLength + TOKENS }, (_, i) => i),
      globalBatch: 6,
      microBatch: 6,
      adam: ADAM_ATAN2_DEFAULTS,
      puzzleWeightDecay: 0.1,
      explorationProbability: 0,
      haltMaxSteps: TINY.haltMaxSteps,
      ...settings,
    },
    initial,
    rows,
    createRandom("replica"),
  );
}

/** Gives every row of a batch of `size` its next example. */
export function stream(size: number): (row: number) => Example {
  const draws = new Int32Array(size);
  return (row) => exampleAt(draws[row]!++ * size + row);
}

/** Two ranks in one process: each waits for the other's array. @param sent is told the length of each sum */
export function pairOfRanks(sent: number[] = []): Exchange[] {
  let waiting: { data: Float32Array; resolve: (other: Float32Array) => void } | undefined;
  const swap = (data: Float32Array): Promise<Float32Array> => {
    const copy = data.slice();
    if (!waiting) return new Promise((resolve) => (waiting = { data: copy, resolve }));
    const { data: other, resolve } = waiting;
    waiting = undefined;
    resolve(copy);
    return Promise.resolve(other);
  };
  return [0, 1].map((rank) => ({
    rank,
    worldSize: 2,
    allReduceSum: async (data) => {
      sent.push(data.length);
      const other = await swap(data);
      for (let i = 0; i < data.length; i++) data[i]! += other[i]!;
    },
    allGather: async (data) => {
      const own = data.slice();
      const other = await swap(own);
      return rank === 0 ? [own, other] : [other, own];
    },
  }));
}
