import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type PlanInputs, planPhases, reserveOf } from "../../../src/budget/planner.ts";

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

test("made again while training goes on, with the same measures, a plan stays what it was", () => {
  fc.assert(
    fc.property(anyInputs, fc.double({ min: 0, max: 0.95, noNaN: true }), (inputs, passed) => {
      const plan = planPhases(inputs);
      fc.pre(plan.trainSeconds > 1e-6 * inputs.remaining);
      const { predictAllowance, roundAllowance } = plan;
      const remaining = inputs.remaining - passed * plan.trainSeconds;
      const again = planPhases({ ...inputs, remaining, predictAllowance, roundAllowance });
      assert.deepEqual([again.actSteps, again.rounds], [plan.actSteps, plan.rounds]);
    }),
  );
  // A round of 110 s of 300: a little more than a third, with nearly nothing but that left.
  const dear = { ...BASE, remaining: 300, reserve: 0, perPrediction: 110 / 57.5 };
  const { predictAllowance, roundAllowance, actSteps } = planPhases(dear);
  assert.equal(actSteps, 16);
  const late = { ...dear, predictAllowance, roundAllowance };
  assert.equal(planPhases({ ...late, remaining: 111 }).actSteps, 16);
  assert.equal(planPhases({ ...late, remaining: 109 }).actSteps, 8, "a round that does not fit what is left");
  assert.equal(
    planPhases({ ...late, remaining: 290, perPrediction: 1.2 * dear.perPrediction }).actSteps,
    8,
    "one that is found to be too dear",
  );
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

test("a reserve grows with the budget from half a second to five minutes, and takes no more than a quarter of a short one", () => {
  assert.deepEqual([1, 2, 20, 120, 3600, 41_400, 1e6].map(reserveOf), [0.25, 0.5, 0.6, 1.2, 36, 300, 300]);
});

const INTERIMS = { count: 3, rounds: 1, share: 0.03 };

test("interim predictions fit their share of the training: fewer, then under fewer variants, then none", () => {
  fc.assert(
    fc.property(anyInputs, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 8 }), (inputs, count, rounds) => {
      const share = 0.05;
      const { interims, trainSeconds } = planPhases({ ...inputs, interims: { count, rounds, share } });
      assert.ok(interims.count <= count && interims.rounds <= Math.min(rounds, inputs.variants));
      assert.ok(interims.count * interims.seconds <= share * trainSeconds * (1 + 1e-9));
      if (interims.count > 0) assert.ok(interims.rounds >= 1);
    }),
  );
  const at = (perPrediction: number) =>
    planPhases({ ...BASE, perPrediction, variants: 8, interims: { count: 12, rounds: 8, share: 0.06 } }).interims;
  // Training has about 900 s, so they have some 54 s; a round takes 57.5 times a prediction.
  assert.deepEqual(
    [at(0.005), at(0.05), at(0.2), at(0.5), at(2)].map(({ count, rounds }) => [count, rounds]),
    [
      [12, 8],
      [12, 1],
      [4, 1],
      [1, 1],
      [0, 0],
    ],
  );
  assert.deepEqual(planPhases({ ...BASE, predictOnly: true, interims: INTERIMS }).interims, { count: 0, rounds: 0, seconds: 0 });
});

test("a plan made again keeps what predictions may take, whatever is left, and gives rounds up where they have become dearer", () => {
  const { predictAllowance, predictSeconds, rounds } = planPhases(BASE);
  assert.ok(Math.abs(predictAllowance - 198) < 1e-9);
  const later = { ...BASE, remaining: 500, predictAllowance };
  assert.equal(planPhases(later).rounds, rounds);
  assert.ok(Math.abs(planPhases(later).predictSeconds - predictSeconds) < 1e-9);
  assert.equal(planPhases({ ...later, perPrediction: 0.2 }).rounds, 17);
  assert.equal(planPhases({ ...later, workers: 1 }).rounds, 17); // one of two workers is lost
  const late = planPhases({ ...later, remaining: 110 });
  assert.ok(late.predictSeconds <= 100 && late.trainSeconds < 6, "what is no longer there can't be given");
});
