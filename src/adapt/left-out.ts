/** Demonstration pairs that are held back: how well a run does on pairs like those it learns from, known without any solutions. */
import { equalGrids } from "../arc/grid.ts";
import type { Pair, Task } from "../arc/task.ts";
import { formatDuration } from "../budget/duration.ts";
import type { Fares } from "../metrics/learning-file.ts";
import type { WorkerPool } from "../parallel/coordinator.ts";
import type { PredictionItem } from "../parallel/job.ts";
import { scoreAnswers } from "../score/pass-at-k.ts";
import { TaskMeans } from "../train/task-means.ts";
import { fitHaltingScale, type HaltingFit, type Judged } from "../vote/halting-scale.ts";
import { Tally } from "../vote/tally.ts";
import type { RunContext } from "./context.ts";
import { ownersOf } from "./items.ts";
import { isPredictOnly } from "./request.ts";

/** Pairs are predicted under this many variants, the original among them. */
export const LEFT_OUT_VARIANTS = 4;
/** A task keeps at least this many demonstrations to learn from. */
const LEAST_KEPT = 2;

/** Tasks of which some demonstrations are held back. */
export interface LeftOut {
  /** as they are trained on */
  readonly tasks: readonly Task[];
  /** what was held back of each, in the order of the file */
  readonly pairs: readonly (readonly Pair[])[];
}

/** How well left-out pairs are answered. */
export interface LeftOutScore {
  readonly step: number;
  readonly pairs: number;
  readonly predictions: number;
  /** share of the predictions that are right */
  readonly exact: number;
  /** mean token loss of the true answers */
  readonly lmLoss: number;
  /** share of the pairs whose answer is among the first two by votes, and among all */
  readonly "pass@2": number;
  readonly oracle: number;
  /** how the halting head's logits go with right predictions */
  readonly halting?: HaltingFit | undefined;
}

/** What pairs held back have told of the halting head after the training; undefined where there was none, or none yet. */
export function haltingFitOf(scores: readonly LeftOutScore[] = []): HaltingFit | undefined {
  return scores.findLast(({ step }) => step > 0)?.halting;
}

/** Holds back the last `count` demonstrations of each task, as far as enough of them are left to learn from. */
export function leaveOut(tasks: readonly Task[], count: number): LeftOut {
  const kept = tasks.map(({ train }) => Math.max(Math.min(train.length, LEAST_KEPT), train.length - count));
  return {
    tasks: tasks.map((task, i) => ({ ...task, train: task.train.slice(0, kept[i]) })),
    pairs: tasks.map(({ train }, i) => train.slice(kept[i])),
  };
}

/** The tasks as workers get them: what is held back stands behind the tests, with its answers. */
export function withLeftOut({ tasks, pairs }: LeftOut): Task[] {
  return tasks.map((task, i) => ({ ...task, test: [...task.test, ...pairs[i]!] }));
}

/** The tasks as the file has them. */
export function undivided({ tasks, pairs }: LeftOut): Task[] {
  return tasks.map((task, i) => ({ ...task, train: [...task.train, ...pairs[i]!] }));
}

/** Predictions that `measureLeftOut` makes. */
export function leftOutItems({ tasks, pairs }: LeftOut, variants: number): PredictionItem[] {
  return Array.from({ length: Math.min(LEFT_OUT_VARIANTS, variants) }, (_, variant) =>
    tasks.flatMap(({ test }, task) => pairs[task]!.map((_pair, i) => ({ task, testIndex: test.length + i, variant, withLoss: true }))),
  ).flat();
}

/** Before the training it may take this share of what is left; where nothing is trained, this one. */
const FIRST_SHARE = 0.08;
const ONLY_SHARE = 0.5;

/** Before the training, and without one: whole rounds that fit their share of the time; none where not even one does. */
function firstRounds(
  items: readonly PredictionItem[],
  { request, record, deadline, now }: RunContext,
  pool: WorkerPool,
): readonly PredictionItem[] {
  const round = items.filter(({ variant }) => variant === 0).length;
  const seconds = (round * (record.notes.perPrediction ?? 0)) / Math.max(1, pool.alive.length);
  const share = isPredictOnly(request) ? ONLY_SHARE : FIRST_SHARE;
  return items.filter(({ variant }) => (variant + 1) * seconds <= share * (deadline - now()));
}

/** Predicts the pairs held back with what was learned so far. @returns undefined where there is none, or no time for any */
export async function measureLeftOut(
  context: RunContext,
  pool: WorkerPool,
  step: number,
  actSteps: number,
): Promise<LeftOutScore | undefined> {
  const { request, setup, log, progress, now, deadline, clock, learning } = context;
  const { leftOut } = request;
  const all = leftOut ? leftOutItems(leftOut, setup.variants) : [];
  if (!leftOut || all.length === 0) return undefined;
  const items = step > 0 ? all : firstRounds(all, context, pool);
  if (items.length === 0) {
    log.emit("info", "left-out", "pairs held back are not measured before the training: there is no time for it", { step });
    return undefined;
  }
  const began = now();
  const tally = new Tally();
  const sums = { made: 0, right: 0, loss: 0 };
  const byTask = new TaskMeans();
  const judged: (Judged & { readonly order: string })[] = [];
  await pool.predict(items, {
    actSteps,
    chunk: Math.max(1, Math.min(setup.microBatch, Math.ceil(items.length / pool.alive.length))),
    owner: ownersOf(request),
    goOn: () => !context.stopped() && now() < deadline,
    arrived: (predictions) => {
      for (const { task, testIndex, variant, rows, cols, cells, qHaltLogit, lmLoss } of predictions) {
        const { id, test } = leftOut.tasks[task]!;
        const place = testIndex - test.length;
        const grid = { rows, cols, cells };
        sums.made++;
        sums.loss += lmLoss!;
        const right = equalGrids(grid, leftOut.pairs[task]![place]!.output);
        if (right) sums.right++;
        byTask.add(id, lmLoss!, right);
        judged.push({ qHaltLogit, right, order: `${task}:${testIndex}:${variant}` });
        tally.add({ taskId: id, testIndex: place, grid, qHaltLogit, order: variant });
      }
      progress.predicted({ made: sums.made, of: items.length }, "predictions of pairs held back");
    },
  });
  if (sums.made === 0) return undefined;
  const asked = leftOut.tasks.flatMap(({ id }, i) => (leftOut.pairs[i]!.length > 0 ? [{ id, testInputs: leftOut.pairs[i]!.length }] : []));
  const truths = new Map(leftOut.tasks.map(({ id }, i) => [id, leftOut.pairs[i]!.map(({ output }) => output)]));
  const score = scoreAnswers(tally.rankedAll(asked), new Map(asked.map(({ id }) => [id, truths.get(id)!])), [2]);
  judged.sort((a, b) => (a.order < b.order ? -1 : 1)); // as they come depends on the workers, and a sum of floats on its order
  const halting = fitHaltingScale(judged);
  const result: LeftOutScore = {
    step,
    pairs: score.testInputs,
    predictions: sums.made,
    exact: sums.right / sums.made,
    lmLoss: sums.loss / sums.made,
    "pass@2": score.passAtK.get("pass@2")!,
    oracle: score.oracle,
    halting,
  };
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const text = `left-out pairs after step ${step}: ${percent(result.exact)} of ${sums.made} predictions right, loss ${result.lmLoss.toFixed(4)}; of ${result.pairs} pairs ${percent(result["pass@2"])} in two attempts, ${percent(result.oracle)} among all answers; the halting head is surer of a right prediction than of a wrong one in ${percent(halting.auc)} of cases${request.recipe.haltingPairs === "taught" && step > 0 ? " (it was trained on these pairs)" : ""}, probability of being right sigmoid(${halting.slope.toFixed(2)} logit ${halting.offset < 0 ? "-" : "+"} ${Math.abs(halting.offset).toFixed(2)}) (${formatDuration(now() - began)})`;
  log.emit("info", "left-out", text, { ...result });
  const tasks = Object.entries(byTask.take()).map(([id, { samples, lmLoss, exact }]): [string, Fares] => [
    id,
    [samples, lmLoss / samples, exact / samples],
  ]);
  learning?.file.add({ kind: "left-out", step, seconds: clock.now(), tasks: Object.fromEntries(tasks) });
  return result;
}
