import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { trainStretch } from "../../src/parallel/laborer.ts";
import type { Progress } from "../../src/train/loop.ts";
import { MetricSums } from "../../src/train/metric-sums.ts";
import type { StepMetrics } from "../../src/train/replica.ts";

/** Losses that add up without rounding. */
const loss = fc.integer({ min: 0, max: 1000 }).map((n) => n / 8);
const count = fc.nat(16);
const others = {
  taught: fc.record({ qHaltLoss: loss, finished: count, qHaltAccuracy: count }),
  encoded: fc.record({ lmLoss: loss, finished: count, exact: count }),
};
const own = { lmLoss: loss, qHaltLoss: loss, finished: count, accuracy: count, exact: count, qHaltAccuracy: count, actSteps: count };
/** Steps of one run: all have the same parts. */
const anySteps: fc.Arbitrary<StepMetrics[]> = fc.subarray(["taught", "encoded"] as const).chain(
  (parts) =>
    fc.array(fc.record({ ...own, ...Object.fromEntries(parts.map((name) => [name, others[name]])) }, { noNullPrototype: true }), {
      minLength: 1,
      maxLength: 20,
    }) as unknown as fc.Arbitrary<StepMetrics[]>,
);

const sum = (steps: readonly StepMetrics[], of: (step: StepMetrics) => number | undefined): number =>
  steps.reduce((total, step) => total + of(step)!, 0);

function assertTaken(taken: StepMetrics, steps: readonly StepMetrics[]): void {
  const near = (actual: number, expected: number): void =>
    assert.ok(Math.abs(actual - expected) <= 1e-9 * (1 + expected), `${actual}, not ${expected}`);
  near(taken.lmLoss, sum(steps, ({ lmLoss }) => lmLoss) / steps.length);
  near(taken.qHaltLoss, sum(steps, ({ qHaltLoss }) => qHaltLoss) / steps.length);
  for (const name of ["finished", "accuracy", "exact", "qHaltAccuracy", "actSteps"] as const)
    assert.equal(
      taken[name],
      sum(steps, (step) => step[name]),
    );
  assert.deepEqual(Object.keys(taken).sort(), Object.keys(steps[0]!).sort());
  if (taken.taught) {
    near(taken.taught.qHaltLoss, sum(steps, ({ taught }) => taught?.qHaltLoss) / steps.length);
    assert.equal(
      taken.taught.finished,
      sum(steps, ({ taught }) => taught?.finished),
    );
    assert.equal(
      taken.taught.qHaltAccuracy,
      sum(steps, ({ taught }) => taught?.qHaltAccuracy),
    );
  }
  if (taken.encoded) {
    near(taken.encoded.lmLoss, sum(steps, ({ encoded }) => encoded?.lmLoss) / steps.length);
    assert.equal(
      taken.encoded.exact,
      sum(steps, ({ encoded }) => encoded?.exact),
    );
  }
}

test("metrics of steps taken together, and of what was so taken, are the losses' means and the counts' sums of all steps", () => {
  fc.assert(
    fc.property(anySteps, fc.array(fc.boolean(), { maxLength: 20 }), (steps, cuts) => {
      const [inner, outer] = [new MetricSums(), new MetricSums()];
      const pass = (): void => {
        const of = inner.take();
        if (of) outer.add(of.metrics, of.steps);
      };
      for (const [i, step] of steps.entries()) {
        inner.add(step);
        if (cuts[i]) pass();
      }
      pass();
      const taken = outer.take()!;
      assert.equal(taken.steps, steps.length);
      assertTaken(taken.metrics, steps);
      assert.equal(outer.take(), undefined, "taken once");
    }),
  );
});

test("a worker's reports leave out no step: those that are faster than a report are told of together, the last ones at the end", async () => {
  await fc.assert(
    fc.asyncProperty(anySteps, async (steps) => {
      const told: Progress[] = [];
      let trained = false;
      const loop: Parameters<typeof trainStretch>[0] = {
        step: steps.length,
        stepSeconds: 0.001,
        run: async (_, watch) => {
          for (const [i, metrics] of steps.entries())
            watch({ ...metrics, steps: 1, step: i + 1, plannedSteps: steps.length, stepSeconds: 0.001, lrTrunk: 1e-4 });
          return "steps";
        },
      };
      await trainStretch(
        loop,
        { deadline: 1, finalDeadline: 1 },
        {
          pulse: { beat: () => {} },
          seat: { close: () => {} },
          snapshots: undefined,
          tensors: () => 0,
          send: (report) => {
            assert.ok(!trained, "nothing comes after the end");
            if (report.kind === "progress") told.push(report.progress);
            else trained = true;
          },
        },
      );
      assert.ok(trained);
      assert.ok(told.length <= 2, `${told.length} reports of a moment`);
      assert.equal(told.at(-1)!.step, steps.length);
      assert.equal(
        told.reduce((total, { steps: covered }) => total + covered, 0),
        steps.length,
      );
      assert.equal(
        sum(told, ({ finished }) => finished),
        sum(steps, ({ finished }) => finished),
      );
    }),
    { numRuns: 30 },
  );
});
