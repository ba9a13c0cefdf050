import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { memoryShare } from "../../../src/backend/memory-share.ts";
import { benchModel } from "../../../src/bench/train-step.ts";
import { type Means, memoryDemand, type PlanRequest, partOf, planMemory, type Work } from "../../../src/budget/memory.ts";
import { adapterSize, trunkSize } from "../../../src/model/config.ts";
import { loraLayout } from "../../../src/model/lora.ts";
import { parameterCount, parameterLayout } from "../../../src/model/parameters.ts";
import { meansOf } from "../../../src/trace/means.ts";
import { TINY } from "../train/tiny-replica.ts";

/** The competition's model: hidden 512, 8 heads, 2 layers, prefix 16. */
const FULL = benchModel({ hiddenSize: 512, numHeads: 8, canvas: 30, batch: 1 });
const FULL_CANVAS = 16 + 30 * 30;
const ON_CPU: Means = { engine: "tensorflow", steps: "graph", device: "cpu", ownKernels: true };
const ON_GPU = meansOf("tensorflow", { compile: "auto", precision: "auto" }, true);

const full = (changes: Partial<PlanRequest>): PlanRequest => ({
  model: FULL,
  positions: FULL_CANVAS,
  kind: "training",
  means: ON_CPU,
  rows: 96,
  budgetBytes: 24e9,
  ...changes,
});

test("parts hold no more rows than fit, at least one, are of one size where that can be, and not less than half of what fits", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: -5, max: 3000 }), (rows, fit) => {
      const part = partOf(rows, fit);
      const most = Math.max(1, Math.min(rows, fit));
      assert.ok(part >= 1 && part <= most && 2 * part >= most, `${part} of ${most}`);
      const divisor = Array.from({ length: most }, (_, i) => most - i).find((size) => rows % size === 0)!;
      if (2 * divisor > most) assert.equal(part, divisor, "the largest that cuts the batch evenly");
      else assert.equal(Math.ceil(rows / part), Math.ceil(rows / most), "no more passes than needed");
    }),
  );
});

test("the trunk's size is that of its parameters", () => {
  for (const model of [TINY, FULL, { ...TINY, lLayers: 3, vocabularySize: 5 }])
    assert.equal(trunkSize(model), parameterCount(parameterLayout(model)));
});

test("a batch of 384 at full size fits four GPUs of 24 GB: 96 rows each, in equal parts that keep a GPU busy", () => {
  const budgetBytes = memoryShare({ engine: "tensorflow", workers: 4, gpus: [24e9, 24e9, 24e9, 24e9] });
  assert.ok(Math.abs(budgetBytes / 21.6e9 - 1) < 1e-9);
  for (const recompute of [undefined, true, false]) {
    const plan = planMemory(full({ means: ON_GPU, budgetBytes, recompute }));
    assert.ok(plan.bytes <= budgetBytes, `${plan.bytes}`);
    assert.equal(96 % plan.microBatch, 0);
    assert.ok(plan.microBatch * FULL_CANVAS >= 8192, `${plan.microBatch} rows`);
    assert.equal(plan.recompute, recompute ?? false);
  }
  // All 96 rows at once would not fit if scores were kept: 27 MB a row and block, and the gradient goes through ten blocks.
  const composed = { ...ON_GPU, fusedAttention: false };
  assert.ok(
    planMemory(full({ means: composed, budgetBytes, microBatch: 96, recompute: false })).bytes > 96 * 10 * 8 * FULL_CANVAS ** 2 * 4,
  );
});

test("with attention by cuDNN a row takes what was measured on an H100: temporaries, and the states that go in and come out", () => {
  const row = (kind: "training" | "prediction") => memoryDemand({ model: FULL, positions: FULL_CANVAS, kind, recompute: false }, ON_GPU);
  const states = 2 * 4 * FULL_CANVAS * 512;
  // temporaries of 96 rows in GB: 17.26, 1.63
  const [training, prediction] = [row("training"), row("prediction")];
  for (const [planned, measured] of [
    [training.rowBytes + training.carriedBytes, 17.26e9 / 96 + 2 * states] as const,
    [prediction.rowBytes + prediction.carriedBytes, 1.63e9 / 96 + 2 * states] as const,
  ])
    assert.ok(planned >= measured && planned < 1.2 * measured, `${planned} planned, ${measured} measured`);
});

test("the full-size step fits 6 GB on a processor, and a worker that shares a small machine computes blocks again", () => {
  const plan = planMemory(full({ budgetBytes: 6e9, puzzleRows: 120_000 }));
  assert.ok(plan.bytes <= 6e9 && !plan.recompute && plan.microBatch >= 8, JSON.stringify(plan));
  const without = planMemory(full({ budgetBytes: 6e9, microBatch: plan.microBatch }));
  assert.equal(plan.bytes - without.bytes, 120_000 * 512 * 4);
  const small = planMemory(full({ budgetBytes: 1.4e9, rows: 1 }));
  const tiny = planMemory(full({ budgetBytes: 1e9, rows: 1 }));
  assert.deepEqual([small.recompute, tiny.recompute, tiny.microBatch], [false, true, 1]);
  assert.ok(tiny.bytes <= 1e9 && tiny.bytes < small.bytes);
  // Where nothing fits, one row at a time is tried, the cheaper way.
  const none = planMemory(full({ budgetBytes: 1e8 }));
  assert.ok(none.microBatch === 1 && none.recompute && none.bytes > none.budgetBytes);
});

test("adapters in place of the trunk save its moments and average, in memory and in snapshots", () => {
  const model = { ...FULL, hiddenSize: 1024 };
  for (const means of [ON_CPU, ON_GPU]) {
    const demand = (changes: Partial<Work>) =>
      memoryDemand({ model, positions: 100, kind: "training", recompute: false, ...changes }, means);
    const [whole, adapted, predicting] = [demand({}), demand({ loraRank: 1 }), demand({ kind: "prediction" })];
    assert.ok(whole.fixedBytes - adapted.fixedBytes > 3 * 4 * trunkSize(model) && adapted.fixedBytes > predicting.fixedBytes);
    assert.ok(adapted.snapshot.fixedBytes < 0.01 * whole.snapshot.fixedBytes);
    assert.equal(adapted.rowBytes, whole.rowBytes);
    assert.deepEqual(demand({ kind: "prediction", loraRank: 1 }), predicting);
  }
  const layout = loraLayout(parameterLayout(model), { rank: 3, alpha: 1 });
  assert.equal(adapterSize(model, 3), parameterCount(layout));
});

test("what the user has decided stands, within the batch", () => {
  for (const recompute of [true, false]) {
    const plan = planMemory(full({ budgetBytes: 1e9, microBatch: 500, recompute }));
    assert.deepEqual([plan.microBatch, plan.recompute], [96, recompute]);
  }
  assert.equal(planMemory(full({ budgetBytes: 1e12, microBatch: 7 })).microBatch, 7);
});

test("more memory never means smaller parts, nor more work", () => {
  const means = fc.constantFrom<Means>(ON_CPU, ON_GPU, { engine: "wasm", steps: "op by op", device: "cpu", ownKernels: true });
  const sizes = fc.record({ rows: fc.integer({ min: 1, max: 400 }), side: fc.integer({ min: 1, max: 30 }), means });
  fc.assert(
    fc.property(sizes, fc.double({ min: 1e8, max: 1e11, noNaN: true }), ({ rows, side, means }, budgetBytes) => {
      const request = full({ rows, means, positions: 16 + side ** 2 });
      const [less, more] = [planMemory({ ...request, budgetBytes }), planMemory({ ...request, budgetBytes: 2 * budgetBytes })];
      assert.ok(more.recompute <= less.recompute);
      if (more.recompute === less.recompute) assert.ok(more.microBatch >= less.microBatch);
    }),
  );
});

test("what a row takes grows with its positions, with their square where scores are kept; a prediction takes less than a training", () => {
  const work: Work = { model: FULL, positions: 100, kind: "training", recompute: false };
  const row = (positions: number, means: Means, changes: Partial<Work> = {}): number =>
    memoryDemand({ ...work, positions, ...changes }, means).rowBytes;
  assert.ok(Math.abs(row(200, ON_CPU) / row(100, ON_CPU) - 2) < 1e-12);
  const composed = { ...ON_CPU, ownKernels: false };
  // second differences leave the scores alone: 8 heads x T^2, kept in ten blocks, twice more where the gradient is, 15 % lost
  const square = row(300, composed) - 2 * row(200, composed) + row(100, composed);
  assert.ok(Math.abs(square / (12 * 8 * 2 * 100 ** 2 * 4 * 1.15) - 1) < 1e-9, `${square}`);
  for (const means of [ON_CPU, composed, ON_GPU, { ...composed, steps: "op by op" } as const]) {
    const [kept, again, prediction] = [{}, { recompute: true }, { kind: "prediction" }] as const;
    assert.ok(row(916, means, again) < 0.5 * row(916, means, kept));
    assert.ok(row(916, means, prediction) < row(916, means, again));
  }
});

test("how steps will run is known before an engine is started", () => {
  const mode = (engine: "wasm" | "tensorflow", compile: "auto" | "xla" | "graph" | "off", onGpu: boolean): unknown[] => {
    const { steps, device, ownKernels, fusedAttention } = meansOf(engine, { compile, precision: "auto" }, onGpu);
    return [steps, device, ownKernels, ...(fusedAttention ? ["fused"] : [])];
  };
  assert.deepEqual(mode("wasm", "auto", false), ["op by op", "cpu", true]);
  assert.deepEqual(mode("tensorflow", "auto", true), ["xla", "gpu", false, "fused"]);
  assert.ok(!meansOf("tensorflow", { compile: "xla", precision: "float32" }, true).fusedAttention);
  const attention = (mode: "auto" | "fused" | "composed", onGpu = true) =>
    meansOf("tensorflow", { compile: "auto", precision: "auto", attention: mode }, onGpu).fusedAttention;
  assert.deepEqual([attention("auto"), attention("fused"), attention("composed"), attention("fused", false)], [true, true, false, false]);
  assert.deepEqual(mode("tensorflow", "graph", true), ["graph", "gpu", false]);
  assert.deepEqual(mode("tensorflow", "xla", false), ["xla", "cpu", false]);
  assert.deepEqual(mode("tensorflow", "auto", false).slice(0, 2), ["graph", "cpu"]);
  assert.deepEqual(mode("tensorflow", "off", false).slice(0, 2), ["op by op", "cpu"]);
});
