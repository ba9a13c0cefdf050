/** The last phase: the adapted model answers every test input under one variant after the other, until the time is over. */
import type { Plan } from "../budget/planner.ts";
import type { WorkerPool } from "../parallel/coordinator.ts";
import { FINAL_STAGE } from "./answers.ts";
import type { RunContext } from "./context.ts";
import { itemsOf, ownersOf } from "./items.ts";
import { PredictionCosts } from "./prediction-costs.ts";

/** The files are renewed at most this often while votes come in, and so seldom that writing takes no more than this share of the time. */
const WRITE_SECONDS = 2;
const WRITE_SHARE = 0.01;

/** How far the votes have come. */
export interface Predicted {
  /** every test input has all its votes, or those that decide */
  readonly complete: boolean;
  /** test inputs whose two answers no further vote could change */
  readonly decidedInputs: number;
  /** planned predictions that were not made for that */
  readonly savedPredictions: number;
}

/**
 * Predicts in rounds over all test inputs: time that runs out costs votes, not tasks. None is spent on a test input whose two answers can't
 * change any more (unless `voteAll`): the time goes to the others, and where all are decided the phase ends. A chunk that would not be done in time
 * is not begun; one on a smaller canvas may be.
 *
 * @param costs as far as they are known
 */
export async function predict(context: RunContext, pool: WorkerPool, plan: Plan, costs = new PredictionCosts()): Promise<Predicted> {
  const { request, setup, clock, log, answers, progress, record, items, deadline, now } = context;
  record.note({ phase: "predict" });
  answers.beginStage(FINAL_STAGE);
  pool.forgive();
  progress.phase("predict", deadline - clock.processStart);
  const wanted = Array.from({ length: setup.variants }, (_, variant) => itemsOf(request.chosen, variant)).flat();
  const rounds = wanted.filter((item) => pool.exists(item));
  const canvasOf = (task: number): number => setup.canvases?.ofTask[task] ?? 0;
  const chunk = Math.max(1, Math.min(setup.microBatch, Math.ceil(items.length / pool.alive.length)));
  const left = rounds.filter((item) => !answers.has(item)); // all but those of an earlier process of the run
  let made = rounds.length - left.length;
  let written = Number.NEGATIVE_INFINITY;
  const decided = (): number => items.filter((item) => answers.isDecided(item)).length;
  await pool.predict(left, {
    actSteps: plan.actSteps,
    chunk,
    owner: ownersOf(request),
    wanted: (item) => !answers.isDecided(item) && now() + chunk * costs.expected(canvasOf(item.task)) < deadline,
    goOn: () => !context.stopped() && now() < deadline,
    arrived: (predictions, seconds) => {
      costs.note(canvasOf(predictions[0]!.task), predictions.length, seconds);
      made += predictions.length;
      answers.count(predictions);
      progress.predicted({ made, of: rounds.length }, "predictions", { decided: decided(), testInputs: items.length });
      if (now() - written <= Math.max(WRITE_SECONDS, answers.writeSeconds / WRITE_SHARE)) return;
      answers.write();
      written = now();
    },
  });
  const { decidedInputs, savedPredictions } = answers.decided();
  const text = `${made} predictions of ${rounds.length} (${items.length} test inputs x ${setup.variants} variants)`;
  const cut = `; no further vote could change the two answers to ${decidedInputs} of ${items.length} test inputs, which saved ${savedPredictions} predictions`;
  const fields = { made, of: rounds.length, decidedInputs, savedPredictions };
  log.emit("info", "predicted", text + (savedPredictions > 0 ? cut : ""), fields);
  return { complete: rounds.every((item) => answers.has(item) || answers.isDecided(item)), decidedInputs, savedPredictions };
}
