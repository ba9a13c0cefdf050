/** Splits what is left of the budget between training and prediction, from measured times. */

/** What was measured, and what is wanted. All times in seconds. */
export interface PlanInputs {
  /** left until the run must have ended */
  readonly remaining: number;
  /** one prediction (one test input, one variant) on one worker, at the wanted ACT steps */
  readonly perPrediction: number;
  readonly workers: number;
  readonly testInputs: number;
  /** variants wanted per test input */
  readonly variants: number;
  /** ACT steps wanted of a prediction */
  readonly actSteps: number;
  /** kept for writing and shutting down */
  readonly reserve: number;
  /** nothing is trained: all the time may go into predictions */
  readonly predictOnly: boolean;
}

export interface Plan {
  readonly trainSeconds: number;
  readonly predictSeconds: number;
  /** rounds over all test inputs that fit predictSeconds, at most `variants`; at least one is tried however short the time */
  readonly rounds: number;
  /** ACT steps of a prediction: fewer than wanted where even one round would take too much of the budget */
  readonly actSteps: number;
}

/** Predictions may take this share of what is left, for as many variants as fit it. */
const PREDICT_SHARE = 0.2;
/** One round may take this much before it is made cheaper by fewer ACT steps. */
const FIRST_ROUND_SHARE = 0.4;
/** Measured prediction times are from a quiet moment. */
const PREDICT_MARGIN = 1.15;

/** Phases of the rest of a run. Voting is anytime: rounds that turn out not to fit cost votes, not tasks. */
export function planPhases(inputs: PlanInputs): Plan {
  const { perPrediction, workers, testInputs, variants, reserve, predictOnly } = inputs;
  const usable = Math.max(0, inputs.remaining - reserve);
  let actSteps = inputs.actSteps;
  const round = (): number => ((perPrediction * testInputs) / workers) * (actSteps / inputs.actSteps) * PREDICT_MARGIN;
  const first = predictOnly ? 1 : FIRST_ROUND_SHARE;
  while (actSteps > 1 && round() > first * usable) actSteps = Math.ceil(actSteps / 2);
  const share = predictOnly ? 1 : PREDICT_SHARE;
  const fit = round() > 0 ? Math.floor((share * usable) / round()) : variants; // nothing to predict costs nothing
  const rounds = Math.max(1, Math.min(variants, fit));
  const predictSeconds = Math.min(usable, rounds * round());
  return { trainSeconds: predictOnly ? 0 : usable - predictSeconds, predictSeconds, rounds, actSteps };
}
