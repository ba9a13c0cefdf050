import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../../src/backend/select.ts";
import { isOutOfMemory } from "../../../src/trace/ready-step.ts";

before(() => startEngine("wasm"));

test("more memory than WebAssembly can have is refused in words that a step understands, and the engine goes on", () => {
  const before = tf.backend().numDataIds();
  const tooMuch = (): unknown => (tf.backend() as BackendWasm).makeOutput([2 ** 30 - 2 ** 14], "float32"); // 4 GiB less 64 KiB
  assert.throws(tooMuch, (error) => isOutOfMemory(error) && /WebAssembly has no 4294901760 bytes left/.test((error as Error).message));
  assert.equal(tf.backend().numDataIds(), before);
  assert.deepEqual([...tf.matMul([[1, 2]], [[3], [4]]).dataSync()], [11]);
});
