/** The training phase: optimizer steps until its time is over, with interim predictions on the way. */
import { formatDuration } from "../budget/duration.ts";
import type { Plan } from "../budget/planner.ts";
import type { WorkerPool } from "../parallel/coordinator.ts";
import type { RunContext } from "./context.ts";
import { ownersOf } from "./items.ts";

/** Interim predictions, at these shares of the training, are made where all of them cost less than this share of it. */
const INTERIM_AT = [0.25, 0.5, 0.75];
const INTERIM_SHARE = 0.03;

/** The snapshot of what was learned may take this share of the time that is left for predictions. */
const KEEP_SHARE = 0.1;

/** What came of the training. */
export interface Trained {
  readonly steps: number;
  /** training ended because of an error, not of the clock */
  readonly failed: boolean;
}

/** @param perPrediction seconds that a prediction takes on one worker */
export async function train(context: RunContext, pool: WorkerPool, plan: Plan, perPrediction: number): Promise<Trained> {
  const { request, setup, clock, log, answers, progress, record, items, deadline, now } = context;
  const began = clock.processStart + (record.notes.trainBegan ?? clock.now());
  record.note({ phase: "train", trainBegan: began - clock.processStart });
  const final = began + plan.trainSeconds;
  const { steps: maxSteps } = request;
  const roundSeconds = (perPrediction * items.length) / Math.max(1, pool.alive.length);
  const interim = maxSteps === undefined && roundSeconds * INTERIM_AT.length < INTERIM_SHARE * plan.trainSeconds ? INTERIM_AT : [];
  let steps = 0;
  progress.phase("train", final - clock.processStart);
  for (const [i, share] of [...interim, 1].entries()) {
    if (share < 1 && i < record.notes.interims) continue; // made by an earlier process of the run
    const trained = await pool.train({ deadline: began + share * plan.trainSeconds, finalDeadline: final, maxSteps });
    if (context.stopped()) return { steps, failed: false };
    if (trained.length === 0) {
      log.emit("error", "training", "training failed in every worker; predicting with what was learned so far");
      return { steps, failed: true };
    }
    steps = trained[0]!.step;
    if (share === 1 || trained.every(({ why }) => why === "diverged")) break;
    answers.beginStage(`interim ${share}`);
    await pool.predict(items, {
      actSteps: plan.actSteps,
      chunk: setup.microBatch,
      owner: ownersOf(request),
      goOn: () => now() < deadline,
      arrived: (predictions) => answers.count(predictions),
    });
    answers.write();
    record.note({ interims: i + 1, steps });
    log.emit("info", "interim", `interim answers after step ${steps}`, answers.score());
  }
  record.note({ steps });
  await pool.keep(KEEP_SHARE * (deadline - now()));
  if (steps > 0) log.emit("info", "trained", `${steps} optimizer steps in ${formatDuration(now() - began)}; ${progress.summary()}`);
  return { steps, failed: false };
}
