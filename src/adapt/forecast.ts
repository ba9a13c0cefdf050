/** What a dry run says of the hidden tasks: how the same run would go with as many as the competition has. */
import { formatDuration } from "../budget/duration.ts";
import { type Plan, reserveOf } from "../budget/planner.ts";
import { itemsOf } from "./items.ts";
import { planFrom, plannedSteps } from "./plan-phases.ts";
import { isPredictOnly, type RunRequest } from "./request.ts";
import type { Setup } from "./setup.ts";
import { zeroRoundSeconds } from "./zero-round.ts";

/** Tasks of ARC Prize's hidden set, of which a rerun gets the files. */
export const HIDDEN_TASKS = 240;

/** What was measured of the run that was made, or will be. All times in seconds. */
export interface RunMeasures {
  readonly plan: Plan;
  /** of the run, when training began */
  readonly trainBegan: number;
  /** a prediction on one worker */
  readonly perPrediction: number;
  /** an optimizer step, where one was made */
  readonly stepSeconds: number | undefined;
  readonly workers: number;
  /** putting submission and candidates on disk takes */
  readonly writeSeconds: number;
}

/** The same run with more tasks like its own: their grids are as large, and they have as many tests. */
export interface Forecast {
  readonly tasks: number;
  readonly testInputs: number;
  readonly trainSeconds: number;
  /** that fit the time, and those that fit it with the tasks that there are; without a training none */
  readonly steps?: { readonly hidden: number; readonly here: number } | undefined;
  /** variants that are predicted under, of those wanted */
  readonly rounds: number;
  readonly variants: number;
  readonly actSteps: number;
  readonly predictSeconds: number;
}

/** @returns undefined where the run has as many tasks, or none, or is a part of another */
export function forecastFor(request: RunRequest, setup: Setup, measures: RunMeasures, tasks = HIDDEN_TASKS): Forecast | undefined {
  const here = request.chosen.length;
  if (here === 0 || here >= tasks || request.part) return undefined;
  const { plan, trainBegan, perPrediction, stepSeconds, workers, writeSeconds } = measures;
  const inputsHere = itemsOf(request.chosen, 0).length;
  const testInputs = Math.round((inputsHere * tasks) / here);
  const left = request.budgetSeconds - reserveOf(request.budgetSeconds) - trainBegan;
  const firstRound = (count: number): number => zeroRoundSeconds({ perPrediction, testInputs: count, workers, left });
  const more = firstRound(testInputs) - firstRound(inputsHere);
  const planned = planFrom(request, setup, {
    remaining: left - Math.max(0, more),
    perPrediction,
    workers,
    testInputs,
    writeSeconds: (writeSeconds * tasks) / here,
  });
  const { recipe } = request;
  const asked = request.steps;
  const askedOfAll = recipe.epochs > 0 && asked !== undefined ? Math.round((asked * tasks) / here) : asked; // epochs of more tasks are more steps
  const steps = (of: Plan, most: number | undefined): number => Math.max(0, plannedSteps(of, { recipe, steps: most }, stepSeconds).steps!);
  const isTimed = !isPredictOnly(request) && stepSeconds !== undefined && stepSeconds > 0;
  const { trainSeconds, rounds, actSteps, predictSeconds } = planned;
  return {
    tasks,
    testInputs,
    trainSeconds,
    ...(isTimed && { steps: { hidden: steps(planned, askedOfAll), here: steps(plan, asked) } }),
    rounds,
    variants: setup.variants,
    actSteps,
    predictSeconds,
  };
}

/** A forecast in words. @param here tasks of the run */
export function describeForecast({ tasks, testInputs, steps, rounds, variants, actSteps, predictSeconds }: Forecast, here: number): string {
  const share = steps && (steps.hidden / tasks / Math.max(1e-9, steps.here / here)).toFixed(2);
  const training = steps ? `about ${steps.hidden} optimizer steps (${steps.here} here), ${share} times as many for each task; ` : "";
  return `forecast: ${tasks} hidden tasks like these ${here} would get, in the same time on this machine, ${training}${rounds} of ${variants} variants at ${actSteps} ACT steps for ${testInputs} test inputs in ${formatDuration(predictSeconds)}`;
}
