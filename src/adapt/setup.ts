/** What a run's request comes to on this machine: canvas, rows at a time, and the jobs of its workers. */
import type { Task } from "../arc/task.ts";
import { describeMemory, gigabytes, type MemoryPlan, planMemory } from "../budget/memory.ts";
import { sideTrainedOn } from "../checkpoint/config.ts";
import type { Recipe } from "../config/recipe.ts";
import { COMPETING_VARIANTS } from "../data/competitors.ts";
import { canvasSideFor } from "../encode/canvas-side.ts";
import { UserError } from "../errors.ts";
import { noEncoder } from "../model/encoder-config.ts";
import { ADAM_ATAN2_DEFAULTS } from "../optim/adam-atan2.ts";
import type { Job } from "../parallel/job.ts";
import type { Compilation } from "../trace/compilation.ts";
import { meansOf } from "../trace/means.ts";
import { itemsOf, ownerOf } from "./items.ts";
import { undivided, withLeftOut } from "./left-out.ts";
import { adaptedModel, adaptersOf, frozenShareOf, type RowStartKind, searchStartsOf } from "./methods.ts";
import { isAgreementWatched, isPredictOnly, type RunRequest } from "./request.ts";

/** Sizes of a run, and a job for each worker. */
export interface Setup {
  /** cells a side */
  readonly canvas: number;
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
  const canvas = request.canvas === "auto" ? canvasSideFor(known, 1, trainedSide) : request.canvas;
  const full = checkpoint.config.canvas;
  const trained = checkpoint.config.model;
  const model = adaptedModel(trained, recipe);
  const positions = model.prefixLength + canvas ** 2;
  const perWorker = Math.max(1, Math.ceil(recipe.batchSize / workers));
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
  return {
    canvas,
    microBatch,
    recompute,
    actSteps: recipe.haltMaxStepsEval || checkpoint.config.model.haltMaxSteps,
    variants: variantsOf(recipe),
    starts,
    jobs: Array.from({ length: workers }, (_, rank) => ({
      ...shared,
      ...(!joined && { seed: `${seed}:${rank}`, trainOn: chosen.flatMap((_task, i) => (ownerOf(i, workers) === rank ? [i] : [])) }),
    })),
    description: `${chosen.length} tasks, ${itemsOf(chosen, 0).length} test inputs on a ${canvas} x ${canvas} canvas; ${workers} workers on ${engine.engine} (${engine.reason}); batch ${recipe.batchSize}, ${describeMemory(memory)}`,
    warnings: [
      ...largeTasks(known, canvas, trainedSide),
      ...(canvas > full ? [`canvas ${canvas} is larger than the checkpoint's, ${full}: rotary positions it was never trained on`] : []),
      ...(!request.scratch && (model.hCycles !== trained.hCycles || model.lCycles !== trained.lCycles)
        ? [
            `${model.hCycles} H cycles of ${model.lCycles} L cycles; the checkpoint was trained with ${trained.hCycles} of ${trained.lCycles}`,
          ]
        : []),
      ...(memory.bytes > memory.budgetBytes
        ? [
            `a worker will take about ${gigabytes(memory.bytes)} of memory, more than its share of ${gigabytes(memory.budgetBytes)}; fewer --workers or a smaller --canvas would do`,
          ]
        : []),
    ],
  };
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
