import assert from "node:assert/strict";
import { test } from "node:test";
import { leastCapability } from "../../../src/backend/gpus.ts";
import { attentionOn } from "../../../src/trace/compilation.ts";

test("attention is composed from the start on GPUs that are known to have none by cuDNN, unless it was asked for", () => {
  assert.deepEqual([7.5, 8, 8.9, undefined].map((capability) => attentionOn("auto", capability)), ["composed", "auto", "auto", "auto"]); // biome-ignore format: pairs
  assert.equal(attentionOn(undefined, 7.5), "composed");
  assert.equal(attentionOn("fused", 7.5), "fused");
  assert.equal(attentionOn("composed", 9), "composed");
});

test("of several GPUs the least compute capability counts; a driver that does not tell it is no error", () => {
  assert.equal(
    leastCapability(() => [8.9, 7.5]),
    7.5,
  );
  assert.equal(
    leastCapability(() => [Number.NaN]),
    undefined,
  ); // "[N/A]"
  assert.equal(
    leastCapability(() => {
      throw new Error("nvidia-smi: not found");
    }),
    undefined,
  );
});
