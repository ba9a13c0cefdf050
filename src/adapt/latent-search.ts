/**
 * The choice of a latent search: the trunk stays fixed, and of a few variants of each task one puzzle row for every starting point is trained by
 * gradient on all demonstrations but one. The rows then answer the one held back; the start whose rows do that best is the task's, and the search
 * goes on from there, under all variants and on all demonstrations.
 *
 * Chosen for a task, not for each variant: variants of a task are answered by the same rule, a single pair is too noisy to choose by, and
 * those variants that did not compete need a start as well. Source: "Searching Latent Program Spaces" (arXiv 2411.08706), TTA 2.4.
 */
import { formatDuration } from "../budget/duration.ts";
import type { Plan } from "../budget/planner.ts";
import { COMPETING_VARIANTS, competingVariants, heldBackPair } from "../data/competitors.ts";
import type { WorkerPool } from "../parallel/coordinator.ts";
import type { PredictionItem } from "../parallel/job.ts";
import type { RunContext } from "./context.ts";
import { ownersOf } from "./items.ts";

/** Scoring may take this share of the time for the choice, and this many times as long as it was planned to. */
const SCORE_SHARE = 0.5;
const SCORE_PATIENCE = 1.5;

/** What the choice has come to. */
export interface ChosenStarts {
  readonly step: number;
  /** the starting points by their kinds, in their order */
  readonly starts: readonly string[];
  /** by the task's place: which of them its rows go on from */
  readonly chosen: readonly number[];
  /** mean token loss of the demonstrations held back, of each task by start; null where none was made */
  readonly losses: readonly (readonly (number | null)[])[];
}

/** Predictions that score the rows that compete: of each start and variant the demonstration held back, start by start within a task. */
export function scoringItems(pairs: readonly number[], starts: number, variants: number = COMPETING_VARIANTS): PredictionItem[] {
  return Array.from({ length: variants }, (_, variant) =>
    pairs.flatMap((count, task) =>
      count === 0
        ? []
        : Array.from({ length: starts }, (_start, start): PredictionItem => {
            return { task, testIndex: heldBackPair(count, variant), trained: true, variant, start, withLoss: true };
          }),
    ),
  ).flat();
}

/** The start of least mean loss; of equal ones the first, which is also the start of a task that nothing is known of. */
export function bestStart(losses: readonly (number | null)[]): number {
  let best = 0;
  losses.forEach((loss, start) => {
    if (loss !== null && loss < (losses[best] ?? Number.POSITIVE_INFINITY)) best = start;
  });
  return best;
}

/**
 * Lets rows compete for the share of the training's time that is meant for it, and chooses.
 *
 * @param began instant at which the training began, also in an earlier process of the run
 * @returns false where no worker is left to train
 */
export async function chooseStarts(
  context: RunContext,
  pool: WorkerPool,
  { plan, began, perPrediction }: { plan: Plan; began: number; perPrediction: number },
): Promise<boolean> {
  const { request, setup, log, record, deadline, now, progress, clock } = context;
  const { steps: maxSteps, recipe, chosen: tasks } = request;
  const { starts } = setup;
  const ends = Math.min(deadline, began + recipe.searchShare * plan.trainSeconds);
  const finalDeadline = Math.min(deadline, began + plan.trainSeconds);
  progress.phase("search", ends - clock.processStart);
  const demonstrations = tasks.map(({ train }) => train.length);
  const items = scoringItems(demonstrations, starts.length, competingVariants(recipe.embedding === "factored")).filter((item) =>
    pool.exists(item),
  );
  const cost = (items.length * perPrediction * plan.actSteps) / setup.actSteps / Math.max(1, pool.alive.length);
  const scoringSeconds = Math.min(cost, SCORE_SHARE * (ends - began));
  const until = ends - scoringSeconds;
  const pauseAtStep = maxSteps === undefined ? undefined : Math.round(recipe.searchShare * maxSteps);
  let step = 0;
  for (;;) {
    const [first] = await pool.train({ deadline: until, finalDeadline, maxSteps, pauseAtStep });
    if (context.stopped()) return true;
    if (!first) return false;
    step = first.step;
    record.note({ steps: step });
    if (first.why !== "deadline" || now() + 2 * first.stepSeconds >= until) break; // a first step that compiles can end it too early
  }
  let scored = 0;
  const sums = tasks.map(() => starts.map(() => ({ loss: 0, made: 0 })));
  await pool.predict(items, {
    actSteps: plan.actSteps,
    chunk: Math.max(1, Math.min(setup.microBatch, Math.ceil(items.length / Math.max(1, pool.alive.length)))),
    owner: ownersOf(request),
    goOn: () => !context.stopped() && now() < until + SCORE_PATIENCE * scoringSeconds,
    arrived: (predictions) => {
      for (const { task, start, lmLoss } of predictions) {
        const sum = sums[task]![start!]!;
        sum.loss += lmLoss!;
        sum.made++;
        scored++;
      }
      progress.predicted({ made: scored, of: items.length }, "starts scored");
    },
  });
  if (context.stopped()) return true;
  const losses = sums.map((ofTask) => ofTask.map(({ loss, made }) => (made > 0 ? loss / made : null)));
  const chosenStarts: ChosenStarts = { step, starts, chosen: losses.map(bestStart), losses };
  record.note({ chosenStarts }); // before the workers know of it: whoever takes the run up tells them again
  await pool.choose(chosenStarts.chosen);
  log.emit("info", "starts", `${describeStarts(chosenStarts)} (${formatDuration(now() - began)})`, { ...chosenStarts });
  return true;
}

/** A choice in words. */
export function describeStarts({ step, starts, chosen, losses }: ChosenStarts): string {
  const counts = starts.map((start, place) => `${start} ${chosen.filter((each) => each === place).length}`);
  const known = losses.flatMap((ofTask, task) =>
    ofTask[chosen[task]!] === null || ofTask[0] === null ? [] : [[ofTask[0]!, ofTask[chosen[task]!]!]],
  );
  const mean = (place: 0 | 1): string => (known.reduce((sum, pair) => sum + pair[place]!, 0) / known.length).toFixed(4);
  const loss = known.length === 0 ? "no pair was scored" : `loss of the pairs held back ${mean(1)}, ${mean(0)} from the first start`;
  return `starts chosen after step ${step}, of ${chosen.length} tasks: ${counts.join(", ")}; ${loss}`;
}
