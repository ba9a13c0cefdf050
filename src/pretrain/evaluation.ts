/** What a pre-training is measured by on its way: left-out tests with votes, trained pairs, and how alike puzzle rows are. */
import { equalGrids, type Grid } from "../arc/grid.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import type { Task } from "../arc/task.ts";
import { splitPairs } from "../data/build.ts";
import type { Metrics } from "../metrics/metrics-file.ts";
import type { Prediction, PredictionItem, Survey } from "../parallel/job.ts";
import { PASS_KS, scoreAnswers } from "../score/pass-at-k.ts";
import { Tally } from "../vote/tally.ts";

/** The tasks in the order of the workers' plan. */
export interface EvaluationTasks {
  /** trained on with their tests */
  readonly trained: readonly Task[];
  /** trained on by their demonstrations alone; tests with their answers */
  readonly evaluated: readonly Task[];
}

/** How predictions are made; `parallel/coordinator.ts` has the real one. */
export interface Predictor {
  survey(votes: number, pairs: number): Promise<Survey>;
  predict(
    items: readonly PredictionItem[],
    options: { readonly actSteps: number; readonly chunk: number; goOn(): boolean; arrived(predictions: readonly Prediction[]): void },
  ): Promise<void>;
}

export interface EvaluationOptions {
  /** variants that vote on a test input, at most */
  readonly votes: number;
  /** trained pairs predicted */
  readonly pairs: number;
  readonly actSteps: number;
  /** predictions asked for at a time */
  readonly chunk: number;
  /** asked before each chunk; false ends the evaluation without a result */
  goOn(): boolean;
}

/**
 * One point of the evaluation's curves.
 *
 * - `evaluation/exact`: share of the predictions of left-out tests that are right, one for each variant
 * - `evaluation/pass@K`, `evaluation/pass@KPerTask`: of their votes, over the tasks that have any, for each K of 1, 2, 5, 10, 100, 1000 that so many votes
 *   can tell; `evaluation/tasks` says how many tasks these are
 * - `evaluation/trained-exact`: share right of random pairs that are trained on
 * - `zero-shot/…`: the same where the rows are what the encoder makes of the demonstrations; trained pairs are asked beside the others of their task
 * - `rows/within`, `rows/across`, `rows/length`: see `model/row-similarity.ts`
 *
 * @returns undefined where it was told to stop
 */
export async function evaluate(pool: Predictor, tasks: EvaluationTasks, options: EvaluationOptions): Promise<Metrics | undefined> {
  const { items, similarity } = await pool.survey(options.votes, options.pairs);
  const all = [...tasks.trained, ...tasks.evaluated];
  const trainedPairs = all.map((task, i) => splitPairs(task, i < tasks.trained.length).train);
  const [learned, encoded] = [new Standing(), new Standing()];
  const ks = PASS_KS.filter((k) => k <= Math.max(2, options.votes));
  const asked = items.filter(({ task, testIndex, trained }) => trained || all[task]!.test[testIndex]!.output);
  await pool.predict(asked, {
    actSteps: options.actSteps,
    chunk: options.chunk,
    goOn: options.goOn,
    arrived: (predictions) => {
      for (const prediction of predictions) {
        const { task, testIndex, trained, variant, rows, cols, cells, qHaltLogit } = prediction;
        const grid: Grid = { rows, cols, cells };
        const truth = trained ? trainedPairs[task]![testIndex]!.output : all[task]!.test[testIndex]!.output!;
        const standing = prediction.encoded ? encoded : learned;
        const count = trained ? standing.trained : standing.tests;
        count.made++;
        if (equalGrids(grid, truth)) count.right++;
        if (!trained) standing.tally.add({ taskId: all[task]!.id, testIndex, grid, qHaltLogit, order: variant });
      }
    },
  });
  if (learned.made + encoded.made < asked.length) return undefined;
  const { within, across, length, rows } = similarity;
  return {
    ...learned.metrics("evaluation", tasks.evaluated, ks),
    ...encoded.metrics("zero-shot", tasks.evaluated, ks),
    ...(Number.isFinite(within) && { "rows/within": within }),
    ...(Number.isFinite(across) && { "rows/across": across }),
    ...(rows > 0 && { "rows/length": length }),
    "rows/compared": rows,
  };
}

/** What the predictions with one sort of rows come to. */
class Standing {
  readonly tests = { right: 0, made: 0 };
  readonly trained = { right: 0, made: 0 };
  readonly tally = new Tally();

  get made(): number {
    return this.tests.made + this.trained.made;
  }

  metrics(name: string, evaluated: readonly Task[], ks: readonly number[]): Metrics {
    const { tests, trained, tally } = this;
    const solutions: Solutions = new Map(
      evaluated.flatMap(({ id, test }) =>
        tally.votes(id, 0) > 0 && test.every(({ output }) => output) ? [[id, test.map(({ output }) => output!)]] : [],
      ),
    );
    const answers = tally.rankedAll([...solutions].map(([id, truths]) => ({ id, testInputs: truths.length })));
    return {
      ...(tests.made > 0 && {
        [`${name}/exact`]: tests.right / tests.made,
        [`${name}/predictions`]: tests.made,
        [`${name}/tasks`]: solutions.size,
        ...Object.fromEntries([...scoreAnswers(answers, solutions, ks).passAtK].map(([of, value]) => [`${name}/${of}`, value])),
      }),
      ...(trained.made > 0 && { [`${name}/trained-exact`]: trained.right / trained.made }),
    };
  }
}
