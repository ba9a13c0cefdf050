import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { writeSnapshot } from "../../../src/checkpoint/snapshots.ts";
import { Lineage } from "../../../src/parallel/lineage.ts";

const folder = mkdtempSync(join(tmpdir(), "trm-lineage-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const stateAt = (step: number) => ({ record: { step }, state: new Map([["weights", { shape: [1], data: Float32Array.of(step) }]]) });

test("a state that was saved is gone on with where no snapshot is newer, and can be damaged or lead to divergence as one", () => {
  const lineage = new Lineage({ folder, everySeconds: 1 });
  const steps = (): number[] => lineage.sources().map(({ step }) => step);
  assert.deepEqual(steps(), []);
  lineage.saved(join(folder, "state"), 5);
  assert.deepEqual(steps(), [5]);
  writeSnapshot(folder, stateAt(3));
  assert.deepEqual(steps(), [5, 3], "the snapshots stopped at step 3: the disk is full");
  writeSnapshot(folder, stateAt(8));
  assert.deepEqual(steps(), [8, 3], "the state is older than the snapshot");
  lineage.saved(join(folder, "state"), 9);
  assert.deepEqual(steps(), [9, 8, 3]);
  lineage.exclude(lineage.sources()[0]!);
  assert.deepEqual(steps(), [8, 3]);
  lineage.saved(join(folder, "state"), 12);
  assert.deepEqual(steps(), [12, 8, 3], "written anew since");
});
