/** What a request comes to: model, tasks, course, and the job of each worker. */
import { createHash } from "node:crypto";
import { withoutAnswers } from "../arc/task.ts";
import { type MemoryPlan, planMemory } from "../budget/memory.ts";
import { parseModelConfig } from "../checkpoint/config.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import type { Pretraining } from "../config/pretraining.ts";
import { CODE_COUNT } from "../data/augmentation-codes.ts";
import { splitPairs } from "../data/build.ts";
import { type PretrainingData, rulesOf } from "../data/pretraining-stream.ts";
import { UserError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import type { EncoderConfig } from "../model/encoder-config.ts";
import { rowCapacity } from "../model/row-store.ts";
import { ADAM_ATAN2_DEFAULTS } from "../optim/adam-atan2.ts";
import type { Job } from "../parallel/job.ts";
import type { Compilation } from "../trace/compilation.ts";
import { meansOf } from "../trace/means.ts";
import type { PretrainRequest } from "./request.ts";
import type { SavedRun } from "./saved-run.ts";
import { type PretrainingTasks, readPretrainingTasks, type Tell } from "./tasks.ts";

/** What is trained on. */
export interface TrainingSet {
  readonly data: PretrainingData;
  readonly tasks: Pick<PretrainingTasks, "trained" | "evaluated">;
  /** in words, for the model card */
  readonly descriptions: readonly string[];
  /** puzzle rows that there come to be */
  readonly rows: number;
  /** pairs that one epoch shows */
  readonly epochPairs: number;
  /** changes where a puzzle id would come to stand for something else */
  readonly hash: string;
}

/** Reads the tasks and draws the rules. */
export function trainingSetOf({ files, settings, seed }: PretrainRequest, tell: Tell): TrainingSet {
  const descriptions: string[] = [];
  const real = files.tasks.length + files.evaluation.length > 0;
  const tasks: PretrainingTasks = real
    ? readPretrainingTasks(files, { ...settings, seed }, tell)
    : { trained: [], evaluated: [], sets: [] };
  for (const { name, kept, given } of tasks.sets) descriptions.push(`${kept} of the ${given} tasks of ${name}`);
  const share = real ? settings.generatedShare : 1;
  const kinds = settings.kinds === "all" ? undefined : settings.kinds.split(",").map((kind) => kind.trim());
  const generated = share > 0 ? { kinds, rulesPerKind: settings.rulesPerKind, seed } : undefined;
  const rules = generated ? rulesOf(generated) : [];
  if (generated) descriptions.push(`${rules.length} generated tasks of ${new Set(rules.map(({ kind }) => kind)).size} kinds`);
  const mixed = real && generated ? `, ${(100 * share).toFixed(0)} % generated` : "";
  tell("info", `trained on: ${descriptions.join(", ")}${mixed}`);
  const data: PretrainingData = {
    tasks: tasks.trained,
    evaluated: tasks.evaluated.map(withoutAnswers), // answers stay in this process
    variants: settings.variants,
    translate: real && settings.translate,
    generated,
    generatedShare: share,
    lives: settings.rowVisits > 0 ? { slots: settings.rowSlots, visits: settings.rowVisits } : undefined,
    ...(settings.embedding === "factored" && { factored: true }),
  };
  const realPairs =
    tasks.trained.reduce((sum, task) => sum + splitPairs(task, true).train.length, 0) +
    tasks.evaluated.reduce((sum, { train }) => sum + train.length, 0);
  const epochPairs = real ? Math.round(realPairs / (1 - (share === 1 ? 0 : share))) : rules.length;
  const meaning = [
    data.variants,
    seed,
    settings.rowVisits,
    settings.rowSlots,
    share,
    ...(data.factored ? ["factored"] : []),
    ...rules.map(({ label }) => label),
    "",
    ...taskNames(tasks),
  ];
  const ofTask = data.factored ? 1 : data.variants + 1;
  const ofTasks = data.lives?.slots ?? (tasks.trained.length + tasks.evaluated.length) * ofTask + rules.length;
  const rows = ofTasks + (data.factored ? CODE_COUNT : 0);
  return { data, tasks, descriptions, rows, epochPairs, hash: createHash("sha256").update(JSON.stringify(meaning)).digest("hex") };
}

function taskNames({ trained, evaluated }: PretrainingTasks): string[] {
  return [...trained.map(({ id }) => id), "", ...evaluated.map(({ id }) => id)];
}

/** Steps of the whole course: as asked for, as the state has them unless another number of epochs is asked for, or so many epochs; undefined where time decides. */
export function courseSteps({ steps, settings }: PretrainRequest, saved: SavedRun | undefined, epochPairs: number): number | undefined {
  if (steps !== undefined) return steps;
  const isAnother = saved?.settings !== undefined && saved.settings.epochs !== settings.epochs;
  if (saved?.maxSteps !== undefined && !isAnother) return saved.maxSteps;
  return settings.epochs > 0 ? Math.max(1, Math.floor((settings.epochs * epochPairs) / settings.batchSize)) : undefined;
}

/** The shape of the model: that of the checkpoint or training state that is gone on with, where there is one, but for the cycles given. */
export function modelOf({ settings, from, given }: PretrainRequest, saved: SavedRun | undefined): ModelConfig {
  const before = saved?.model ?? (from === undefined ? undefined : loadCheckpoint(from).config.model);
  const asked: ModelConfig = {
    hiddenSize: settings.hiddenSize,
    numHeads: settings.numHeads,
    expansion: 4,
    innerMultiple: settings.innerMultiple,
    lLayers: settings.lLayers,
    hCycles: settings.hCycles,
    lCycles: settings.lCycles,
    haltMaxSteps: settings.haltMaxSteps,
    prefixLength: settings.prefixLength,
    vocabularySize: 12,
    puzzleEmbeddingSize: settings.hiddenSize,
    ropeTheta: settings.ropeTheta,
    ropeAxes: settings.ropeAxes === "1" ? 1 : 2,
    rmsNormEps: 1e-5,
  };
  if (!before) return parseModelConfig(asked, "the model that was asked for");
  const cycles = ["hCycles", "lCycles", "haltMaxSteps"] as const;
  const others = ["hiddenSize", "numHeads", "lLayers", "innerMultiple", "prefixLength", "ropeAxes", "ropeTheta"] as const;
  const wrong = others.filter((name) => given.has(name) && asked[name] !== before[name]);
  if (wrong.length > 0) {
    const list = wrong.map((name) => `${name} is ${before[name]} there, ${asked[name]} was given`).join("; ");
    throw new UserError(`${from ?? "the training state"}: the shape can't change, but for the cycles: ${list}`);
  }
  return { ...before, ...Object.fromEntries(cycles.filter((name) => given.has(name)).map((name) => [name, asked[name]])) };
}

/**
 * The encoder that is to be trained, if any: its shape that of the checkpoint or training state that is gone on with, where there is one.
 *
 * @throws UserError where its blocks are other ones there than those asked for
 */
export function encoderOf({ settings, from, given }: PretrainRequest, saved: SavedRun | undefined): Job["encoder"] {
  const { embedding, encoderShare, encoderBirths, encoderLayers, encoderPairs } = settings;
  if (embedding === "table" || embedding === "factored") return undefined;
  const before: EncoderConfig | undefined = saved?.encoder ?? (from === undefined ? undefined : loadCheckpoint(from).config.encoder);
  if (before && given.has("encoderLayers") && encoderLayers !== before.layers) {
    const where = from ?? "the training state";
    throw new UserError(`${where}: its encoder has ${before.layers} blocks, --encoder-layers ${encoderLayers} was given; leave it out`);
  }
  const config = {
    layers: before?.layers ?? encoderLayers,
    pairs: before && !given.has("encoderPairs") ? before.pairs : encoderPairs,
  };
  return { config, share: embedding === "encoder" ? 1 : encoderShare, births: encoderBirths };
}

/** What a machine gives to each worker. */
export interface WorkerMeans {
  readonly engine: "wasm" | "tensorflow";
  readonly workers: number;
  readonly threads: number | undefined;
  /** GPUs that the workers are spread over */
  readonly gpus: number;
  /** for each worker */
  readonly memoryBytes: number;
}

/** The job of every worker, without what the pool fills in, and what it takes of memory; rows that lie in a file take none. */
export function jobOf(
  request: PretrainRequest,
  model: ModelConfig,
  { data, rows }: Pick<TrainingSet, "data" | "rows">,
  plannedSteps: number | undefined,
  { engine, workers, threads, gpus, memoryBytes }: WorkerMeans,
  encoder?: Job["encoder"],
): { job: Job; memory: MemoryPlan } {
  const { settings, from, resume } = request;
  const positions = model.prefixLength + settings.canvas ** 2;
  const compilation = { compile: request.compile, precision: request.precision, attention: request.attention };
  const plan = (attention: Compilation["attention"]): MemoryPlan =>
    planMemory({
      model,
      positions,
      kind: "training",
      encoderLayers: encoder?.config.layers,
      means: meansOf(engine, { ...compilation, attention }, gpus > 0),
      rows: Math.ceil(settings.batchSize / workers),
      puzzleRows: Math.min(rows, rowCapacity(model.puzzleEmbeddingSize, request.rowMemoryBytes)),
      budgetBytes: memoryBytes,
      microBatch: request.microBatch,
      recompute: request.recompute,
    });
  const memory = plan(request.attention);
  const job: Job = {
    engine,
    threads,
    compilation,
    seed: request.seed,
    model,
    canvas: settings.canvas,
    fullCanvas: Math.max(settings.fullCanvas, settings.canvas),
    trunk:
      resume !== undefined
        ? { kind: "state", folder: resume }
        : from !== undefined
          ? { kind: "checkpoint", folder: from }
          : { kind: "random" },
    start: from === undefined ? "zero" : "mean",
    encoder,
    rowMemory: { bytes: request.rowMemoryBytes, folder: request.state ?? request.out },
    data: { kind: "pretraining", ...data },
    globalBatch: settings.batchSize,
    microBatch: memory.microBatch,
    recompute: memory.recompute,
    ...(gpus > 0 && { composed: plan("composed") }),
    adam: { ...ADAM_ATAN2_DEFAULTS, weightDecay: settings.weightDecay },
    puzzleWeightDecay: settings.puzzleWeightDecay,
    explorationProbability: settings.haltExploration,
    course: courseOf(settings),
    watchTasks: request.runDir !== undefined,
    plannedSteps,
  };
  return { job, memory };
}

function courseOf(settings: Pretraining): Job["course"] {
  return {
    lrTrunk: settings.lrTrunk,
    lrPuzzle: settings.lrPuzzle,
    ...(settings.lrEncoder > 0 && { lrEncoder: settings.lrEncoder }),
    warmupSteps: settings.warmupSteps,
    lrMinRatio: settings.lrMinRatio,
    emaDecay: settings.emaDecay,
    emaWarmup: false,
    frozenShare: 0,
  };
}
