import assert from "node:assert/strict";
import { test } from "node:test";
import { PRETRAINING, PRETRAINING_RECIPES, type Pretraining } from "../../../src/config/pretraining.ts";
import { resolveSettings } from "../../../src/config/resolve.ts";
import { UserError } from "../../../src/errors.ts";
import type { PretrainRequest } from "../../../src/pretrain/request.ts";
import { courseSteps, modelOf } from "../../../src/pretrain/setup.ts";

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
