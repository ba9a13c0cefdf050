import assert from "node:assert/strict";
import { test } from "node:test";
import { PRETRAINING, PRETRAINING_RECIPES, type Pretraining } from "../../../src/config/pretraining.ts";
import { resolveSettings } from "../../../src/config/resolve.ts";
import { UserError } from "../../../src/errors.ts";
import type { PretrainRequest } from "../../../src/pretrain/request.ts";
import { courseSteps, encoderOf, jobOf, modelOf, trainingSetOf } from "../../../src/pretrain/setup.ts";

const requestOf = (recipe: string | undefined, flags: Partial<Pretraining> = {}, rest: Partial<PretrainRequest> = {}): PretrainRequest => {
  const layers = [
    ...(recipe === undefined ? [] : [{ origin: "recipe" as const, settings: PRETRAINING_RECIPES[recipe]!.settings }]),
    { origin: "flag" as const, settings: flags },
  ];
  const given = new Set(layers.flatMap(({ settings }) => Object.keys(settings) as (keyof Pretraining)[]));
  return { settings: resolveSettings(PRETRAINING, layers).values, given, ...rest } as PretrainRequest;
};

test("the papers' recipes come to the lengths that they tell", () => {
  // 1280 tasks; about 720 000 steps of 768 are 100 000 epochs of 5530 pairs
  const pairs = 5530;
  assert.equal(courseSteps(requestOf("replication"), undefined, pairs), 720_052);
  assert.equal(courseSteps(requestOf("expanded"), undefined, pairs), 720_052);
  assert.equal(courseSteps(requestOf("replication", { batchSize: 384 }), undefined, pairs), 1_440_104);
});

test("steps given go before those of the state, these before epochs; else time decides", () => {
  const saved = { step: 5, maxSteps: 70 };
  assert.equal(courseSteps(requestOf("replication", {}, { steps: 9 }), saved, 10), 9);
  assert.equal(courseSteps(requestOf("replication"), saved, 10), 70);
  const longer = { ...saved, settings: { epochs: 100_000 } };
  assert.equal(courseSteps(requestOf("replication"), longer, 768), 70);
  assert.equal(courseSteps(requestOf("replication", { epochs: 200_000 }), longer, 768), 200_000);
  assert.equal(courseSteps(requestOf(undefined), undefined, 10), undefined);
});

test("the papers' recipes have the released model, rates and batches", () => {
  const model = modelOf(requestOf("replication"), undefined);
  const { hiddenSize, numHeads, hCycles, lCycles, haltMaxSteps, prefixLength, ropeAxes, ropeTheta, innerMultiple } = model;
  assert.deepEqual([hiddenSize, numHeads, hCycles, lCycles, haltMaxSteps], [512, 8, 3, 4, 16]);
  assert.deepEqual([prefixLength, ropeAxes, ropeTheta, innerMultiple], [16, 1, 10000, 256]);
  const rates = (recipe: string) => {
    const { batchSize, lrTrunk, lrPuzzle, warmupSteps, lrMinRatio, emaDecay, weightDecay, epochs } = requestOf(recipe).settings;
    return [batchSize, lrTrunk, lrPuzzle, warmupSteps, lrMinRatio, emaDecay, weightDecay, epochs];
  };
  assert.deepEqual(rates("replication"), [768, 1e-4, 1e-2, 2000, 1, 0.999, 0.1, 100_000]);
  assert.deepEqual(rates("expanded"), [1536, 2e-4, 2e-2, 2000, 1, 0.999, 0.1, 200_000]);
  assert.deepEqual(rates("hard"), [1536, 2e-4, 2e-2, 2000, 1, 0.999, 0.1, 1_000_000]);
  const measured = (recipe: string) => {
    const { evaluationTrained, evaluationHeldOut, evaluateEvery, evaluationVariants, variants, translate } = requestOf(recipe).settings;
    return [evaluationTrained, evaluationHeldOut, evaluateEvery, evaluationVariants, variants, translate];
  };
  assert.deepEqual(measured("replication"), [0, 0, 72_000, 1000, 1000, true]);
  assert.deepEqual(measured("expanded"), [100, 10, 72_000, 1000, 1000, true]);
  assert.deepEqual(measured("hard"), [100, 10, 72_000, 1000, 1000, true]);
  const expected = (recipe: string) => PRETRAINING_RECIPES[recipe]!.expects.map(({ option, tasks }) => `${option} ${tasks}`);
  assert.deepEqual(expected("replication"), ["--tasks 1000", "--tasks 160", "--evaluation 120"]);
  assert.deepEqual(expected("expanded"), ["--tasks 1000", "--tasks 160", "--tasks 50", "--evaluation 120"]);
  assert.deepEqual(expected("hard"), ["--tasks 120", "--evaluation 120"]);
});

test("a training that is taken up again keeps its shape, and its cycles unless others are given", () => {
  const before = modelOf(requestOf(undefined, { hiddenSize: 32, hCycles: 2, lCycles: 3 }), undefined);
  assert.deepEqual(modelOf(requestOf(undefined), { step: 1, model: before }), before);
  assert.deepEqual(modelOf(requestOf(undefined, { haltMaxSteps: 9 }), { step: 1, model: before }), { ...before, haltMaxSteps: 9 });
  assert.throws(
    () => modelOf(requestOf(undefined, { hiddenSize: 64, numHeads: 4 }), { step: 1, model: before }),
    (error) => error instanceof UserError && /hiddenSize is 32 there, 64 was given/.test(error.message),
  );
});

test("an encoder that is gone on with keeps its blocks; it takes in as many demonstrations as before unless told otherwise", () => {
  assert.equal(encoderOf(requestOf(undefined), undefined), undefined);
  const flags = { embedding: "both", encoderShare: 0.25 } as const;
  const fresh = encoderOf(requestOf(undefined, { ...flags, encoderLayers: 3, encoderPairs: 5 }), undefined);
  assert.deepEqual(fresh, { config: { layers: 3, pairs: 5 }, share: 0.25, births: 0.5 });
  assert.equal(encoderOf(requestOf(undefined, { embedding: "encoder" }), undefined)!.share, 1);
  const saved = { step: 1, encoder: { layers: 1, pairs: 6 } };
  assert.deepEqual(encoderOf(requestOf(undefined, flags), saved)!.config, saved.encoder);
  assert.deepEqual(encoderOf(requestOf(undefined, { ...flags, encoderPairs: 2 }), saved)!.config, { layers: 1, pairs: 2 });
  assert.throws(
    () => encoderOf(requestOf(undefined, { ...flags, encoderLayers: 2 }), saved),
    (error) => error instanceof UserError && /its encoder has 1 blocks, --encoder-layers 2 was given/.test(error.message),
  );
});

/** The plan for one worker of the TensorFlow engine with 4 GB, on a CPU unless given, of a model as large as the released one. */
function planned(flags: Partial<Pretraining>, rest: Partial<PretrainRequest>, rows = 0, gpus = 0) {
  const request = requestOf(
    undefined,
    { hiddenSize: 512, numHeads: 8, canvas: 10, batchSize: 24, ...flags },
    {
      compile: "graph",
      precision: "float32",
      rowMemoryBytes: 2 ** 30,
      ...rest,
    },
  );
  const data = { tasks: [], variants: 0, translate: false, generatedShare: 1 };
  const means = { engine: "tensorflow", workers: 1, threads: 1, gpus, memoryBytes: 4e9 } as const;
  return jobOf(request, modelOf(request, undefined), { data, rows }, 10, means);
}

test("the rows that a batch is cut into, and blocks computed again, are those asked for, else what the memory holds", () => {
  const free = planned({}, {});
  assert.ok(free.job.microBatch > 5 && !free.job.recompute, JSON.stringify(free.memory));
  const asked = planned({}, { microBatch: 5, recompute: true });
  assert.deepEqual([asked.job.microBatch, asked.job.recompute], [5, true]);
  assert.deepEqual([planned({}, { recompute: false }).job.recompute, planned({}, { microBatch: 99 }).job.microBatch], [false, 24]);
});

test("composed attention is planned fewer rows than cuDNN's, also for a worker that is to change over to it", () => {
  const onGpu = (rest: Partial<PretrainRequest>) =>
    planned({ canvas: 30 }, { compile: "auto", precision: "auto", recompute: true, ...rest }, 0, 1).job;
  const [fused, composed] = [onGpu({}), onGpu({ attention: "composed" })];
  assert.ok(fused.microBatch > composed.microBatch, `${fused.microBatch} by cuDNN, ${composed.microBatch} composed`);
  assert.deepEqual([fused.composed!.microBatch, fused.composed!.recompute], [composed.microBatch, composed.recompute]);
  assert.equal(composed.compilation.attention, "composed");
  assert.equal(planned({}, {}).job.composed, undefined);
});

test("puzzle rows take their part of the memory, but for those that lie in a file", () => {
  const bytesOf = (rows: number, rowMemoryBytes: number): number => planned({}, { rowMemoryBytes, microBatch: 4 }, rows).memory.bytes;
  const without = bytesOf(0, 2 ** 30);
  assert.equal(bytesOf(400_000, 2 ** 30) - without, 400_000 * 512 * 4); // 0.8 GB
  assert.equal(bytesOf(600_000, 2 ** 30) - without, 2 ** 30); // 1.2 GB
  assert.equal(bytesOf(600_000, 2 ** 20) - without, 2 ** 20);
  const rowsAtATime = (rows: number): number => planned({ batchSize: 384 }, { recompute: false }, rows).job.microBatch;
  assert.ok(rowsAtATime(500_000) < rowsAtATime(0), `${rowsAtATime(500_000)} beside 1 GB of rows, ${rowsAtATime(0)} without`);
});

test("a row is counted for each variant of a real task and each generated one, or for each life that goes on at a time", () => {
  const files = { tasks: ["submission/sample-challenges.json"], solutions: [], evaluation: [], heldOut: [], dropOverlap: false };
  const rowsOf = (flags: Partial<Pretraining>, given: Partial<PretrainRequest> = {}): number =>
    trainingSetOf(
      requestOf(undefined, { canvas: 30, variants: 7, rulesPerKind: 1, kinds: "all", ...flags }, { files, seed: "0", ...given }),
      () => {},
    ).rows;
  assert.equal(rowsOf({ generatedShare: 0 }), 20 * 8);
  const generated = rowsOf({}, { files: { ...files, tasks: [] } });
  assert.ok(generated > 10);
  assert.equal(rowsOf({ generatedShare: 0.5 }), 20 * 8 + generated);
  assert.equal(rowsOf({ generatedShare: 0.5, rowVisits: 5, rowSlots: 33 }), 33);
});
