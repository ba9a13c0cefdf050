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
  /** interim predictions wanted on the way: how often and under how many variants at most, for this share of the training at most */
  readonly interims?: { readonly count: number; readonly rounds: number; readonly share: number } | undefined;
  /** what predictions may take in all, where that was decided before: a fifth of what is left unless given */
  readonly predictAllowance?: number | undefined;
  /** what one round may take before it is made cheaper, where that was decided before: two fifths of what is left unless given */
  readonly roundAllowance?: number | undefined;
}

export interface Plan {
  /** interim predictions included */
  readonly trainSeconds: number;
  readonly predictSeconds: number;
  /** what the last predictions may take at most, however the measures change */
  readonly predictAllowance: number;
  /** what one round may take at most before it is made cheaper by fewer ACT steps */
  readonly roundAllowance: number;
  /** rounds over all test inputs that fit predictSeconds, at most `variants`; at least one is tried however short the time */
  readonly rounds: number;
  /** ACT steps of a prediction: fewer than wanted where even one round would take too much of the budget */
  readonly actSteps: number;
  /** predictions on the way, at equal distances; `seconds` is what one of them takes */
  readonly interims: { readonly count: number; readonly rounds: number; readonly seconds: number };
}

/** Predictions may take this share of what is left, for as many variants as fit it. */
const PREDICT_SHARE = 0.2;
/** One round may take this much before it is made cheaper by fewer ACT steps. */
const FIRST_ROUND_SHARE = 0.4;
/** Measured prediction times are from a quiet moment. */
const PREDICT_MARGIN = 1.15;

/** A hundredth of a budget, within these bounds (seconds), is kept for the last write, ending the workers, and whatever takes longer than it should. */
const RESERVE_SHARE = 0.01;
const RESERVE = { min: 0.6, max: 300 };

/** A share of some seconds, within bounds. */
export function boundedShare(seconds: number, share: number, { min, max }: { readonly min: number; readonly max: number }): number {
  return Math.min(max, Math.max(min, share * seconds));
}

/** Seconds of a budget in which no work is planned: a long run's files are final five minutes before its end. */
export function reserveOf(budgetSeconds: number): number {
  return Math.min(budgetSeconds / 4, boundedShare(budgetSeconds, RESERVE_SHARE, RESERVE));
}

/** Phases of the rest of a run. Voting is anytime: rounds that turn out not to fit cost votes, not tasks. */
export function planPhases(inputs: PlanInputs): Plan {
  const { perPrediction, workers, testInputs, variants, reserve, predictOnly } = inputs;
  const usable = Math.max(0, inputs.remaining - reserve);
  const round = (steps: number): number =>
    ((perPrediction * testInputs) / Math.max(1, workers)) * (steps / inputs.actSteps) * PREDICT_MARGIN;
  const roundAllowance = Math.min(usable, predictOnly ? usable : (inputs.roundAllowance ?? FIRST_ROUND_SHARE * usable));
  let actSteps = inputs.actSteps;
  while (actSteps > 1 && round(actSteps) > roundAllowance) actSteps = Math.ceil(actSteps / 2);
  const seconds = round(actSteps);
  const predictAllowance = Math.min(usable, predictOnly ? usable : (inputs.predictAllowance ?? PREDICT_SHARE * usable));
  const fit = seconds > 0 ? Math.floor(predictAllowance / seconds) : variants; // nothing to predict costs nothing
  const rounds = Math.max(1, Math.min(variants, fit));
  const predictSeconds = Math.min(usable, rounds * seconds);
  const trainSeconds = predictOnly ? 0 : usable - predictSeconds;
  const interims = planInterims(inputs, trainSeconds, seconds);
  return { trainSeconds, predictSeconds, predictAllowance, roundAllowance, rounds, actSteps, interims };
}

/** As many as are wanted and fit their share; then under as many variants as fit it too. */
function planInterims({ interims, variants }: PlanInputs, trainSeconds: number, roundSeconds: number): Plan["interims"] {
  const none = { count: 0, rounds: 0, seconds: 0 };
  if (!interims || trainSeconds <= 0) return none;
  const fit = roundSeconds > 0 ? Math.floor((interims.share * trainSeconds) / roundSeconds) : Number.POSITIVE_INFINITY;
  const count = Math.min(interims.count, fit);
  if (count < 1) return none;
  const rounds = Math.max(1, Math.min(interims.rounds, variants, Math.floor(fit / count)));
  return { count, rounds, seconds: rounds * roundSeconds };
}
