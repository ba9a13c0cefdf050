/** The main job: adapt to the tasks, predict, vote, write; a valid submission stands from the first second to the last. */
import { describeBadTasks } from "../arc/challenges-json.ts";
import type { Clock } from "../budget/clock.ts";
import { formatDuration } from "../budget/duration.ts";
import { messageOf, UserError } from "../errors.ts";
import type { EventLog } from "../events.ts";
import { WorkerPool } from "../parallel/coordinator.ts";
import { Answers } from "./answers.ts";
import type { RunContext } from "./context.ts";
import { itemsOf } from "./items.ts";
import { planRun } from "./plan-phases.ts";
import { predict } from "./prediction.ts";
import { RunProgress } from "./progress.ts";
import { type InputOutcome, isPredictOnly, type RunRequest, type RunResult } from "./request.ts";
import { type Setup, setUp } from "./setup.ts";
import { train } from "./training.ts";
import { zeroRound } from "./zero-round.ts";

/** Kept at the end for the last write, ending the workers, and leaving. */
const RESERVE_SECONDS = 1.0;

/** Runs the job. A submission of fallback answers is in place before it is created, so `stop` always leaves a valid one behind. */
export class Run {
  readonly #request: RunRequest;
  readonly #clock: Clock;
  readonly #log: EventLog;
  readonly #answers: Answers;
  readonly #progress: RunProgress;
  #pool: WorkerPool | undefined;
  #stopped = false;
  /** the work ended because of an error, not of the clock */
  #failed = false;

  constructor(request: RunRequest, clock: Clock, log: EventLog) {
    this.#request = request;
    this.#clock = clock;
    this.#log = log;
    this.#answers = new Answers(request, log);
    this.#progress = new RunProgress(log, clock, request.workers);
  }

  /** Leaves the best submission so far and ends the workers; for signals and for the deadline. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#pool?.kill();
    this.#progress.end();
    this.#answers.write(true);
  }

  /** @returns the result; also where the deadline cut the work short */
  async execute(): Promise<RunResult> {
    const { challenges, chosen } = this.#request;
    for (const line of describeBadTasks(this.#request.challengesPath, challenges.bad))
      this.#log.emit("warn", "bad-task", `${line}; it gets fallback answers`);
    for (const note of challenges.notes) this.#log.emit("warn", "note", note);
    const setup = setUp(this.#request);
    const context: RunContext = {
      request: this.#request,
      setup,
      clock: this.#clock,
      log: this.#log,
      answers: this.#answers,
      progress: this.#progress,
      items: itemsOf(chosen, 0),
      deadline: this.#end(),
      now: () => this.#now(),
      stopped: () => this.#stopped,
    };
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
      const timer = setTimeout(resolve, Math.max(0, (context.deadline - this.#now()) * 1000));
      timer.unref();
    });
    const work = async (): Promise<void> => {
      if (context.items.length === 0) return this.#log.emit("warn", "nothing", "no test input to work on; the fallback answers stand");
      const { pool, engine } = await this.#startWorkers(setup, context.deadline);
      engineInWords = engine;
      seconds.load = this.#clock.now();
      const perPrediction = await timed("predict", () => zeroRound(context, pool));
      const plan = planRun(context, perPrediction);
      if (plan.trainSeconds > 0) {
        const trained = await timed("adapt", () => train(context, pool, plan, perPrediction));
        steps = trained.steps;
        this.#failed ||= trained.failed;
      }
      await timed("predict", () => predict(context, pool, plan));
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
    if (context.items.length > 0 && steps === 0 && !this.#failed && !isPredictOnly(this.#request)) {
      const left = `the budget of ${formatDuration(this.#request.budgetSeconds)} left no time for`;
      const text =
        this.#answers.votes > 0
          ? `${left} a training step; these are the unadapted model's answers`
          : `${left} a prediction; these are fallback answers`;
      this.#log.emit("warn", "budget", text);
    }
    return this.#result(seconds, steps, engineInWords, setup);
  }

  /** Best answers of every test input worked on. */
  outcomes(): InputOutcome[] {
    return this.#answers.outcomes();
  }

  /** The instant, on this run's clock plus the process's start, by which work must be over. */
  #end(): number {
    return this.#clock.processStart + this.#request.budgetSeconds - Math.min(RESERVE_SECONDS, this.#request.budgetSeconds / 4);
  }

  #now(): number {
    return this.#clock.processStart + this.#clock.now();
  }

  async #startWorkers(setup: Setup, deadline: number): Promise<{ pool: WorkerPool; engine: string }> {
    const { workers, joined } = this.#request;
    for (const warning of setup.warnings) this.#log.emit("warn", "canvas", warning);
    this.#log.emit("info", "start", setup.description);
    const { pool, ready: started } = WorkerPool.start(setup.jobs, joined, {
      environment: this.#request.environment,
      watcher: {
        progress: (rank, report) => this.#progress.worker(rank, report),
        warning: (rank, sentence) => this.#log.emit("warn", "slower", `worker ${rank}: ${sentence}`),
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
    return { pool, engine: ready[0]!.engine };
  }

  #result(seconds: { load: number; adapt: number; predict: number }, steps: number, engine: string, setup: Setup): RunResult {
    const { out, workers, solutions } = this.#request;
    return {
      submission: out,
      candidates: this.#answers.candidatesPath,
      ...this.#answers.coverage(),
      steps,
      seconds: { ...seconds, total: this.#clock.now() },
      engine,
      workers,
      canvas: setup.canvas,
      votes: this.#answers.votes,
      lmLoss: this.#progress.lmLoss,
      demonstrationExact: this.#progress.exact,
      workerRssBytes: this.#progress.rssBytes,
      parentRssBytes: process.memoryUsage.rss(),
      ...(solutions && { score: this.#answers.score() }),
    };
  }
}
