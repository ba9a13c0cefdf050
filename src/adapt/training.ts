/** The training phase: optimizer steps until its time is over, with interim predictions on the way and a plan that follows what is measured. */
import { formatDuration } from "../budget/duration.ts";
import type { Plan } from "../budget/planner.ts";
import type { WorkerPool } from "../parallel/coordinator.ts";
import type { RunContext } from "./context.ts";
import { itemsOf, ownersOf } from "./items.ts";
import { chooseStarts } from "./latent-search.ts";
import { planAgain } from "./plan-phases.ts";

/** Why a worker trains no more. */
const ENDED: readonly string[] = ["steps", "diverged", "late"];
/** The plan is looked at again after this share of the training, and at least after so many steps. */
const REPLAN_SHARE = 0.05;
const REPLAN_STEPS = 8;

/** The snapshot of what was learned may take this share of the time that is left for predictions. */
const KEEP_SHARE = 0.1;

/** What came of the training. */
export interface Trained {
  readonly steps: number;
  /** of one of them, if it was timed */
  readonly stepSeconds?: number | undefined;
  /** training ended because of an error, not of the clock */
  readonly failed: boolean;
}

/** @param measured seconds that a prediction takes on one worker */
export async function train(context: RunContext, pool: WorkerPool, firstPlan: Plan, measured: number): Promise<Trained> {
  const { request, log, progress, record, deadline, now, clock } = context;
  const { steps: maxSteps } = request;
  const byTime = maxSteps === undefined || request.recipe.epochs > 0; // the budget may end before the epochs do
  const start = clock.processStart;
  const began = start + (record.notes.trainBegan ?? clock.now());
  record.note({ phase: "train", trainBegan: began - start });
  const { count } = firstPlan.interims;
  let plan = firstPlan;
  let perPrediction = measured;
  if (context.setup.starts.length > 0 && !record.notes.chosenStarts) {
    if (!(await chooseStarts(context, pool, { plan, began, perPrediction }))) return failedInAll(context);
    if (context.stopped()) return { steps: record.notes.steps, failed: false };
    const passed = maxSteps === undefined ? (now() - began) / plan.trainSeconds : record.notes.steps / Math.max(1, maxSteps);
    record.note({ interims: Math.floor(passed * (count + 1)) }); // those that were due meanwhile are not made up for
  }
  let interims = Math.min(record.notes.interims, count);
  let steps = 0;
  let stepSeconds = 0;
  for (;;) {
    const final = Math.min(deadline, began + plan.trainSeconds);
    progress.phase("train", final - start, [["predict", plan.predictSeconds]]);
    const share = (interims + 1) / (count + 1);
    const byStep = maxSteps !== undefined && !byTime && interims < count ? Math.round(share * maxSteps) : undefined;
    const due = interims < count && byTime ? began + share * plan.trainSeconds : final;
    const stretch = Math.min(due, now() + Math.max(REPLAN_SHARE * plan.trainSeconds, REPLAN_STEPS * stepSeconds));
    const trained = await pool.train({ deadline: Math.min(stretch, final), finalDeadline: final, maxSteps, pauseAtStep: byStep });
    if (context.stopped()) return { steps, failed: false };
    const [first] = trained;
    if (!first) return failedInAll(context);
    // Workers apart can fare differently: those decide that have more to train.
    const open = trained.filter(({ why }) => !ENDED.includes(why));
    const { why } = open[0] ?? first;
    ({ step: steps, stepSeconds } = open[0] ?? first);
    if (open.length === 0) break;
    // A first step that compiles can end a stretch with time left for more.
    if (open.every((each) => each.why === "deadline") && stretch >= final && now() + 2 * stepSeconds >= final) break;
    record.note({ steps });
    await context.learning?.note(context, pool);
    if (why === "paused" || (interims < count && stretch >= due)) {
      interims++;
      perPrediction = (await interim(context, pool, { plan, number: interims, step: steps })) ?? perPrediction;
      record.note({ interims, perPrediction });
      if (context.stopped()) return { steps, failed: false };
    }
    plan = planAgain(context, plan, { perPrediction, workers: Math.max(1, pool.alive.length), step: steps, stepSeconds });
    record.note({ plan });
  }
  record.note({ steps });
  if (steps > 0) await context.learning?.note(context, pool, true);
  await pool.keep(KEEP_SHARE * (deadline - now()));
  if (steps > 0) log.emit("info", "trained", `${steps} optimizer steps in ${formatDuration(now() - began)}; ${progress.summary()}`);
  return { steps, stepSeconds, failed: false };
}

function failedInAll({ log, record }: RunContext): Trained {
  log.emit("error", "training", "training failed in every worker; predicting with what was learned so far");
  return { steps: record.notes.steps, failed: true };
}

/**
 * Predicts with what was learned so far: answers to fall back on, and with solutions at hand a point of the learning curve.
 *
 * @returns seconds that a prediction takes on one worker; undefined where none was made
 */
async function interim(
  context: RunContext,
  pool: WorkerPool,
  { plan, number, step }: { plan: Plan; number: number; step: number },
): Promise<number | undefined> {
  const { request, setup, answers, log, progress, now, deadline } = context;
  const began = now();
  answers.beginStage(`interim ${number}`);
  const items = Array.from({ length: plan.interims.rounds }, (_, variant) => itemsOf(request.chosen, variant)).flat();
  let spent = 0;
  let made = 0;
  await pool.predict(items, {
    actSteps: plan.actSteps,
    chunk: setup.microBatch,
    owner: ownersOf(request),
    goOn: () => !context.stopped() && now() < deadline,
    arrived: (predictions, seconds) => {
      spent += seconds;
      made += predictions.length;
      answers.count(predictions);
      progress.predicted({ made, of: items.length }, "interim predictions");
    },
  });
  answers.write();
  const score = context.curve.note(step);
  const text = `interim answers after step ${step}: ${made} predictions in ${formatDuration(now() - began)}${score === undefined ? "" : `; ${score}`}`;
  log.emit("info", "interim", text, { step, predictions: made, ...answers.score() });
  return made > 0 ? (spent / made) * (setup.actSteps / plan.actSteps) : undefined;
}
