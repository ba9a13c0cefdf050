import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gpuMemory } from "../../../src/backend/gpus.ts";
import { memoryShare } from "../../../src/backend/memory-share.ts";

const bin = mkdtempSync(join(tmpdir(), "trm-gpus-"));
after(() => rmSync(bin, { recursive: true }));

test("the driver is asked for the memory of its GPUs in MiB", () => {
  const driver =
    '#!/bin/sh\ncase "$*" in "--query-gpu=memory.total --format=csv,noheader,nounits") echo 23034; echo 15360;; *) exit 2;; esac\n';
  writeFileSync(join(bin, "nvidia-smi"), driver, { mode: 0o755 });
  const path = process.env.PATH;
  process.env.PATH = `${bin}:${path}`;
  try {
    assert.deepEqual(gpuMemory(2), [15360 * 2 ** 20, 15360 * 2 ** 20]);
  } finally {
    process.env.PATH = path;
  }
});

test("each GPU counts as the smallest one; a driver that doesn't tell, or tells nothing, leaves it open", () => {
  assert.deepEqual(
    gpuMemory(2, () => [24e9, 16e9, 24e9]),
    [16e9, 16e9],
  );
  assert.deepEqual(
    gpuMemory(2, () => [Number.NaN]),
    [undefined, undefined],
  );
  const failing = (): number[] => {
    throw new Error("no nvidia-smi");
  };
  assert.deepEqual(gpuMemory(1, failing), [undefined]);
  assert.deepEqual(gpuMemory(0, failing), []);
});

test("a worker's share is of its GPU, of the smallest known card where the driver is silent, else of the machine's memory", () => {
  const share = (gpus: (number | undefined)[], workers: number, engine: "wasm" | "tensorflow" = "tensorflow"): number =>
    Math.round(memoryShare({ engine, workers, gpus }, 32e9) / 1e6);
  assert.equal(share([24e9, 24e9], 2), 21600);
  assert.equal(share([24e9, 24e9], 4), 10800, "two workers share a GPU");
  assert.equal(share([24e9, 24e9], 3), 10800);
  assert.equal(share([undefined, 24e9], 2), 13500);
  assert.equal(share([], 4), 4000);
  assert.equal(share([], 4, "wasm"), 1500);
  assert.equal(share([], 64, "wasm"), 250);
});
