/** The last phase: the adapted model answers every test input under one variant after the other, until the time is over. */
import type { Plan } from "../budget/planner.ts";
import type { WorkerPool } from "../parallel/coordinator.ts";
import type { RunContext } from "./context.ts";
import { itemsOf, ownersOf } from "./items.ts";

/** The files are renewed at most this often while votes come in, and so seldom that writing takes no more than this share of the time. */
const WRITE_SECONDS = 2;
const WRITE_SHARE = 0.01;

/** Predicts in rounds over all test inputs: time that runs out costs votes, not tasks. */
export async function predict(context: RunContext, pool: WorkerPool, plan: Plan): Promise<void> {
  const { request, setup, clock, log, answers, progress, record, items, deadline, now } = context;
  record.note({ phase: "predict" });
  answers.beginStage("final");
  pool.forgive();
  progress.phase("predict", deadline - clock.processStart);
  const rounds = Array.from({ length: setup.variants }, (_, variant) => itemsOf(request.chosen, variant)).flat();
  let perPrediction = 0;
  const chunk = Math.max(1, Math.min(setup.microBatch, Math.ceil(items.length / pool.alive.length)));
  const left = rounds.filter((item) => !answers.has(item)); // all but those of an earlier process of the run
  let made = rounds.length - left.length;
  let written = Number.NEGATIVE_INFINITY;
  await pool.predict(left, {
    actSteps: plan.actSteps,
    chunk,
    owner: ownersOf(request),
    goOn: () => !context.stopped() && now() + perPrediction * chunk < deadline,
    arrived: (predictions, seconds) => {
      perPrediction = seconds / predictions.length;
      made += predictions.length;
      answers.count(predictions);
      progress.predicted(made, rounds.length);
      if (now() - written <= Math.max(WRITE_SECONDS, answers.writeSeconds / WRITE_SHARE)) return;
      answers.write();
      written = now();
    },
  });
  log.emit("info", "predicted", `${made} predictions of ${rounds.length} (${items.length} test inputs x ${setup.variants} variants)`);
}
