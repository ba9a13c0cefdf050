/** The main job: adapt to the tasks, predict, vote, write; a valid submission stands from the first second to the last. */
import { dirname, join } from "node:path";
import type { ReadChallenges } from "../arc/challenges-file.ts";
import { describeBadTasks, testInputsOf } from "../arc/challenges-json.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import type { Task } from "../arc/task.ts";
import type { ChosenEngine } from "../backend/choose.ts";
import type { Clock } from "../budget/clock.ts";
import { formatDuration } from "../budget/duration.ts";
import { microBatchFor, stepBytesPerRow } from "../budget/memory.ts";
import { type Plan, planPhases } from "../budget/planner.ts";
import type { CheckpointConfig } from "../checkpoint/config.ts";
import type { Recipe } from "../config/recipe.ts";
import { canvasSideFor } from "../encode/canvas-side.ts";
import { messageOf, UserError } from "../errors.ts";
import type { EventLog } from "../events.ts";
import { ADAM_ATAN2_DEFAULTS } from "../optim/adam-atan2.ts";
import { WorkerPool } from "../parallel/coordinator.ts";
import type { Job, Prediction, PredictionItem } from "../parallel/job.ts";
import { writeCandidates } from "../predict/candidate-file.ts";
import { scoreAnswers, scoreToJson } from "../score/pass-at-k.ts";
import { chooseAttempts } from "../submission/choose.ts";
import { writeSubmission } from "../submission/write.ts";
import type { RankedAnswer } from "../vote/rank.ts";
import { Ballot } from "./ballot.ts";
import { RunProgress } from "./progress.ts";

/** What a run is asked to do; every path and number resolved. */
export interface RunRequest {
  readonly challenges: ReadChallenges;
  readonly challengesPath: string;
  /** ids of the tasks to work on; the others get fallbacks */
  readonly chosen: readonly Task[];
  readonly solutions: Solutions | undefined;
  readonly checkpoint: { readonly folder: string; readonly config: CheckpointConfig };
  /** keep the checkpoint's shape, forget its weights */
  readonly scratch: boolean;
  readonly out: string;
  readonly runDir: string | undefined;
  /** wall clock from the start of the process, writing and shutdown included */
  readonly budgetSeconds: number;
  readonly steps: number | undefined;
  readonly workers: number;
  readonly threads: number | undefined;
  readonly engine: ChosenEngine;
  /** environment of a worker */
  readonly environment: (rank: number) => Record<string, string>;
  readonly joined: boolean;
  readonly canvas: number | "auto";
  readonly memoryBytesPerWorker: number;
  readonly seed: string;
  readonly recipe: Recipe;
}

/** Answers to one test input, for the table at the end. */
export interface InputOutcome {
  readonly taskId: string;
  readonly testIndex: number;
  readonly answers: readonly RankedAnswer[];
}

/** What `run --json` prints, and what the table is made of. */
export interface RunResult {
  readonly submission: string;
  readonly candidates: string;
  readonly tasks: number;
  readonly testInputs: number;
  readonly steps: number;
  readonly seconds: { readonly load: number; readonly adapt: number; readonly predict: number; readonly total: number };
  readonly engine: string;
  readonly workers: number;
  readonly fallbackInputs: number;
  readonly canvas: number;
  readonly votes: number;
  readonly lmLoss: number | undefined;
  readonly demonstrationExact: number | undefined;
  readonly workerRssBytes: readonly number[];
  readonly parentRssBytes: number;
  readonly score?: Record<string, number>;
}

/** Kept at the end for the last write, ending the workers, and leaving. */
const RESERVE_SECONDS = 1.0;
/** The files are renewed at most this often while votes come in. */
const WRITE_SECONDS = 2;
/** An unadapted round before training may take this share of what is left. */
const ZERO_ROUND_SHARE = 0.08;
/** Interim predictions, at these shares of the training, are made where all of them cost less than this share of it. */
const INTERIM_AT = [0.25, 0.5, 0.75];
const INTERIM_SHARE = 0.03;
/** A row's forward and backward pass of a training step, in ACT steps of a prediction. */
const TRAIN_COST = 3;

/** Runs the job. A submission of fallback answers is in place before it is created, so `stop` always leaves a valid one behind. */
export class Run {
  readonly #request: RunRequest;
  readonly #clock: Clock;
  readonly #log: EventLog;
  readonly #ballot = new Ballot();
  readonly #progress: RunProgress;
  readonly #candidatesPath: string;
  #pool: WorkerPool | undefined;
  #lastWrite = Number.NEGATIVE_INFINITY;
  #stopped = false;
  #votes = 0;
  /** the work ended because of an error, not of the clock */
  #failed = false;

  constructor(request: RunRequest, clock: Clock, log: EventLog) {
    this.#request = request;
    this.#clock = clock;
    this.#log = log;
    this.#progress = new RunProgress(log, clock, request.workers);
    this.#candidatesPath = join(request.runDir ?? dirname(request.out), "candidates.json");
  }

  /** Leaves the best submission so far and ends the workers; for signals and for the deadline. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#pool?.kill();
    this.#progress.end();
    this.#write(true);
  }

  /** @returns the result; also where the deadline cut the work short */
  async execute(): Promise<RunResult> {
    const { challenges, chosen } = this.#request;
    for (const line of describeBadTasks(this.#request.challengesPath, challenges.bad))
      this.#log.emit("warn", "bad-task", `${line}; it gets fallback answers`);
    for (const note of challenges.notes) this.#log.emit("warn", "note", note);
    const deadline = this.#end();
    const items = itemsOf(chosen, 0);
    const seconds = { load: 0, adapt: 0, predict: 0 };
    let running: { name: "adapt" | "predict"; began: number } | undefined;
    const took = (): void => {
      if (running) seconds[running.name] += this.#clock.now() - running.began;
      running = undefined;
    };
    const timed = async <T>(name: "adapt" | "predict", act: () => Promise<T>): Promise<T> => {
      running = { name, began: this.#clock.now() };
      const result = await act();
      took();
      return result;
    };
    let steps = 0;
    let engineInWords: string = this.#request.engine.engine;
    // However the work goes, this is when it is over.
    const cut = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, (deadline - this.#now()) * 1000));
      timer.unref();
    });
    const work = async (): Promise<void> => {
      if (items.length === 0) return this.#log.emit("warn", "nothing", "no test input to work on; the fallback answers stand");
      const { pool, engine, variants } = await this.#startWorkers(deadline);
      engineInWords = engine;
      seconds.load = this.#clock.now();
      const perPrediction = await timed("predict", () => this.#zeroRound(pool, items, deadline));
      const plan = this.#plan(perPrediction, items.length, variants, deadline);
      if (plan.trainSeconds > 0) steps = await timed("adapt", () => this.#train(pool, plan, items, deadline, perPrediction));
      await timed("predict", () => this.#predict(pool, chosen, plan, items, variants, deadline));
    };
    const worked = work().catch((error: unknown) => {
      if (this.#stopped) return;
      this.#failed = true;
      if (error instanceof UserError) throw error;
      this.#log.emit("error", "failed", `${messageOf(error)}; the best submission so far stands`);
    });
    try {
      await Promise.race([worked, cut]);
    } finally {
      this.stop();
    }
    took(); // the phase that the deadline cut
    steps = Math.max(steps, this.#progress.step);
    if (items.length > 0 && steps === 0 && !this.#failed && !this.#predictOnly) {
      const left = `the budget of ${formatDuration(this.#request.budgetSeconds)} left no time for`;
      const text =
        this.#votes > 0
          ? `${left} a training step; these are the unadapted model's answers`
          : `${left} a prediction; these are fallback answers`;
      this.#log.emit("warn", "budget", text);
    }
    return this.#result(seconds, steps, engineInWords);
  }

  /** nothing is to be trained, as was asked for */
  get #predictOnly(): boolean {
    return this.#request.recipe.method === "none" || this.#request.steps === 0;
  }

  /** The instant, on this run's clock plus the process's start, by which work must be over. */
  #end(): number {
    return this.#clock.processStart + this.#request.budgetSeconds - Math.min(RESERVE_SECONDS, this.#request.budgetSeconds / 4);
  }

  #now(): number {
    return this.#clock.processStart + this.#clock.now();
  }

  async #startWorkers(deadline: number): Promise<{ pool: WorkerPool; engine: string; variants: number }> {
    const { recipe, checkpoint, chosen, workers, seed, joined, engine } = this.#request;
    const wanted = this.#request.canvas === "auto" ? canvasSideFor(chosen) : this.#request.canvas;
    this.#canvas = wanted;
    const full = checkpoint.config.canvas;
    if (wanted > full)
      this.#log.emit(
        "warn",
        "canvas",
        `canvas ${wanted} is larger than the checkpoint's, ${full}: rotary positions it was never trained on`,
      );
    const haltMaxSteps = recipe.haltMaxSteps || checkpoint.config.model.haltMaxSteps;
    const model = { ...checkpoint.config.model, haltMaxSteps };
    const positions = model.prefixLength + wanted ** 2;
    const perWorker = Math.max(1, Math.ceil(recipe.batchSize / workers));
    const rowBytes = stepBytesPerRow(model, positions, engine.engine === "tensorflow");
    const microBatch = microBatchFor(this.#request.memoryBytesPerWorker, rowBytes, perWorker);
    this.#microBatch = microBatch;
    this.#actSteps = recipe.haltMaxStepsEval || checkpoint.config.model.haltMaxSteps;
    const shared: Omit<Job, "rank" | "worldSize" | "ring"> = {
      engine: engine.engine,
      threads: this.#request.threads,
      seed,
      model,
      canvas: wanted,
      fullCanvas: Math.max(full, wanted),
      trunk: this.#request.scratch ? { kind: "random" } : { kind: "checkpoint", folder: checkpoint.folder },
      start: this.#request.scratch ? "zero" : recipe.start,
      data: { kind: "tasks", tasks: chosen, variants: recipe.trainVariants, translate: recipe.translate, trainOnTests: false },
      globalBatch: joined ? recipe.batchSize : perWorker,
      microBatch,
      adam: { ...ADAM_ATAN2_DEFAULTS, weightDecay: recipe.weightDecay },
      puzzleWeightDecay: recipe.puzzleWeightDecay,
      explorationProbability: recipe.haltExploration,
      course: {
        lrTrunk: recipe.lrTrunk,
        lrPuzzle: recipe.lrPuzzle,
        warmupSteps: recipe.warmupSteps,
        lrMinRatio: recipe.lrMinRatio,
        emaDecay: recipe.emaDecay,
        emaWarmup: recipe.emaWarmup,
        frozenShare: recipe.method === "embeddings" ? 1 : recipe.method === "embeddings-then-full" ? recipe.frozenShare : 0,
      },
      plannedSteps: this.#request.steps,
    };
    const jobs = Array.from({ length: workers }, (_, rank) => ({
      ...shared,
      ...(!joined && { seed: `${seed}:${rank}`, trainOn: chosen.flatMap((_task, i) => (ownerOf(i, workers) === rank ? [i] : [])) }),
    }));
    this.#log.emit(
      "info",
      "start",
      `${chosen.length} tasks, ${itemsOf(chosen, 0).length} test inputs on a ${wanted} x ${wanted} canvas; ${workers} workers on ${engine.engine} (${engine.reason}); batch ${recipe.batchSize}, ${microBatch} rows at a time in each`,
    );
    const { pool, ready: started } = WorkerPool.start(jobs, joined, {
      environment: this.#request.environment,
      watcher: {
        progress: (rank, report) => this.#progress.worker(rank, report),
        line: (rank, text) => this.#log.emit("debug", "worker", `worker ${rank}: ${text}`),
        lost: (rank, message) => {
          if (!this.#stopped) this.#log.emit("error", "lost", `worker ${rank} of ${workers}: ${message}; going on with the others`);
        },
      },
      startBy: deadline - this.#now(),
    });
    this.#pool = pool; // before anything can happen: `stop` ends its processes
    const ready = await started;
    for (const warning of ready[0]!.warnings) this.#log.emit("debug", "variants", warning);
    this.#log.emit(
      "info",
      "ready",
      `${workers} workers ready after ${this.#clock.now().toFixed(1)} s: ${ready[0]!.engine}, ${ready[0]!.parameters} parameters, ${ready[0]!.epochLength} pairs an epoch`,
    );
    return { pool, engine: ready[0]!.engine, variants: Math.min(recipe.voteVariants, recipe.trainVariants + 1) };
  }
  #canvas = 0;
  #microBatch = 1;
  #actSteps = 1;

  /**
   * Predictions of the unadapted model: measures what one costs, and gives first real answers where a whole round is cheap.
   *
   * @returns seconds a prediction takes on one worker
   */
  async #zeroRound(pool: WorkerPool, items: readonly PredictionItem[], deadline: number): Promise<number> {
    this.#ballot.beginStage();
    const workers = pool.alive.length;
    let spent = 0;
    let made = 0;
    const arrived = (predictions: readonly Prediction[], seconds: number): void => {
      spent += seconds;
      made += predictions.length;
      this.#count(predictions);
    };
    const base = { actSteps: this.#actSteps, owner: this.#owner, goOn: () => this.#now() < deadline, arrived };
    // One test input each warms the engine up; its time is not what a prediction takes.
    const probe = items.slice(0, workers);
    await pool.predict(probe, { ...base, chunk: 1 });
    const warm = spent / Math.max(1, made);
    [spent, made] = [0, 0];
    const chunk = Math.min(this.#microBatch, Math.max(1, Math.floor(1 / Math.max(1e-3, warm))), Math.ceil(items.length / workers));
    const second = items.slice(probe.length, probe.length + workers * chunk);
    await pool.predict(second, { ...base, chunk });
    const perPrediction = made > 0 ? spent / made : warm;
    const rest = items.slice(probe.length + second.length);
    const cost = (perPrediction * rest.length) / workers;
    if (rest.length > 0 && cost < ZERO_ROUND_SHARE * (deadline - this.#now())) await pool.predict(rest, { ...base, chunk });
    this.#write();
    this.#log.emit(
      "info",
      "measured",
      `a prediction takes ${(perPrediction * 1000).toFixed(0)} ms at ${this.#actSteps} ACT steps; unadapted answers to ${this.#votes} of ${items.length} test inputs`,
    );
    return perPrediction;
  }

  #plan(perPrediction: number, testInputs: number, variants: number, deadline: number): Plan {
    const { recipe, workers, engine } = this.#request;
    const inputs = { perPrediction, workers, testInputs, variants, actSteps: this.#actSteps, reserve: 0.25 };
    const remaining = deadline - this.#now();
    let plan = planPhases({ ...inputs, remaining, predictOnly: this.#predictOnly });
    // A step that can't end in time would take the time of votes as well. Only where measured times hold from the start, without compiling.
    const step = (TRAIN_COST * perPrediction * Math.ceil(recipe.batchSize / workers)) / this.#actSteps;
    if (engine.engine === "wasm" && plan.trainSeconds > 0 && step > plan.trainSeconds) {
      plan = planPhases({ ...inputs, remaining, predictOnly: true });
      this.#log.emit(
        "warn",
        "no-step",
        `a training step would take about ${formatDuration(step)} of the ${formatDuration(remaining)} left, so none is taken; lower --batch-size (${recipe.batchSize}) or raise --budget`,
      );
    }
    const text = `plan: train ${formatDuration(plan.trainSeconds)}, predict ${formatDuration(plan.predictSeconds)} (${plan.rounds} of ${variants} variants at ${plan.actSteps} ACT steps)`;
    this.#log.emit("info", "plan", text, { ...plan });
    return plan;
  }

  async #train(pool: WorkerPool, plan: Plan, items: readonly PredictionItem[], deadline: number, perPrediction: number): Promise<number> {
    const began = this.#now();
    const final = began + plan.trainSeconds;
    const { steps: maxSteps } = this.#request;
    const roundSeconds = (perPrediction * items.length) / Math.max(1, pool.alive.length);
    const interim = maxSteps === undefined && roundSeconds * INTERIM_AT.length < INTERIM_SHARE * plan.trainSeconds ? INTERIM_AT : [];
    let steps = 0;
    this.#progress.phase("train", final - this.#clock.processStart);
    for (const share of [...interim, 1]) {
      const trained = await pool.train({ deadline: began + share * plan.trainSeconds, finalDeadline: final, maxSteps });
      if (this.#stopped) return steps;
      if (trained.length === 0) {
        this.#failed = true;
        this.#log.emit("error", "training", "training failed in every worker; predicting with what was learned so far");
        return steps;
      }
      steps = trained[0]!.step;
      if (share === 1) break;
      this.#ballot.beginStage();
      await pool.predict(items, {
        actSteps: plan.actSteps,
        chunk: this.#microBatch,
        owner: this.#owner,
        goOn: () => this.#now() < deadline,
        arrived: (predictions) => this.#count(predictions),
      });
      this.#write();
      this.#log.emit("info", "interim", `interim answers after step ${steps}`, this.#scoreNow());
    }
    if (steps > 0)
      this.#log.emit("info", "trained", `${steps} optimizer steps in ${formatDuration(this.#now() - began)}; ${this.#progress.summary()}`);
    return steps;
  }

  async #predict(
    pool: WorkerPool,
    chosen: readonly Task[],
    plan: Plan,
    items: readonly PredictionItem[],
    variants: number,
    deadline: number,
  ): Promise<void> {
    this.#ballot.beginStage();
    this.#progress.phase("predict", deadline - this.#clock.processStart);
    const rounds = Array.from({ length: variants }, (_, variant) => itemsOf(chosen, variant)).flat();
    let perPrediction = 0;
    const chunk = Math.max(1, Math.min(this.#microBatch, Math.ceil(items.length / pool.alive.length)));
    let made = 0;
    await pool.predict(rounds, {
      actSteps: plan.actSteps,
      chunk,
      owner: this.#owner,
      goOn: () => !this.#stopped && this.#now() + perPrediction * chunk < deadline,
      arrived: (predictions, seconds) => {
        perPrediction = seconds / predictions.length;
        made += predictions.length;
        this.#count(predictions);
        this.#progress.predicted(made, rounds.length);
        if (this.#clock.now() - this.#lastWrite > WRITE_SECONDS) this.#write();
      },
    });
    this.#log.emit("info", "predicted", `${made} predictions of ${rounds.length} (${items.length} test inputs x ${variants} variants)`);
  }

  readonly #owner = (item: PredictionItem): number => (this.#request.joined ? -1 : ownerOf(item.task, this.#request.workers));

  #count(predictions: readonly Prediction[]): void {
    for (const { task, testIndex, variant, rows, cols, cells, qHaltLogit } of predictions) {
      this.#votes++;
      this.#ballot.add({ taskId: this.#request.chosen[task]!.id, testIndex, grid: { rows, cols, cells }, qHaltLogit, order: variant });
    }
  }

  /** Puts the best answers so far on disk; a disk that refuses is reported, and the older file stays. */
  #write(last = false): void {
    const { challenges, out } = this.#request;
    this.#lastWrite = this.#clock.now();
    try {
      const ranked = this.#ballot.rankedAll(challenges.entries);
      writeSubmission(out, chooseAttempts(challenges.entries, ranked).submission, challenges.entries);
      writeCandidates(this.#candidatesPath, ranked);
    } catch (error) {
      this.#log.emit(
        "error",
        "write",
        `${out}: ${messageOf(error)}; the file written before it stands${last ? "" : ", trying again later"}`,
      );
    }
  }

  #scoreNow(): Record<string, number> {
    const { solutions, chosen } = this.#request;
    if (!solutions) return {};
    const asked = new Map(chosen.flatMap(({ id }) => (solutions.has(id) ? [[id, solutions.get(id)!] as const] : [])));
    return scoreToJson(scoreAnswers(this.#ballot.rankedAll(this.#request.chosen), asked));
  }

  /** Best answers of every test input worked on. */
  outcomes(): InputOutcome[] {
    return itemsOf(this.#request.chosen, 0).map(({ task, testIndex }) => {
      const taskId = this.#request.chosen[task]!.id;
      return { taskId, testIndex, answers: this.#ballot.ranked(taskId, testIndex) };
    });
  }

  #result(seconds: { load: number; adapt: number; predict: number }, steps: number, engine: string): RunResult {
    const { challenges, out, workers, solutions } = this.#request;
    const { fallbackInputs } = chooseAttempts(challenges.entries, this.#ballot.rankedAll(challenges.entries));
    return {
      submission: out,
      candidates: this.#candidatesPath,
      tasks: challenges.entries.length,
      testInputs: challenges.entries.reduce((sum, entry) => sum + testInputsOf(entry), 0),
      steps,
      seconds: { ...seconds, total: this.#clock.now() },
      engine,
      workers,
      fallbackInputs,
      canvas: this.#canvas,
      votes: this.#votes,
      lmLoss: this.#progress.lmLoss,
      demonstrationExact: this.#progress.exact,
      workerRssBytes: this.#progress.rssBytes,
      parentRssBytes: process.memoryUsage.rss(),
      ...(solutions && { score: this.#scoreNow() }),
    };
  }
}

/** Every test input under one variant. */
function itemsOf(tasks: readonly Task[], variant: number): PredictionItem[] {
  return tasks.flatMap(({ test }, task) => test.map((_, testIndex) => ({ task, testIndex, variant })));
}

/** Which worker has a task where each adapts to its own. */
function ownerOf(task: number, workers: number): number {
  return task % workers;
}
