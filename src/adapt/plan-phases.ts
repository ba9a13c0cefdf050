/** How what is left of the budget is spent, from what was measured; told when it is made, and when it changes. */
import { formatDuration } from "../budget/duration.ts";
import { boundedShare, type Plan, type PlanInputs, planPhases, reserveOf } from "../budget/planner.ts";
import type { RunContext } from "./context.ts";
import { leftOutItems } from "./left-out.ts";
import { frozenShareOf } from "./methods.ts";
import { isPredictOnly, type RunRequest } from "./request.ts";
import type { Setup } from "./setup.ts";

/** A row's forward and backward pass of a training step, in ACT steps of a prediction. */
const TRAIN_COST = 3;

/** Interim predictions guard against a training that goes wrong, and with solutions at hand they are the learning curve: then more of them pay. */
const INTERIMS = { count: 3, rounds: 1, share: 0.03 };
const CURVE = { count: 12, rounds: 8, share: 0.06 };

/** A share of the budget, within bounds in seconds, that is planned for nothing: the last step and its snapshot may take longer than others. */
const SLACK_SHARE = 0.02;
const SLACK = { min: 0.2, max: 30 };

/** A change of the training's end by less than this share of the budget is not worth a line. */
const WORTH_A_LINE = 0.01;

/** What a plan is made from, beside the request. All times in seconds. */
export interface Measures {
  /** until the work must be over */
  readonly remaining: number;
  /** a prediction on one worker */
  readonly perPrediction: number;
  /** workers that are there */
  readonly workers: number;
  readonly testInputs: number;
  /** putting submission and candidates on disk takes */
  readonly writeSeconds: number;
}

/** @param earlier a plan made before: what it allows for predictions stands, though less and less is left */
export function planFrom(request: RunRequest, setup: Setup, measures: Measures, earlier?: Plan): Plan {
  const { actSteps, variants } = setup;
  const { steps, solutions, recipe } = request;
  const wanted = solutions ? CURVE : steps === undefined || recipe.epochs > 0 ? INTERIMS : undefined;
  const inputs: PlanInputs = {
    ...measures,
    variants,
    actSteps,
    reserve: boundedShare(request.budgetSeconds, SLACK_SHARE, SLACK) + measures.writeSeconds + leftOutSeconds(request, setup, measures),
    predictOnly: isPredictOnly(request),
    interims: wanted,
    predictAllowance: earlier?.predictAllowance,
    roundAllowance: earlier?.roundAllowance,
  };
  const plan = planPhases(inputs);
  return earlier
    ? { ...plan, interims: earlier.interims, predictAllowance: earlier.predictAllowance, roundAllowance: earlier.roundAllowance }
    : plan;
}

/** What measuring on left-out pairs takes, after the training. */
function leftOutSeconds({ leftOut }: RunRequest, { variants }: Setup, { perPrediction, workers }: Measures): number {
  return leftOut ? (leftOutItems(leftOut, variants).length * perPrediction) / Math.max(1, workers) : 0;
}

/** The first plan. */
export function planRun(context: RunContext, perPrediction: number): Plan {
  const { request, setup, log, items, deadline, now, answers } = context;
  const { recipe, workers, engine } = request;
  const remaining = deadline - now();
  const measures = { remaining, perPrediction, workers, testInputs: items.length, writeSeconds: answers.writeSeconds };
  let plan = planFrom(request, setup, measures);
  // A step that can't end in time would take the time of votes as well. Only where measured times hold from the start, without compiling.
  const step = (TRAIN_COST * perPrediction * Math.ceil(recipe.batchSize / workers)) / setup.actSteps;
  if (engine.engine === "wasm" && !request.rehearsal && plan.trainSeconds > 0 && step > plan.trainSeconds) {
    plan = planFrom({ ...request, steps: 0 }, setup, measures);
    log.emit(
      "warn",
      "no-step",
      `a training step would take about ${formatDuration(step)} of the ${formatDuration(remaining)} left, so none is taken; lower --batch-size (${recipe.batchSize}) or raise --budget`,
    );
  }
  for (const line of describePlan(plan, {
    request,
    setup,
    elapsed: context.clock.now(),
    stepSeconds: request.rehearsal?.times.stepSeconds,
  }))
    log.emit("info", "plan", line, { ...plan });
  return plan;
}

/** What is known while training goes on. */
export interface Progressed {
  /** seconds that a prediction takes on one worker, measured last */
  readonly perPrediction: number;
  /** workers that are left */
  readonly workers: number;
  /** optimizer steps done, and the seconds of one */
  readonly step: number;
  readonly stepSeconds: number;
}

/** The plan again, while training goes on. */
export function planAgain(context: RunContext, plan: Plan, { perPrediction, workers, step, stepSeconds }: Progressed): Plan {
  const { request, setup, log, items, deadline, now, answers, record, clock } = context;
  const measures = { remaining: deadline - now(), perPrediction, workers, testInputs: items.length, writeSeconds: answers.writeSeconds };
  const again = planFrom(request, setup, measures, plan);
  const began = record.notes.trainBegan ?? 0;
  const before = began + plan.trainSeconds;
  const after = clock.now() + again.trainSeconds;
  const moved = Math.abs(after - before) > WORTH_A_LINE * request.budgetSeconds || again.rounds !== plan.rounds;
  const inAll = step + Math.round(Math.max(0, after - clock.now()) / Math.max(1e-9, stepSeconds));
  const text = `plan: training ends after ${formatDuration(after)} of the run, ${formatDuration(before)} before; about ${inAll} steps in all; then ${predictionsInWords(again, setup)} (${workers} workers, ${(1000 * perPrediction).toFixed(0)} ms a prediction)`;
  log.emit(moved ? "info" : "debug", "replan", text, { ...again, workers, perPrediction, stepSeconds, steps: inAll });
  return { ...again, trainSeconds: after - began }; // counted from the beginning of the training
}

/** What a plan's phases are worked out from. */
export interface PlanSurroundings {
  readonly request: RunRequest;
  readonly setup: Setup;
  /** seconds of the run that have passed */
  readonly elapsed: number;
  /** an optimizer step's seconds, where they are known */
  readonly stepSeconds: number | undefined;
}

/** A phase of a run, in seconds of it. */
export interface Phase {
  readonly name: "start" | "train" | "predict" | "reserve";
  readonly from: number;
  readonly to: number;
  readonly what: string;
  /** of the training, where a step's time is known */
  readonly steps?: number | undefined;
  readonly warmupSteps?: number | undefined;
  readonly frozenSteps?: number | undefined;
}

/** The phases that a plan comes to. */
export function phasesOf(plan: Plan, { request, setup, elapsed, stepSeconds }: PlanSurroundings): Phase[] {
  const { budgetSeconds } = request;
  const trainEnds = elapsed + plan.trainSeconds;
  const training = (): Phase => {
    const planned = plannedSteps(plan, request, stepSeconds);
    return {
      name: "train",
      from: elapsed,
      to: trainEnds,
      ...planned,
      what: stepsInWords(planned, stepSeconds) + interimsInWords(plan, request),
    };
  };
  return [
    { name: "start", from: 0, to: elapsed, what: "load, compile, the unadapted model's first answers" },
    ...(plan.trainSeconds > 0 ? [training()] : []),
    { name: "predict", from: trainEnds, to: trainEnds + plan.predictSeconds, what: predictionsInWords(plan, setup) },
    { name: "reserve", from: budgetSeconds - reserveOf(budgetSeconds), to: budgetSeconds, what: "the last write, ending the workers" },
  ];
}

/** A plan as a table. */
export function describePlan(plan: Plan, surroundings: PlanSurroundings): string[] {
  const time = (seconds: number): string => formatDuration(seconds).padStart(10);
  return [
    `plan of ${formatDuration(surroundings.request.budgetSeconds)}:`,
    ...phasesOf(plan, surroundings).map(({ name, from, to, what }) => `  ${name.padEnd(8)} ${time(from)} - ${time(to)}  ${what}`),
  ];
}

type PlannedSteps = Pick<Phase, "steps" | "warmupSteps" | "frozenSteps">;

/** The steps that a plan has time for, as far as a step's time is known, and of these the first ones. */
export function plannedSteps(
  { trainSeconds, interims }: Plan,
  { recipe, steps }: Pick<RunRequest, "recipe" | "steps">,
  stepSeconds: number | undefined,
): PlannedSteps {
  const fit = stepSeconds === undefined ? undefined : Math.floor((trainSeconds - interims.count * interims.seconds) / stepSeconds);
  const planned = steps === undefined ? fit : Math.min(steps, fit ?? steps);
  if (planned === undefined) return {};
  return {
    steps: planned,
    warmupSteps: Math.min(recipe.warmupSteps, Math.floor(planned / 10)),
    frozenSteps: Math.ceil(frozenShareOf(recipe) * planned),
  };
}

function stepsInWords({ steps, warmupSteps, frozenSteps }: PlannedSteps, stepSeconds: number | undefined): string {
  if (steps === undefined) return "as many steps as fit";
  const each = stepSeconds === undefined ? "" : ` at ${stepSeconds.toFixed(2)} s`;
  return `${steps} steps${each}, ${warmupSteps} of them warm-up${frozenSteps ? `, the trunk frozen for the first ${frozenSteps}` : ""}`;
}

function interimsInWords({ interims: { count, rounds, seconds } }: Plan, { solutions }: RunRequest): string {
  if (count === 0) return "";
  const under = `${rounds} ${rounds === 1 ? "variant" : "variants"}`;
  return `; ${count} interim predictions under ${under}, ${formatDuration(seconds)} each${solutions ? ", scored" : ""}`;
}

function predictionsInWords({ rounds, actSteps, predictSeconds }: Plan, { variants }: Setup): string {
  return `${rounds} of ${variants} variants at ${actSteps} ACT steps in ${formatDuration(predictSeconds)}`;
}
