/** The plan of a run on a machine that is not here, from projected times alone. */

import { describeForecast, forecastFor } from "../adapt/forecast.ts";
import { itemsOf } from "../adapt/items.ts";
import { describePlan, phasesOf, planFrom } from "../adapt/plan-phases.ts";
import type { RunRequest } from "../adapt/request.ts";
import { setUp, tasksByCanvas } from "../adapt/setup.ts";
import { zeroRoundSeconds } from "../adapt/zero-round.ts";
import { formatDuration } from "../budget/duration.ts";
import { reserveOf } from "../budget/planner.ts";

/** Prints how the budget would be spent, for people or as one JSON object. */
export function printPlanElsewhere(request: RunRequest, json: boolean): void {
  const { times } = request.rehearsal!;
  const setup = setUp(request);
  const testInputs = itemsOf(request.chosen, 0).length;
  const perPrediction = setup.actSteps * times.actStepSeconds;
  const ready = times.startSeconds + times.compileSeconds;
  const end = request.budgetSeconds - reserveOf(request.budgetSeconds);
  const elapsed = ready + zeroRoundSeconds({ perPrediction, testInputs, workers: request.workers, left: end - ready });
  const measures = {
    remaining: end - elapsed,
    perPrediction,
    workers: request.workers,
    testInputs,
    writeSeconds: 0,
  };
  const plan = planFrom(request, setup, measures);
  const forecast = forecastFor(request, setup, {
    plan,
    trainBegan: elapsed,
    perPrediction,
    stepSeconds: times.stepSeconds,
    workers: request.workers,
    writeSeconds: 0,
  });
  const surroundings = { request, setup, elapsed, stepSeconds: times.stepSeconds };
  const phases = phasesOf(plan, surroundings);
  if (json) {
    const { chosen, workers } = request;
    const canvases = setup.canvases && { canvases: tasksByCanvas(setup.canvases) };
    console.log(
      JSON.stringify({ plan, phases, times, tasks: chosen.length, testInputs, workers, canvas: setup.canvas, ...canvases, forecast }),
    );
    return;
  }
  console.log(setup.description);
  console.log(
    `${times.machine}: an optimizer step ${times.stepSeconds.toFixed(2)} s, a prediction ${formatDuration(perPrediction)} at ${setup.actSteps} ACT steps on one worker; assumed: start ${formatDuration(times.startSeconds)}, compiling ${formatDuration(times.compileSeconds)}`,
  );
  console.log(describePlan(plan, surroundings).join("\n"));
  if (forecast) console.log(describeForecast(forecast, request.chosen.length));
}
