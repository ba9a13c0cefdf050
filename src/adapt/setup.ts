/** What a run's request comes to on this machine: canvas, rows at a time, and the jobs of its workers. */
import type { Task } from "../arc/task.ts";
import { describeMemory, gigabytes, type MemoryPlan, planMemory, worthwhileRows } from "../budget/memory.ts";
import { sideTrainedOn } from "../checkpoint/config.ts";
import type { Recipe } from "../config/recipe.ts";
import { COMPETING_VARIANTS } from "../data/competitors.ts";
import { type CanvasGroups, groupByCanvas } from "../encode/canvas-groups.ts";
import { canvasSideFor } from "../encode/canvas-side.ts";
import { UserError } from "../errors.ts";
import { type ModelConfig, passCost } from "../model/config.ts";
import { noEncoder } from "../model/encoder-config.ts";
import { ADAM_ATAN2_DEFAULTS } from "../optim/adam-atan2.ts";
import type { Job } from "../parallel/job.ts";
import { taughtRowsOf } from "../parallel/work-data.ts";
import type { Compilation } from "../trace/compilation.ts";
import { meansOf } from "../trace/means.ts";
import { itemsOf, ownerOf } from "./items.ts";
import { undivided, withLeftOut } from "./left-out.ts";
import { adaptedModel, adaptersOf, frozenShareOf, type RowStartKind, searchStartsOf } from "./methods.ts";
import { isAgreementWatched, isPredictOnly, type RunRequest, type RunResult } from "./request.ts";

/** Canvases of a run at most: each has steps of its own to compile. */
const MOST_CANVASES = 4;

/** Sizes of a run, and a job for each worker. */
export interface Setup {
  /** cells a side, of the largest where there are several */
  readonly canvas: number;
  /** where there are several */
  readonly canvases?: CanvasGroups | undefined;
  /** rows that go through the model together in each worker */
  readonly microBatch: number;
  /** blocks are computed again for their gradient */
  readonly recompute: boolean;
  /** ACT steps of a prediction */
  readonly actSteps: number;
  /** variants to predict under, per test input */
  readonly variants: number;
  /** of a latent search */
  readonly starts: readonly RowStartKind[];
  readonly jobs: readonly Job[];
  /** the start in words, for the log */
  readonly description: string;
  /** what the user had better know of it */
  readonly warnings: readonly string[];
}

/** Sizes and jobs for a request. */
export function setUp(request: RunRequest): Setup {
  const { recipe, checkpoint, chosen, leftOut, workers, seed, joined, engine } = request;
  const known = leftOut ? undivided(leftOut) : chosen;
  const trainedSide = sideTrainedOn(checkpoint.config);
  const full = checkpoint.config.canvas;
  const trained = checkpoint.config.model;
  const model = adaptedModel(trained, recipe);
  const perWorker = Math.max(1, Math.ceil(recipe.batchSize / workers));
  const canvases = request.canvas === "grouped" ? canvasesFor(request, known, model, perWorker) : undefined;
  const canvas = typeof request.canvas === "number" ? request.canvas : (canvases?.sides.at(-1) ?? canvasSideFor(known, 1, trainedSide));
  const positions = model.prefixLength + canvas ** 2;
  const lora = adaptersOf(recipe);
  const factored = recipe.embedding === "factored";
  const { encoder } = checkpoint.config;
  if (recipe.start === "encoder" && !request.scratch && !encoder && checkpoint.folder !== "")
    throw new UserError(noEncoder(checkpoint.folder));
  const starts = request.scratch ? [] : searchStartsOf(recipe, encoder ? ["mean", "encoder"] : ["mean"]);
  const { bytesPerWorker, bytesWithoutGpu, microBatch: asked, recompute: wished } = request.memory;
  const plan = (onGpu: boolean, compilation: Compilation = request.compilation): MemoryPlan =>
    planMemory({
      model,
      positions,
      kind: isPredictOnly(request) ? "prediction" : "training",
      loraRank: lora?.rank,
      means: meansOf(engine.engine, compilation, onGpu),
      rows: perWorker,
      puzzleRows: chosen.length * (factored ? Math.max(1, starts.length) : recipe.trainVariants + 1 + COMPETING_VARIANTS * starts.length),
      budgetBytes: onGpu || request.gpus === 0 ? bytesPerWorker : bytesWithoutGpu,
      microBatch: asked,
      recompute: wished,
    });
  const memory = plan(request.gpus > 0);
  const { microBatch, recompute } = memory;
  const shared: Job = {
    engine: engine.engine,
    threads: request.threads,
    expectsGpu: request.gpus > 0,
    compilation: request.compilation,
    seed,
    model,
    canvas,
    canvases,
    fullCanvas: Math.max(full, canvas),
    trunk: request.scratch ? { kind: "random" } : { kind: "checkpoint", folder: checkpoint.folder },
    start: request.scratch ? "zero" : recipe.start,
    ...(isEncodedFirst(request) && { untrained: "encoder" }),
    ...(starts.length > 0 && { search: { starts } }),
    data: {
      kind: "tasks",
      tasks: leftOut ? withLeftOut(leftOut) : chosen,
      variants: recipe.trainVariants,
      translate: recipe.translate,
      trainOnTests: false,
      factored,
      ...(leftOut && recipe.haltingPairs === "taught" && { taught: leftOut.pairs }),
    },
    globalBatch: joined ? recipe.batchSize : perWorker,
    microBatch,
    recompute,
    ...(request.gpus > 0 && { withoutGpu: plan(false), composed: plan(true, { ...request.compilation, attention: "composed" }) }),
    lora,
    adam: { ...ADAM_ATAN2_DEFAULTS, weightDecay: recipe.weightDecay, ...(lora && { rule: "fork" }) },
    puzzleWeightDecay: recipe.puzzleWeightDecay,
    explorationProbability: recipe.haltExploration,
    stopAtHalt: recipe.stopAtHalt,
    watchAgreement: isAgreementWatched(request),
    watchTasks: request.runDir !== undefined,
    course: {
      lrTrunk: recipe.lrTrunk,
      lrPuzzle: recipe.lrPuzzle,
      warmupSteps: recipe.warmupSteps,
      lrMinRatio: recipe.lrMinRatio,
      emaDecay: recipe.emaDecay,
      emaWarmup: recipe.emaWarmup,
      frozenShare: frozenShareOf(recipe),
    },
    plannedSteps: request.steps,
    rehearsal: request.rehearsal,
  };
  const jobs = Array.from(
    { length: workers },
    (_, rank): Job => ({
      ...shared,
      ...(!joined && { seed: `${seed}:${rank}`, trainOn: chosen.flatMap((_task, i) => (ownerOf(i, workers) === rank ? [i] : [])) }),
    }),
  );
  return {
    canvas,
    canvases,
    microBatch,
    recompute,
    actSteps: recipe.haltMaxStepsEval || checkpoint.config.model.haltMaxSteps,
    variants: variantsOf(recipe),
    starts,
    jobs,
    description: `${chosen.length} tasks, ${itemsOf(chosen, 0).length} test inputs on ${describeCanvases(canvas, canvases && tasksByCanvas(canvases))}; ${workers} workers on ${engine.engine} (${engine.reason}); batch ${recipe.batchSize}, ${describeMemory(memory)}`,
    warnings: [
      ...largeTasks(known, canvas, trainedSide),
      ...(canvas > full ? [`canvas ${canvas} is larger than the checkpoint's, ${full}: rotary positions it was never trained on`] : []),
      ...(!request.scratch && (model.hCycles !== trained.hCycles || model.lCycles !== trained.lCycles)
        ? [
            `${model.hCycles} H cycles of ${model.lCycles} L cycles; the checkpoint was trained with ${trained.hCycles} of ${trained.lCycles}`,
          ]
        : []),
      ...(recipe.haltingPairs === "taught" ? untaught(jobs) : []),
      ...(memory.bytes > memory.budgetBytes
        ? [
            `a worker will take about ${gigabytes(memory.bytes)} of memory, more than its share of ${gigabytes(memory.budgetBytes)}; fewer --workers or a smaller --canvas would do`,
          ]
        : []),
    ],
  };
}

/** What is to be said of batches that have no row to spare, or no pair for it. */
function untaught(jobs: readonly Job[]): string[] {
  const ranks = jobs.flatMap((job, rank) => (taughtRowsOf(job) === undefined ? [rank] : []));
  if (ranks.length === 0) return [];
  const batch = ranks.length === jobs.length ? "the batch has" : `the batch of worker ${ranks.join(", ")} has`;
  return [`--halting-pairs taught: ${batch} no row that pairs held back could train the halting head on; a larger --batch-size would have`];
}

/**
 * Whether the checkpoint's encoder makes the rows of the first answers though those that are trained begin elsewhere. Without a training the start that
 * was asked for is what is measured; rows that compete, or that are sums, have starts of their own.
 */
export function isEncodedFirst(request: Pick<RunRequest, "recipe" | "checkpoint" | "scratch" | "steps">): boolean {
  const { method, start, embedding } = request.recipe;
  const mayBe = request.checkpoint.config.encoder !== undefined && !request.scratch && !isPredictOnly(request);
  return mayBe && start !== "encoder" && method !== "latent-search" && embedding === "table";
}

/** Canvases for groups of tasks; undefined where one for all is as good. */
function canvasesFor(
  { checkpoint, gpus }: RunRequest,
  tasks: readonly Task[],
  model: ModelConfig,
  perWorker: number,
): CanvasGroups | undefined {
  const positions = (side: number): number => model.prefixLength + side ** 2;
  const canvases = groupByCanvas(tasks, {
    trained: sideTrainedOn(checkpoint.config),
    most: MOST_CANVASES,
    cost: (side) => passCost(model, positions(side)),
    rows: perWorker,
    leastRows: (side) => worthwhileRows(gpus > 0 ? "gpu" : "cpu", positions(side)),
  });
  return canvases.sides.length > 1 ? canvases : undefined;
}

/** Cells a side of each canvas, and the tasks on it. */
export function tasksByCanvas({ sides, ofTask }: CanvasGroups): { side: number; tasks: number }[] {
  return sides.map((side, canvas) => ({ side, tasks: ofTask.filter((each) => each === canvas).length }));
}

/** Of the examples and of the test inputs the share that is on each canvas. */
export function sharesByCanvas(
  { sides, ofTask }: CanvasGroups,
  tasks: readonly Task[],
): { side: number; examples: number; testInputs: number }[] {
  const share = (canvas: number, of: (task: Task) => number): number => {
    const count = (counts: (place: number) => boolean): number => tasks.reduce((sum, task, i) => sum + (counts(i) ? of(task) : 0), 0);
    return (
      count((i) => ofTask[i] === canvas) /
      Math.max(
        1,
        count(() => true),
      )
    );
  };
  return sides.map((side, canvas) => ({
    side,
    examples: share(canvas, ({ train }) => train.length),
    testInputs: share(canvas, ({ test }) => test.length),
  }));
}

/** A run's canvas in words, or its several ones. */
export function describeCanvases(canvas: number, canvases: RunResult["canvases"]): string {
  if (!canvases) return `a ${canvas} x ${canvas} canvas`;
  const each = canvases.map(({ side, tasks }) => `${side} x ${side} (${tasks} ${tasks === 1 ? "task" : "tasks"})`);
  return `canvases of ${each.slice(0, -1).join(", ")} and ${each.at(-1)}`;
}

/** A warning where the canvas is larger than those trained on though some tasks would fit these. @param trained cells a side, if known */
function largeTasks(tasks: readonly Task[], canvas: number, trained = canvas): string[] {
  if (canvas <= trained) return [];
  const large = tasks.filter((task) => canvasSideFor([task], 1, trained) > trained).length;
  if (large === 0 || large === tasks.length) return [];
  return [
    `${large} of ${tasks.length} tasks are larger than the canvases that the checkpoint was trained on, ${trained} cells a side; --canvas ${trained} would leave them to fallbacks and the time to the others`,
  ];
}

/** Variants to predict under, per test input: those that there are, the original among them. */
export function variantsOf({ voteVariants, trainVariants }: Pick<Recipe, "voteVariants" | "trainVariants">): number {
  return Math.min(voteVariants, trainVariants + 1);
}
