/** The main job: adapt to the tasks, predict, vote, write; a valid submission stands from the first second to the last. */
import { dirname } from "node:path";
import { describeBadTasks } from "../arc/challenges-json.ts";
import { gpuMemoryInUse } from "../backend/gpus.ts";
import { type Clock, MAX_TIMER_MILLIS } from "../budget/clock.ts";
import { formatDuration } from "../budget/duration.ts";
import { type Plan, reserveOf } from "../budget/planner.ts";
import { messageOf, UserError } from "../errors.ts";
import type { EventLog } from "../events.ts";
import { LearningFile } from "../metrics/learning-file.ts";
import type { WorkerPool } from "../parallel/coordinator.ts";
import { Answers } from "./answers.ts";
import type { RunContext } from "./context.ts";
import { Crew } from "./crew.ts";
import { RunDisk } from "./disk.ts";
import { describeForecast, type Forecast, forecastFor } from "./forecast.ts";
import { itemsOf } from "./items.ts";
import { LearningNotes } from "./learning.ts";
import { CURVE_KS, LearningCurve } from "./learning-curve.ts";
import { haltingFitOf, measureLeftOut } from "./left-out.ts";
import { describePlan, type Phase, phasesOf, planRun } from "./plan-phases.ts";
import { type Predicted, predict } from "./prediction.ts";
import { PredictionCosts } from "./prediction-costs.ts";
import { RunProgress } from "./progress.ts";
import { type InputOutcome, isPredictOnly, isTrained, type RunRequest, type RunResult } from "./request.ts";
import type { RunState } from "./run-folder.ts";
import { type Setup, setUp, tasksByCanvas } from "./setup.ts";
import { train } from "./training.ts";
import { zeroRound } from "./zero-round.ts";

/** Optimizer steps that tell what one takes, where no more than the plan is wanted. */
const TIMED_STEPS = 5;
/** How often the state of the run is looked at. */
const TICK_MILLIS = 1000;

/** Runs the job. A submission of fallback answers is in place before it is created, so `stop` always leaves a valid one behind. */
export class Run {
  #request: RunRequest;
  #setup: Setup;
  readonly #clock: Clock;
  readonly #log: EventLog;
  readonly #state: RunState;
  readonly #disk: RunDisk;
  readonly #answers: Answers;
  readonly #curve: LearningCurve;
  readonly #learning: LearningNotes | undefined;
  readonly #progress: RunProgress;
  #crew: Crew | undefined;
  #ticking: NodeJS.Timeout | undefined;
  #stopped = false;
  /** what came of the last phase, where it came to its end */
  #predicted: Predicted | undefined;
  /** of a run that was only planned */
  #phases: readonly Phase[] | undefined;
  /** second of the run in which it knew its plan */
  #plannedAt: number | undefined;
  /** of an optimizer step, in seconds, once one was timed */
  #stepSeconds: number | undefined;
  /** the work ended because of an error, not of the clock */
  #failed = false;

  constructor(request: RunRequest, clock: Clock, log: EventLog, state: RunState) {
    this.#request = request;
    this.#setup = setUp(request);
    this.#clock = clock;
    this.#log = log;
    this.#state = state;
    this.#disk = new RunDisk(dirname(request.out), state.snapshots, log);
    const disk = { votes: state.votes, makeRoom: () => this.#disk.makeRoom() };
    this.#answers = new Answers(request, log, disk, () =>
      request.recipe.haltingPairs === "taught" ? undefined : haltingFitOf(state.record.notes.leftOut),
    );
    this.#answers.restore(state.earlier ?? []);
    const score = request.solutions && (() => this.#answers.score(CURVE_KS));
    this.#curve = new LearningCurve(state.record, score, () => clock.now());
    if (state.metrics !== undefined && !request.rehearsal) {
      const refused = (error: unknown): void =>
        log.emit("warn", "learning", `${state.metrics}: nothing more is noted of the learning: ${messageOf(error)}`);
      this.#learning = new LearningNotes(new LearningFile(state.metrics, refused));
    }
    this.#progress = new RunProgress(log, clock, request.workers, request.budgetSeconds, () => this.#answers.votes);
  }

  /** Leaves the best submission so far and ends the workers. @param ended false for a signal: the run could be taken up again */
  stop(ended = false): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#ticking);
    this.#crew?.end();
    this.#progress.end();
    this.#answers.write(true, ended);
    this.#disk.close();
  }

  /** @returns the result; also where the deadline cut the work short */
  async execute(): Promise<RunResult> {
    const { challenges } = this.#request;
    const { record } = this.#state;
    for (const line of describeBadTasks(this.#request.challengesPath, challenges.bad))
      this.#log.emit("warn", "bad-task", `${line}; it gets fallback answers`);
    for (const note of challenges.notes) this.#log.emit("warn", "note", note);
    this.#disk.open();
    if (this.#state.earlier) this.#takeUp();
    const deadline = this.#end();
    const items = itemsOf(this.#request.chosen, 0);
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
      const wait = (): void => {
        const millis = Math.max(0, (deadline - this.#now()) * 1000 * this.#clock.timeScale);
        const timer = setTimeout(millis > MAX_TIMER_MILLIS ? wait : resolve, Math.min(millis, MAX_TIMER_MILLIS));
        timer.unref();
      };
      wait();
    });
    const work = async (): Promise<void> => {
      if (items.length === 0) return this.#log.emit("warn", "nothing", "no test input to work on; the fallback answers stand");
      if (record.notes.phase === "done") return;
      const began = this.#clock.now();
      const { crew, engine } = await this.#startWorkers(deadline);
      const { pool } = crew;
      engineInWords = engine;
      this.#tellGpuMemory("workers are ready");
      seconds.load = this.#clock.now() - (this.#state.earlier ? began : 0);
      const context: RunContext = {
        request: this.#request,
        setup: this.#setup,
        clock: this.#clock,
        log: this.#log,
        answers: this.#answers,
        curve: this.#curve,
        learning: this.#learning,
        progress: this.#progress,
        record,
        items,
        deadline,
        now: () => this.#now(),
        stopped: () => this.#stopped,
      };
      const { notes } = record;
      const measuredNow = notes.perPrediction === undefined ? await timed("predict", () => zeroRound(context, pool)) : undefined;
      const perPrediction = notes.perPrediction ?? measuredNow!.perPrediction;
      this.#plannedAt = this.#clock.now();
      const plan = notes.plan ?? planRun(context, perPrediction);
      record.note({ perPrediction, plan });
      if (this.#request.planOnly) return await this.#timeSteps(context, pool, plan);
      if (this.#curve.points.length === 0) this.#curve.note(0);
      const measured = async (): Promise<void> => {
        const score = await measureLeftOut(context, pool, record.notes.steps, (record.notes.plan ?? plan).actSteps);
        if (score) record.note({ leftOut: [...(record.notes.leftOut ?? []), score] });
      };
      if (notes.phase === "start") await timed("predict", measured);
      if (plan.trainSeconds > 0 && notes.phase !== "predict") {
        const trained = await timed("adapt", () => train(context, pool, plan, perPrediction));
        this.#tellGpuMemory("it has trained");
        steps = trained.steps;
        this.#stepSeconds = trained.stepSeconds;
        this.#failed ||= trained.failed;
      }
      if (this.#stopped) return;
      if (steps > 0) await timed("predict", measured);
      const trained = !this.#failed && isTrained(this.#request, record.notes, this.#clock.now());
      const last = record.notes.plan ?? plan;
      const share = last.actSteps / this.#setup.actSteps;
      const costs = new PredictionCosts(new Map([...(measuredNow?.byCanvas ?? [])].map(([canvas, seconds]) => [canvas, share * seconds])));
      const predicted = await timed("predict", () => predict(context, pool, last, costs));
      this.#tellGpuMemory("it has predicted");
      this.#predicted = { ...predicted, complete: predicted.complete && trained };
    };
    const worked = work().catch((error: unknown) => {
      if (this.#stopped) return;
      this.#failed = true;
      if (error instanceof UserError) throw error;
      this.#log.emit("error", "failed", `${messageOf(error)}; the best submission so far stands`);
    });
    let ended = false;
    try {
      await Promise.race([worked, cut]);
      ended = true;
    } finally {
      this.stop(ended);
    }
    record.note({ phase: "done", processes: [], ...(this.#predicted && { complete: this.#predicted.complete }) });
    took(); // the phase that the deadline cut
    steps = Math.max(steps, record.notes.steps, this.#progress.step);
    if (!this.#request.planOnly) this.#curve.note(steps);
    if (
      items.length > 0 &&
      steps === 0 &&
      !this.#failed &&
      !isPredictOnly(this.#request) &&
      !this.#request.planOnly &&
      !this.#state.earlier
    ) {
      const left = `the budget of ${formatDuration(this.#request.budgetSeconds)} left no time for`;
      const text =
        this.#answers.votes > 0
          ? `${left} a training step; these are the unadapted model's answers`
          : `${left} a prediction; these are fallback answers`;
      this.#log.emit("warn", "budget", text);
    }
    const forecast = this.#forecast();
    if (forecast) this.#log.emit("info", "forecast", describeForecast(forecast, this.#request.chosen.length), { ...forecast });
    return { ...this.#result(seconds, steps, engineInWords), ...(forecast && { forecast }) };
  }

  /** Best answers of every test input worked on. */
  outcomes(): InputOutcome[] {
    return this.#answers.outcomes();
  }

  /** The instant, on this run's clock plus the process's start, by which work must be over. */
  #end(): number {
    const { budgetSeconds } = this.#request;
    return this.#clock.processStart + budgetSeconds - reserveOf(budgetSeconds);
  }

  #now(): number {
    return this.#clock.processStart + this.#clock.now();
  }

  /** The plan once more, with the time of a step: a few of them are made for that. */
  async #timeSteps(context: RunContext, pool: WorkerPool, plan: Plan): Promise<void> {
    const { log, setup, request, clock, deadline } = context;
    const elapsed = clock.now();
    const trains = plan.trainSeconds > 0;
    const [trained] = trains ? await pool.train({ deadline, finalDeadline: deadline, maxSteps: TIMED_STEPS }) : [];
    this.#stepSeconds = trained?.stepSeconds;
    const surroundings = { request, setup, elapsed, stepSeconds: trained?.stepSeconds };
    this.#phases = phasesOf(plan, surroundings);
    if (!trains) return;
    for (const line of describePlan(plan, surroundings)) log.emit("info", "plan", line, { ...plan });
  }

  /** How the hidden tasks would fare, told by a dry run and by a plan. */
  #forecast(): Forecast | undefined {
    const { solutions, planOnly } = this.#request;
    const { notes } = this.#state.record;
    const { plan, perPrediction, trainBegan = this.#plannedAt } = notes;
    if (!(solutions || planOnly) || !plan || perPrediction === undefined || trainBegan === undefined) return undefined;
    const { workers } = this.#request;
    const { writeSeconds } = this.#answers;
    return forecastFor(this.#request, this.#setup, {
      plan,
      trainBegan,
      perPrediction,
      stepSeconds: this.#stepSeconds,
      workers,
      writeSeconds,
    });
  }

  /** Goes on with what an earlier process of the run has done. */
  #takeUp(): void {
    const { notes } = this.#state.record;
    const left = this.#request.budgetSeconds - this.#clock.now();
    const text = `the run is taken up again in phase ${notes.phase}, with ${this.#answers.votes} votes; ${formatDuration(this.#clock.now())} have passed, ${formatDuration(Math.max(0, left))} are left`;
    this.#log.emit("info", "resumed", text, { phase: notes.phase, votes: this.#answers.votes });
    if (this.#answers.votes > 0) this.#answers.write();
  }

  /** Engines keep what they have taken: at the end of a phase it is the most that the phase took. */
  #tellGpuMemory(when: string): void {
    if (this.#request.gpus === 0 || this.#request.rehearsal) return;
    const tell = (inUse: string | undefined): void => {
      if (inUse !== undefined && !this.#stopped) this.#log.emit("info", "gpu-memory", `GPU memory in use when ${when}: ${inUse}`);
    };
    void gpuMemoryInUse().then(tell, () => {}); // the driver can be slow to answer: nobody waits for it
  }

  async #startWorkers(deadline: number): Promise<{ crew: Crew; engine: string }> {
    const start = async (): Promise<{ crew: Crew; engine: string }> => {
      const crew = new Crew(this.#request, this.#setup, {
        clock: this.#clock,
        log: this.#log,
        progress: this.#progress,
        state: this.#state,
        startBy: (deadline - this.#now()) * this.#clock.timeScale,
        stopped: () => this.#stopped,
      });
      this.#crew = crew; // before anything can happen: `stop` ends its processes
      const tick = (): void => this.#state.record.tick(crew.processes);
      clearInterval(this.#ticking);
      this.#ticking = setInterval(tick, TICK_MILLIS);
      this.#ticking.unref();
      tick();
      return { crew, engine: await crew.ready };
    };
    try {
      return await start();
    } catch (error) {
      const onWasm = this.#stopped ? undefined : this.#request.onWasm?.();
      if (!onWasm) throw error;
      this.#crew?.end();
      this.#log.emit("warn", "engine", `${messageOf(error)}; GOING ON WITH THE WASM ENGINE, which is some ten times slower`);
      this.#request = onWasm;
      this.#setup = setUp(onWasm);
      return await start();
    }
  }

  #result(seconds: { load: number; adapt: number; predict: number }, steps: number, engineDescription: string): RunResult {
    const { out, workers, solutions, rehearsal } = this.#request;
    return {
      submission: out,
      candidates: this.#answers.candidatesPath,
      ...this.#answers.coverage(),
      steps,
      seconds: { ...seconds, total: this.#clock.now() },
      engine: this.#request.engine.engine,
      engineDescription,
      workers,
      lost: this.#crew?.lost ?? 0,
      canvas: this.#setup.canvas,
      ...(this.#setup.canvases && { canvases: tasksByCanvas(this.#setup.canvases) }),
      votes: this.#answers.votes,
      ...(this.#predicted ?? { ...this.#answers.decided(), complete: this.#state.record.notes.complete ?? false }),
      written: this.#answers.isWritten,
      lmLoss: this.#progress.lmLoss,
      demonstrationExact: this.#progress.exact,
      workerRssBytes: this.#progress.rssBytes,
      parentRssBytes: process.memoryUsage.rss(),
      ...(solutions && { score: this.#answers.score(), voteWeights: this.#answers.scoreByWeighting(), curve: this.#curve.points }),
      plan: this.#state.record.notes.plan,
      ...(this.#phases && { phases: this.#phases }),
      leftOut: this.#state.record.notes.leftOut,
      chosenStarts: this.#state.record.notes.chosenStarts,
      ...(rehearsal && { rehearsal: true }),
    };
  }
}
