import assert from "node:assert/strict";
import { test } from "node:test";
import { workerEnvironment } from "../../src/backend/choose.ts";
import { locateTensorFlow } from "../../src/backend/locate-tensorflow.ts";
import { expectedMemory, type MemoryCase } from "../../src/bench/memory.ts";
import { trm } from "../cli/toy.ts";

/** Each case runs in a process of its own. As the tests beside it, only where TRM_TEST_ENGINE=tensorflow. */
const search = locateTensorFlow();
const missing = ((): string | false => {
  if (!search.found) return `no ${search.missing.join("; no ")}`;
  return process.env.TRM_TEST_ENGINE === "tensorflow" ? false : "TRM_TEST_ENGINE is not tensorflow";
})();
if (missing) console.log(`skipped: ${missing}`);
const options = { skip: missing };
if (search.found) Object.assign(process.env, workerEnvironment({ engine: "tensorflow", location: search.found, reason: "test" }));

/** Bytes of resident memory at the peak, measured, checked against what the model says. */
async function peak(measured: MemoryCase): Promise<number> {
  const { status, stdout, stderr } = await trm("bench", "--memory-case", JSON.stringify(measured));
  assert.equal(status, 0, stderr);
  const { peakBytes } = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as { peakBytes: number };
  const expected = expectedMemory(measured);
  assert.ok(Math.abs(expected / peakBytes - 1) <= 0.25, `expected ${expected / 1e6} MB, measured ${peakBytes / 1e6} MB`);
  return peakBytes;
}

const SMALL: Omit<MemoryCase, "compilation" | "recompute"> = {
  engine: "tensorflow",
  kind: "training",
  hiddenSize: 128,
  numHeads: 4,
  canvas: 10,
  rows: 40,
  microBatch: 40,
  model: { lCycles: 3 },
};

for (const compile of ["graph", "xla"] as const) {
  test(`compiled (${compile}), blocks computed again for their gradient take as much less memory as the model says`, options, async () => {
    const measured = { ...SMALL, compilation: { compile, precision: "float32" } } as const;
    const [kept, again] = [
      { ...measured, recompute: false },
      { ...measured, recompute: true },
    ];
    const saved = (await peak(kept)) - (await peak(again));
    const expected = expectedMemory(kept) - expectedMemory(again);
    assert.ok(expected > 2e8 && saved > 0.7 * expected, `saved ${saved / 1e6} MB, expected ${expected / 1e6} MB`);
  });
}

test("op by op, on wasm too, a training takes the memory that the model says", options, async () => {
  const compilation = { compile: "off", precision: "float32" } as const;
  for (const engine of ["wasm", "tensorflow"] as const)
    for (const recompute of [false, true]) await peak({ ...SMALL, engine, compilation, recompute, rows: 12, microBatch: 12 });
});

test("where TensorFlow itself runs out of memory, compiled or not, the batch goes on in halves", options, async () => {
  process.env.TF_MKL_ALLOC_MAX_BYTES = "300000000"; // of tensors, where 40 rows want more
  try {
    for (const compile of ["graph", "off"] as const) {
      const measured = { ...SMALL, compilation: { compile, precision: "float32" }, recompute: false } as const;
      const { status, stdout, stderr } = await trm("bench", "--memory-case", JSON.stringify(measured));
      assert.equal(status, 0, stderr);
      assert.match(stderr, /out of memory with 40 rows at a time; going on with 20/);
      assert.match(stdout, /"peakBytes":\d+/);
    }
  } finally {
    delete process.env.TF_MKL_ALLOC_MAX_BYTES;
  }
});
