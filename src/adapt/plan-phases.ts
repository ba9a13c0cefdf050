/** How what is left of the budget is spent, from what was measured. */
import { formatDuration } from "../budget/duration.ts";
import { type Plan, planPhases } from "../budget/planner.ts";
import type { RunContext } from "./context.ts";
import { isPredictOnly } from "./request.ts";

/** A row's forward and backward pass of a training step, in ACT steps of a prediction. */
const TRAIN_COST = 3;

/** @param perPrediction seconds that a prediction takes on one worker */
export function planRun({ request, setup, log, items, deadline, now }: RunContext, perPrediction: number): Plan {
  const { recipe, workers, engine } = request;
  const { actSteps, variants } = setup;
  const inputs = { perPrediction, workers, testInputs: items.length, variants, actSteps, reserve: 0.25 };
  const remaining = deadline - now();
  let plan = planPhases({ ...inputs, remaining, predictOnly: isPredictOnly(request) });
  // A step that can't end in time would take the time of votes as well. Only where measured times hold from the start, without compiling.
  const step = (TRAIN_COST * perPrediction * Math.ceil(recipe.batchSize / workers)) / actSteps;
  if (engine.engine === "wasm" && plan.trainSeconds > 0 && step > plan.trainSeconds) {
    plan = planPhases({ ...inputs, remaining, predictOnly: true });
    log.emit(
      "warn",
      "no-step",
      `a training step would take about ${formatDuration(step)} of the ${formatDuration(remaining)} left, so none is taken; lower --batch-size (${recipe.batchSize}) or raise --budget`,
    );
  }
  const text = `plan: train ${formatDuration(plan.trainSeconds)}, predict ${formatDuration(plan.predictSeconds)} (${plan.rounds} of ${variants} variants at ${plan.actSteps} ACT steps)`;
  log.emit("info", "plan", text, { ...plan });
  return plan;
}
