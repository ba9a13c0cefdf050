import assert from "node:assert/strict";
import { test } from "node:test";
import { countGpus, gpuIds, gpuMemoryInUse } from "../../../src/backend/gpus.ts";

const FOUR = [() => ["GPU 0", "GPU 1", "GPU 2", "GPU 3"]];

test("without CUDA_VISIBLE_DEVICES there is a device for each GPU that is found", () => {
  assert.deepEqual(
    gpuIds([() => [], ...FOUR], undefined),
    process.env.CUDA_VISIBLE_DEVICES === undefined ? ["0", "1", "2", "3"] : gpuIds(FOUR),
  );
  assert.deepEqual(gpuIds([() => []], "0,1"), []);
  assert.equal(countGpus(FOUR, "0"), 1);
});

test("with it workers are given the devices that it leaves to this process, by the names that it has for them", () => {
  assert.deepEqual(gpuIds(FOUR, "2,3"), ["2", "3"]);
  assert.deepEqual(gpuIds(FOUR, " GPU-5ad1 , GPU-7c0e"), ["GPU-5ad1", "GPU-7c0e"]);
  assert.deepEqual(gpuIds(FOUR, ""), []);
  assert.deepEqual(gpuIds(FOUR, "1,-1,2"), ["1"], "CUDA stops at what it doesn't know");
  assert.deepEqual(gpuIds([() => ["GPU 0"]], "0,1"), ["0"], "no more than there are");
});

test("a probe that can't be made gives way to the next", () => {
  const fails = () => {
    throw new Error("no such program");
  };
  assert.deepEqual(gpuIds([fails, ...FOUR], "0,1"), ["0", "1"]);
});

test("memory in use is told for each GPU, and nothing where the driver says nothing", async () => {
  const inUse = (...numbers: [number, number][]) => gpuMemoryInUse(async () => numbers);
  assert.equal(await inUse([12_288, 23_034], [512, 23_034]), "0: 12.0 of 22.5 GiB; 1: 0.5 of 22.5 GiB");
  assert.equal(await inUse([Number.NaN, Number.NaN]), undefined);
  assert.equal(await inUse(), undefined);
});
