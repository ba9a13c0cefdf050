/** Pre-training on real and generated tasks: the course of a run, from the first step to the written checkpoint. */
import { existsSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { chooseEngine, workerEnvironment } from "../backend/choose.ts";
import { compilationCache } from "../backend/compilation-cache.ts";
import { gpuIds, gpuMemory, leastCapability } from "../backend/gpus.ts";
import { memoryShare } from "../backend/memory-share.ts";
import { type Clock, MAX_TIMER_MILLIS, realClock } from "../budget/clock.ts";
import { formatDuration } from "../budget/duration.ts";
import { describeMemory } from "../budget/memory.ts";
import type { CheckpointConfig } from "../checkpoint/config.ts";
import { CONFIG_FILE, loadCheckpoint } from "../checkpoint/load.ts";
import { removeSnapshots } from "../checkpoint/snapshots.ts";
import { finishCheckpoint, type Json } from "../checkpoint/training-state.ts";
import { PRESETS } from "../config/presets.ts";
import { PRETRAINING_RECIPES } from "../config/pretraining.ts";
import { messageOf, UserError } from "../errors.ts";
import { type EventLog, openEventLog } from "../events.ts";
import { ENDING_SIGNALS, statusOf } from "../files/signals.ts";
import { LearningFile } from "../metrics/learning-file.ts";
import { type Metrics, MetricsFile } from "../metrics/metrics-file.ts";
import type { ModelConfig } from "../model/config.ts";
import type { EncoderConfig } from "../model/encoder-config.ts";
import { relative } from "../model/moved.ts";
import { WorkerPool } from "../parallel/coordinator.ts";
import { learningPoint } from "../parallel/learning-point.ts";
import { attentionOn, mayUseXla, precisionOn } from "../trace/compilation.ts";
import { CurvePoint } from "../train/curve-point.ts";
import type { Progress } from "../train/loop.ts";
import { evaluate } from "./evaluation.ts";
import { type EarlierStage, modelCard, stagesOf } from "./model-card.ts";
import type { PretrainRequest, PretrainResult } from "./request.ts";
import { RunningMeans } from "./running-means.ts";
import type { SavedRun } from "./saved-run.ts";
import { courseSteps, encoderOf, jobOf, modelOf, type TrainingSet, trainingSetOf } from "./setup.ts";
import { compareWithRecipe } from "./tasks.ts";

/** Seconds between lines that tell the progress, and between points of the training's curves. */
const SHOW_SECONDS = 15;
const POINT_SECONDS = 5;
/** Predictions that an evaluation asks a worker for at a time. */
const EVALUATION_CHUNK = 64;
/** Between two points of `learning.jsonl`: so many seconds, and this share of what has passed. */
const LEARNING_SECONDS = 30;
const LEARNING_SHARE = 0.025;
/** Before a save that failed is tried again. */
const SAVE_AGAIN_SECONDS = 60;
/** A worker without a sign of life for this long counts as lost. */
const SILENCE_SECONDS = 120;

/** Runs the whole pre-training; the checkpoint is written every so often and at the end, also after a signal, which the exit status then tells. */
export async function pretrain(request: PretrainRequest, saved: SavedRun | undefined): Promise<PretrainResult> {
  const { out, runDir, settings, recipe } = request;
  const clock = realClock();
  const file = runDir === undefined ? undefined : join(runDir, "events.jsonl");
  const log = openEventLog({ file, level: request.level, seconds: () => clock.now() });
  const tell = (level: "info" | "warn" | "debug", text: string): void => log.emit(level, "data", text);
  const engine = chooseEngine(request.engine, request.tfLib);
  log.emit("info", "engine", `engine ${engine.engine}: ${engine.reason}`);
  if (request.state === undefined) log.emit("info", "state", "no --run-dir or --state: this training can't be taken up again");
  if (recipe !== undefined) compareWithRecipe(recipe, PRETRAINING_RECIPES[recipe]!, request.files, tell);
  const model = modelOf(request, saved);
  const encoder = encoderOf(request, saved);
  const set = trainingSetOf(request, tell);
  if (saved?.puzzles !== undefined && saved.puzzles !== set.hash) {
    throw new UserError(`${request.resume}: was trained on other tasks, variants or rows; resume with the same, or go on with --from`);
  }
  const maxSteps = courseSteps(request, saved, set.epochPairs);
  const devices = engine.engine === "tensorflow" ? gpuIds() : [];
  const gpus = devices.length;
  const capability = gpus > 0 ? leastCapability() : undefined;
  const attention = attentionOn(request.attention, capability);
  const precision = precisionOn(request.precision, capability);
  const workers = Math.min(request.workers ?? Math.max(1, gpus), settings.batchSize);
  const threads =
    request.threads ??
    (engine.engine === "tensorflow" && gpus === 0 ? Math.max(1, Math.floor(availableParallelism() / workers)) : undefined);
  const unkept = (text: string): void => log.emit("warn", "xla-cache", text);
  const cache = mayUseXla(request, gpus) ? compilationCache({ location: engine.location, asked: request.xlaCache, warn: unkept }) : {};
  const memoryBytes = memoryShare({ engine: engine.engine, workers, gpus: gpuMemory(gpus) });
  const { job, memory } = jobOf(
    { ...request, attention, precision },
    model,
    set,
    maxSteps,
    { engine: engine.engine, workers, threads, gpus, memoryBytes },
    encoder,
  );
  log.emit("info", "memory", `batch ${settings.batchSize} over ${workers} workers, ${describeMemory(memory)}`, { ...memory });
  if (memory.bytes > memory.budgetBytes)
    log.emit(
      "warn",
      "memory",
      `a worker will take more memory than its share: fewer --workers, or a smaller --batch-size, --canvas or --row-memory would do`,
    );
  if (request.resume !== undefined) finishCheckpoint(request.resume, out);
  // Lost workers come back from snapshots of this process; what an earlier one left is older than the state, or newer than it.
  const snapshots = request.state === undefined ? undefined : join(request.state, "snapshots");
  if (snapshots !== undefined) removeSnapshots(snapshots);
  const run = new Pretraining(request, saved, clock, log, { model, encoder: encoder?.config }, set, maxSteps);
  const { pool, ready: started } = WorkerPool.start(
    Array.from({ length: workers }, () => job),
    true,
    {
      environment: (rank) => ({
        ...request.workerMark,
        ...workerEnvironment(engine, threads),
        ...cache,
        ...(gpus > 0 && { CUDA_VISIBLE_DEVICES: devices[rank % gpus]! }),
      }),
      watcher: {
        progress: (_, { progress, rssBytes }, leads) => leads && run.report(progress, rssBytes),
        warning: (rank, sentence) => log.emit("warn", "slower", `worker ${rank}: ${sentence}`),
        line: (rank, text) => log.emit("debug", "worker", `worker ${rank}: ${text}`),
        lost: (rank, message, again) => {
          if (!run.stopping)
            log.emit("error", "lost", `${message}; ${again ? "it is started again" : "going on without it"}`, { rank, again });
        },
        event: (level, name, text, fields) => log.emit(level, name, text, fields),
      },
      recovery:
        snapshots === undefined ? undefined : { folder: snapshots, everySeconds: request.saveSeconds, silenceSeconds: SILENCE_SECONDS },
    },
  );
  const stop = (signal: NodeJS.Signals): void => {
    process.exitCode = statusOf(signal); // once all is saved
    run.stop(pool);
  };
  for (const signal of ENDING_SIGNALS) process.on(signal, stop);
  try {
    const ready = await started;
    const course = maxSteps === undefined ? "" : `, ${maxSteps} steps in all`;
    log.emit("info", "ready", `${ready.length} workers ready, ${ready[0]!.parameters} parameters, ${ready[0]!.engine}${course}`);
    return await run.train(pool, ready.length, ready[0]!.engine);
  } finally {
    for (const signal of ENDING_SIGNALS) process.off(signal, stop);
    pool.kill();
    if (snapshots !== undefined) removeSnapshots(snapshots);
    log.close();
  }
}

/** One run: trains in stretches between which it evaluates and saves. */
class Pretraining {
  readonly #request: PretrainRequest;
  readonly #saved: SavedRun | undefined;
  readonly #clock: Clock;
  readonly #log: EventLog;
  readonly #model: ModelConfig;
  readonly #encoder: EncoderConfig | undefined;
  readonly #set: TrainingSet;
  readonly #maxSteps: number | undefined;
  readonly #earlier: readonly EarlierStage[];
  /** settings that suit the checkpoint's adaptation: the recipe's, or those of the checkpoint that the training began from */
  readonly #adaptation: CheckpointConfig["adaptation"];
  readonly #metrics: MetricsFile | undefined;
  readonly #learning: LearningFile | undefined;
  readonly #means = new RunningMeans();
  readonly #point = new CurvePoint();
  /** processor, cores, workers and their engine */
  #machine = "";
  #shown = 0;
  #pointAt = 0;
  #learnedAt = 0;
  #stopping = false;
  #evaluation: { step: number; metrics: Metrics } | undefined;

  constructor(
    request: PretrainRequest,
    saved: SavedRun | undefined,
    clock: Clock,
    log: EventLog,
    { model, encoder }: { readonly model: ModelConfig; readonly encoder: EncoderConfig | undefined },
    set: TrainingSet,
    maxSteps: number | undefined,
  ) {
    this.#request = request;
    this.#saved = saved;
    this.#clock = clock;
    this.#log = log;
    this.#model = model;
    this.#encoder = encoder;
    this.#set = set;
    this.#maxSteps = maxSteps;
    const origin = request.from === undefined ? undefined : loadCheckpoint(request.from).config;
    const preset = PRETRAINING_RECIPES[request.recipe ?? ""]?.adaptation;
    this.#evaluation = saved?.evaluation;
    this.#earlier = saved?.earlier ?? (origin ? stagesOf(origin.training) : []);
    this.#adaptation = preset === undefined ? (saved?.adaptation ?? origin?.adaptation) : PRESETS[preset]!.recipe;
    if (request.runDir === undefined) return;
    this.#metrics = new MetricsFile(
      request.runDir,
      saved?.step ?? 0,
      () => Date.now() / 1000,
      (error) => log.emit("warn", "metrics", `${request.runDir}: no curves any more: ${error.message}`),
    );
    this.#learning = new LearningFile(
      request.runDir,
      (error) => log.emit("warn", "learning", `${request.runDir}: nothing more is noted of the learning: ${messageOf(error)}`),
      saved?.step ?? 0,
    );
  }

  /** told to end */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** Ends the run after the step under way. */
  stop(pool: WorkerPool): void {
    this.#stopping = true;
    pool.stopTraining();
  }

  /** A worker's report on its steps. */
  report(progress: Progress, rssBytes: number): void {
    this.#means.add(progress);
    this.#point.add(progress);
    const now = this.#clock.now();
    if (now - this.#pointAt >= POINT_SECONDS) this.#writePoint();
    if (now - this.#shown < SHOW_SECONDS) return;
    this.#shown = now;
    const { lmLoss, accuracy, exact, encodedLoss, encodedExact } = this.#means;
    const ofEncoder = Number.isNaN(encodedLoss) ? "" : `  encoder ${encodedLoss.toFixed(4)}, ${percent(encodedExact)} exact`;
    const left = formatDuration((progress.plannedSteps - progress.step) * progress.stepSeconds);
    this.#log.emit(
      "info",
      "progress",
      `step ${progress.step}/${progress.plannedSteps}  loss ${lmLoss.toFixed(4)}  right tokens ${percent(accuracy)}  exact ${percent(exact)}${ofEncoder}  ${(1 / progress.stepSeconds).toFixed(2)} steps/s  ${left} left  ${(rssBytes / 2 ** 20).toFixed(0)} MiB`,
      { ...progress, rssBytes },
    );
  }

  /** @param engine of the workers, in words */
  async train(pool: WorkerPool, workers: number, engine: string): Promise<PretrainResult> {
    this.#machine = `${cpus()[0]?.model.trim() ?? process.arch}, ${availableParallelism()} cores; ${workers} workers, ${engine}`;
    const { budgetSeconds, saveSeconds, settings } = this.#request;
    const { processStart } = this.#clock;
    const began = this.#clock.now();
    const deadline = processStart + (budgetSeconds ?? Number.POSITIVE_INFINITY);
    const every = settings.evaluateEvery;
    let step = this.#saved?.step ?? 0;
    let saveAt = processStart + this.#clock.now() + saveSeconds;
    if (this.#stopping) this.#log.emit("info", "stopped", "stopped before the first step: nothing is saved");
    while (!this.#stopping) {
      // Told to stop rather than given an earlier deadline: lost workers are waited for then.
      const untilSave = Math.max(0, saveAt - processStart - this.#clock.now());
      const timer = setTimeout(() => pool.stopTraining(), Math.min(MAX_TIMER_MILLIS, 1000 * untilSave));
      timer.unref();
      const pauseAtStep = every > 0 ? (Math.floor(step / every) + 1) * every : undefined;
      const [trained] = await pool.train({ deadline, finalDeadline: deadline, maxSteps: this.#maxSteps, pauseAtStep });
      clearTimeout(timer);
      if (!trained) throw new Error("training ended in every worker; the last checkpoint stands");
      step = trained.step;
      const left = deadline - processStart - this.#clock.now();
      if (trained.why === "diverged") this.#log.emit("error", "diverged", `training diverged; it ends with what it had after step ${step}`);
      const over = this.#stopping || ["steps", "diverged", "late"].includes(trained.why) || left < trained.stepSeconds * 2;
      if (every > 0 && !this.#stopping && (over || step % every === 0)) await this.#tryToEvaluate(pool, step, deadline);
      this.#writePoint();
      await this.#learn(pool, over);
      if (trained.why === "paused" && !over && !this.#stopping && processStart + this.#clock.now() < saveAt) continue;
      const seconds = (this.#saved?.seconds ?? 0) + this.#clock.now() - began;
      const isLast = over || this.#stopping;
      if (isLast && step === this.#saved?.step && this.#means.isEmpty && existsSync(join(this.#request.out, CONFIG_FILE))) {
        this.#log.emit("info", "finished", `nothing is left to train: the course ends with step ${step}, which is saved already`);
        break;
      }
      const saved = await this.#trySave(pool, step, seconds, isLast);
      saveAt = processStart + this.#clock.now() + (saved ? saveSeconds : Math.min(saveSeconds, SAVE_AGAIN_SECONDS));
      if (isLast) break;
    }
    const { lmLoss, accuracy, exact } = this.#means;
    const [known, exactAccuracy] = [accuracy, exact].map((share) => (Number.isNaN(share) ? 0 : share)) as [number, number]; // no sample has finished
    const result = { checkpoint: this.#request.out, steps: step, lmLoss, accuracy: known, exactAccuracy, seconds: this.#clock.now() };
    return this.#evaluation ? { ...result, evaluation: this.#evaluation.metrics } : result;
  }

  #writePoint(): void {
    const point = this.#point.take();
    if (point) this.#metrics?.add(point.step, point.metrics);
    this.#pointAt = this.#clock.now();
  }

  /** Evaluates; training goes on where that fails. */
  async #tryToEvaluate(pool: WorkerPool, step: number, deadline: number): Promise<void> {
    try {
      await this.#evaluate(pool, step, deadline);
    } catch (error) {
      if (!this.#stopping) this.#log.emit("warn", "evaluation", `no evaluation after step ${step}: ${messageOf(error)}`);
    }
  }

  async #evaluate(pool: WorkerPool, step: number, deadline: number): Promise<void> {
    if (this.#evaluation?.step === step) return;
    const { settings } = this.#request;
    const began = this.#clock.now();
    const metrics = await evaluate(pool, this.#set.tasks, {
      votes: settings.evaluationVariants,
      pairs: settings.evaluationPairs,
      actSteps: this.#model.haltMaxSteps,
      chunk: EVALUATION_CHUNK,
      goOn: () => !this.#stopping && this.#clock.processStart + this.#clock.now() < deadline,
    });
    if (!metrics) return;
    this.#evaluation = { step, metrics };
    this.#metrics?.add(step, metrics);
    const scores = ["exact", "pass@1", "pass@2", "trained-exact"];
    const shown = ["evaluation/", "zero-shot/"].flatMap((prefix) =>
      scores.flatMap((name) => {
        const score = metrics[prefix + name];
        return score === undefined ? [] : [`${(prefix + name).replace("evaluation/", "")} ${(100 * score).toFixed(1)} %`];
      }),
    );
    const cosine = (name: string): string => metrics[name]?.toFixed(3) ?? "unknown";
    const cosines = `cosine of rows ${cosine("rows/within")} within tasks, ${cosine("rows/across")} across`;
    const took = formatDuration(this.#clock.now() - began);
    this.#log.emit("info", "evaluation", `step ${step}: ${[...shown, cosines].join(", ")} (${took})`, { step, ...metrics });
  }

  /** Notes how the training comes along, more seldom as it goes on. */
  async #learn(pool: WorkerPool, last: boolean): Promise<void> {
    const now = this.#clock.now();
    if (!this.#learning || (!last && now - this.#learnedAt < Math.max(LEARNING_SECONDS, LEARNING_SHARE * now))) return;
    this.#learnedAt = now;
    const point = learningPoint(await pool.diagnose(), now);
    if (!point) return;
    this.#learning.add(point);
    this.#metrics?.add(point.step, { "moved/trunk": relative(point.trunk.trunk!), "moved/rows": relative(point.rows) });
  }

  /** Saves. What goes wrong, such as a full disk, ends a training only at its end: before that the last checkpoint stands, and it is tried again soon. */
  async #trySave(pool: WorkerPool, steps: number, seconds: number, isLast: boolean): Promise<boolean> {
    try {
      await this.#save(pool, steps, seconds);
      return true;
    } catch (error) {
      if (isLast) throw error;
      const again = formatDuration(Math.min(this.#request.saveSeconds, SAVE_AGAIN_SECONDS));
      this.#log.emit(
        "error",
        "save",
        `step ${steps} could not be saved: ${messageOf(error)}; the last checkpoint stands, tried again in ${again}`,
      );
      return false;
    }
  }

  async #save(pool: WorkerPool, steps: number, seconds: number): Promise<void> {
    const { out, settings, recipe = "", seed, command, state, files } = this.#request;
    const commands = [...(this.#saved?.commands ?? []), command];
    const { lmLoss, exact } = this.#means;
    const record = {
      recipe,
      dataSets: this.#set.descriptions,
      steps,
      seed,
      command: commands.join(" && "),
      earlier: this.#earlier,
      trainedCanvas: settings.canvas,
      hours: Math.round((seconds / 3600) * 1000) / 1000,
      lmLoss,
      exactAccuracy: Number.isNaN(exact) ? 0 : exact,
      machine: this.#machine,
      ...(this.#evaluation && { evaluation: this.#evaluation }),
    };
    const run: SavedRun = {
      step: steps,
      settings,
      recipe,
      files,
      seed,
      commands,
      model: this.#model,
      ...(this.#encoder && { encoder: this.#encoder }),
      seconds,
      earlier: this.#earlier,
      ...(this.#adaptation && { adaptation: this.#adaptation }),
      puzzles: this.#set.hash,
      ...(this.#evaluation && { evaluation: this.#evaluation }),
      ...(this.#maxSteps !== undefined && { maxSteps: this.#maxSteps }),
    };
    const notes = { training: record, adaptation: this.#adaptation, card: modelCard(this.#request, record) };
    await pool.save(out, notes, state, run as unknown as { [key: string]: Json });
    this.#log.emit("info", "saved", `${out}: step ${steps}`);
  }
}

function percent(share: number): string {
  return Number.isNaN(share) ? "-" : `${(100 * share).toFixed(1)} %`;
}
