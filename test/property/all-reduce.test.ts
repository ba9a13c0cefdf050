import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { createRingFolder, joinRing } from "../../src/parallel/all-reduce.ts";

test("any number of ranks with any arrays agree on their sum and on everyone's array", async () => {
  const ranks = fc.integer({ min: 1, max: 6 });
  const lengths = fc.array(fc.nat({ max: 40 }), { minLength: 6, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(ranks, fc.nat({ max: 50 }), lengths, async (worldSize, length, own) => {
      const folder = createRingFolder();
      try {
        const sums = await Promise.all(
          Array.from({ length: worldSize }, async (_, rank) => {
            const ring = await joinRing({ rank, worldSize, folder, token: "t", timeoutMillis: 10_000 });
            const data = Float32Array.from({ length }, (_, i) => (rank + 1) * i);
            await ring.allReduceSum(data);
            const gathered = await ring.allGather(new Float32Array(own[rank]!).fill(rank));
            ring.close();
            return { data, gathered };
          }),
        );
        const factor = (worldSize * (worldSize + 1)) / 2;
        for (const { data, gathered } of sums) {
          assert.deepEqual(
            data,
            Float32Array.from({ length }, (_, i) => factor * i),
          );
          gathered.forEach((array, rank) => {
            assert.deepEqual(array, new Float32Array(own[rank]!).fill(rank));
          });
        }
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }),
    { numRuns: 40 },
  );
});
