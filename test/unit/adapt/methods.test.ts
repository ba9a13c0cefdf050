import assert from "node:assert/strict";
import { test } from "node:test";
import { adaptedModel, adaptersOf, courseSteps, frozenShareOf } from "../../../src/adapt/methods.ts";
import type { Task } from "../../../src/arc/task.ts";
import { TINY } from "../train/tiny-replica.ts";

test("the trunk stays for a share of the steps in embeddings-then-full, throughout where rows alone learn, else never", () => {
  const of = (method: Parameters<typeof frozenShareOf>[0]["method"]) => frozenShareOf({ method, frozenShare: 0.25 });
  assert.deepEqual([of("embeddings-then-full"), of("embeddings"), of("latent-search"), of("full"), of("lora")], [0.25, 1, 1, 0, 0]);
});

test("adapters are those of the recipe, for lora alone", () => {
  const recipe = { loraRank: 3, loraAlpha: 8 };
  assert.deepEqual(adaptersOf({ ...recipe, method: "lora" }), { rank: 3, alpha: 8 });
  assert.equal(adaptersOf({ ...recipe, method: "full" }), undefined);
});

test("a course of epochs has as many steps as their pairs fill batches; steps that were asked for go before it", () => {
  const grid = { rows: 1, cols: 1, cells: Uint8Array.of(1) };
  const tasks = [2, 3].map((count): Task => ({ id: `${count}`, train: Array(count).fill({ input: grid, output: grid }), test: [] }));
  assert.equal(courseSteps(undefined, { epochs: 4000, batchSize: 128 }, tasks), 156); // 20 000 pairs
  assert.equal(courseSteps(7, { epochs: 4000, batchSize: 128 }, tasks), 7);
  assert.equal(courseSteps(undefined, { epochs: 0, batchSize: 128 }, tasks), undefined);
  assert.equal(courseSteps(undefined, { epochs: 1, batchSize: 128 }, tasks), 1);
});

test("cycles and ACT steps of a run are the recipe's where it says any, else the checkpoint's", () => {
  assert.deepEqual(adaptedModel(TINY, { haltMaxSteps: 0, hCycles: 0, lCycles: 0 }), TINY);
  assert.deepEqual(adaptedModel(TINY, { haltMaxSteps: 10, hCycles: 4, lCycles: 5 }), { ...TINY, haltMaxSteps: 10, hCycles: 4, lCycles: 5 });
});
