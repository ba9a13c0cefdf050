import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { DEVICE_PROFILES, type DeviceProfile } from "../../../src/bench/device-profiles.ts";
import { type ProjectionAssumptions, project, type Work } from "../../../src/bench/project.ts";
import { actStepWork, optimizerStepWork } from "../../../src/bench/roofline.ts";

/** 100 TFLOP/s, 1000 GB/s */
const ROUND: DeviceProfile = {
  name: "round",
  bf16TeraflopsPerSecond: 100,
  float32TeraflopsPerSecond: 10,
  memoryGigabytesPerSecond: 1000,
  memoryBytes: 1e9,
  reached: { flopShare: 0.5, bandwidthShare: 0.25, measured: false },
  source: "made up",
};
const FULL: ProjectionAssumptions = {
  precision: "bfloat16",
  flopShare: 1,
  bandwidthShare: 1,
  hostGigabytesPerSecond: 10,
  exchangeGigabytesPerSecond: 1,
  workers: 1,
};
const NOTHING: Work = { flops: 0, bytes: 0, hostBytes: 0, exchangeBytes: 0 };

test("products and memory add up, and with overlap the slower decides", () => {
  const slowProducts = project({ ...NOTHING, flops: 300e12, bytes: 2e12 }, ROUND, FULL);
  assert.deepEqual([slowProducts.boundBy, slowProducts.seconds, slowProducts.secondsWithOverlap], ["products", 5, 3]);
  const slowMemory = project({ ...NOTHING, flops: 100e12, bytes: 2e12 }, ROUND, FULL);
  assert.deepEqual([slowMemory.boundBy, slowMemory.seconds, slowMemory.secondsWithOverlap], ["memory", 3, 2]);
});

test("shares of the peak, those of the profile unless given, the precision's own peak", () => {
  const work = { ...NOTHING, flops: 30e12, bytes: 1e12 };
  const half = project(work, ROUND, { ...FULL, flopShare: 0.6, bandwidthShare: 0.8 });
  assert.deepEqual([half.secondsOfProducts, half.secondsOfMemory], [0.5, 1.25]);
  assert.equal(project(work, ROUND, { ...FULL, precision: "float32" }).secondsOfProducts, 3);
  const known = project(work, ROUND, { ...FULL, flopShare: undefined, bandwidthShare: undefined });
  assert.deepEqual([known.secondsOfProducts, known.secondsOfMemory], [0.6, 4]);
});

test("copies and exchange add to it; a ring of four sends one and a half times the gradient", () => {
  const work = { ...NOTHING, flops: 100e12, hostBytes: 5e9, exchangeBytes: 2e9 };
  const four = project(work, ROUND, { ...FULL, workers: 4 });
  assert.deepEqual([four.secondsOfHostCopies, four.secondsOfExchange, four.seconds], [0.5, 3, 4.5]);
  assert.equal(project(work, ROUND, FULL).secondsOfExchange, 0);
});

test("no device that is faster in everything takes longer", () => {
  const amount = fc.double({ min: 0, max: 1e15, noNaN: true });
  fc.assert(
    fc.property(fc.record({ flops: amount, bytes: amount, hostBytes: amount, exchangeBytes: amount }), (work) => {
      const [l4, h100] = [project(work, DEVICE_PROFILES.l4, FULL), project(work, DEVICE_PROFILES.h100, FULL)];
      assert.ok(h100.seconds <= l4.seconds && l4.secondsWithOverlap <= l4.seconds);
    }),
  );
});

const counts = (flops: number, bytes: number, boundaryBytes: number) => ({ flops, bytes, boundaryBytes, operations: 0, matrixProducts: 0 });
const STEP = { parameters: 10, gradient: counts(100, 1000, 200), update: counts(1, 50, 320), evaluation: counts(30, 300, 90) };

test("an optimizer step is the gradients of its micro-batches, their sum, and one update", () => {
  // each of the two sums reads two gradients of 40 bytes and writes one
  assert.deepEqual(optimizerStepWork(STEP, 3, 4), { flops: 301, bytes: 3000 + 2 * 120 + 50, hostBytes: 600 + 320, exchangeBytes: 40 });
});

test("alone and in one go the gradient stays on the device and nothing is exchanged", () => {
  assert.deepEqual(optimizerStepWork(STEP, 1, 1), { flops: 101, bytes: 1050, hostBytes: 200 + 320 - 120, exchangeBytes: 0 });
});

test("an ACT step of predictions is for each micro-batch, without exchange", () => {
  assert.deepEqual(actStepWork(STEP, 2), { flops: 60, bytes: 600, hostBytes: 180, exchangeBytes: 0 });
});
