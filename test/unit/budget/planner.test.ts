import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type PlanInputs, planPhases } from "../../../src/budget/planner.ts";

const BASE: PlanInputs = {
  remaining: 1000,
  perPrediction: 0.1,
  workers: 2,
  testInputs: 100,
  variants: 512,
  actSteps: 16,
  reserve: 10,
  predictOnly: false,
};
const anyInputs: fc.Arbitrary<PlanInputs> = fc.record({
  remaining: fc.double({ min: -10, max: 1e5, noNaN: true }),
  perPrediction: fc.double({ min: 0, max: 1e4, noNaN: true }),
  workers: fc.integer({ min: 1, max: 8 }),
  testInputs: fc.integer({ min: 0, max: 500 }),
  variants: fc.integer({ min: 1, max: 1000 }),
  actSteps: fc.integer({ min: 1, max: 64 }),
  reserve: fc.double({ min: 0, max: 60, noNaN: true }),
  predictOnly: fc.boolean(),
});

test("the phases never exceed what is left, at least one round is tried, and ACT steps stay within what was wanted", () => {
  fc.assert(
    fc.property(anyInputs, (inputs) => {
      const { trainSeconds, predictSeconds, rounds, actSteps } = planPhases(inputs);
      const usable = Math.max(0, inputs.remaining - inputs.reserve);
      assert.ok(trainSeconds >= 0 && predictSeconds >= 0);
      assert.ok(trainSeconds + predictSeconds <= usable * (1 + 1e-9), `${trainSeconds} + ${predictSeconds} of ${usable}`);
      assert.ok(Number.isInteger(rounds) && rounds >= 1 && rounds <= inputs.variants, `${rounds} rounds`);
      assert.ok(Number.isInteger(actSteps) && actSteps >= 1 && actSteps <= inputs.actSteps);
      if (inputs.predictOnly) assert.equal(trainSeconds, 0);
    }),
  );
});

test("a fifth of the time goes into as many whole rounds as fit it", () => {
  // A round: 0.1 s x 100 / 2 workers x 1.15 = 5.75 s; 0.2 x 990 s = 198 s hold 34 of them.
  const plan = planPhases(BASE);
  assert.equal(plan.rounds, 34);
  assert.equal(plan.actSteps, 16);
  assert.ok(Math.abs(plan.predictSeconds - 34 * 5.75) < 1e-9);
  assert.ok(Math.abs(plan.trainSeconds - (990 - 34 * 5.75)) < 1e-9);
});

test("no more rounds than variants, and the time they leave goes into training", () => {
  const plan = planPhases({ ...BASE, variants: 4 });
  assert.equal(plan.rounds, 4);
  assert.ok(Math.abs(plan.trainSeconds - (990 - 4 * 5.75)) < 1e-9);
});

test("where one round would take too much, predictions run fewer ACT steps", () => {
  // A round of 575 s against 0.4 x 990 s = 396 s: half the steps take 287.5 s.
  const dear = planPhases({ ...BASE, perPrediction: 10 });
  assert.equal(dear.actSteps, 8);
  assert.equal(dear.rounds, 1);
  // Without training the same round may take all of the time.
  assert.equal(planPhases({ ...BASE, perPrediction: 10, predictOnly: true }).actSteps, 16);
  assert.equal(planPhases({ ...BASE, perPrediction: 1e6 }).actSteps, 1);
});
