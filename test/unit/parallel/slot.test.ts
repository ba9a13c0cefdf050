import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job } from "../../../src/parallel/job.ts";
import { jobAfterLoss } from "../../../src/parallel/slot.ts";
import { WorkerLost } from "../../../src/parallel/worker-process.ts";

const COMPILATION = { compile: "auto", precision: "auto" } as const;
const JOB = { microBatch: 96, recompute: false, compilation: COMPILATION, composed: { microBatch: 24, recompute: true } } as unknown as Job;
const aborted = new WorkerLost("worker 0 of 1 ended by SIGABRT");
const outOfMemory = new WorkerLost("worker 0 of 1 ended by SIGKILL: out of memory", true);

test("a worker that was lost where attention by cuDNN first ran begins again with composed attention, in the rows planned for that", () => {
  const { job, changed } = jobAfterLoss(JOB, aborted, true);
  assert.deepEqual(job.compilation, { ...COMPILATION, attention: "composed" });
  assert.deepEqual([job.microBatch, job.recompute], [24, true]);
  assert.equal(
    changed,
    " while attention by cuDNN ran for the first time; this worker composes attention from now on, which is slower and takes more memory, 24 rows at a time instead of 96 (--attention composed does so at once)",
  );
});

test("rows are not made more by that: those that ran out of memory before stay few", () => {
  const { job, changed } = jobAfterLoss({ ...JOB, microBatch: 12 }, aborted, true);
  assert.equal(job.microBatch, 12);
  assert.doesNotMatch(changed, /rows at a time/);
});

test("a worker lost at any other time keeps its attention; one whose memory ran out too, with half the rows", () => {
  assert.deepEqual(jobAfterLoss(JOB, aborted, false), { job: JOB, changed: "" });
  for (const tries of [true, false]) {
    const { job, changed } = jobAfterLoss(JOB, outOfMemory, tries);
    assert.deepEqual(job, { ...JOB, microBatch: 48 });
    assert.equal(changed, "; 48 rows at a time instead of 96 from now on");
  }
});
