/** Optimizer steps until a deadline or a number of steps, with learning rates that follow the plan. */
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../budget/clock.ts";
import type { Example } from "../encode/batch.ts";
import { learningRate } from "../optim/schedule.ts";
import { LossGuard } from "./loss-guard.ts";
import { Diverged, type Exchange, type StepMetrics, type StepRates } from "./replica.ts";

/** Learning rates and their course; the steps of the whole run are planned while it goes. */
export interface Course {
  readonly lrTrunk: number;
  readonly lrPuzzle: number;
  /** of the encoder; the trunk's unless given */
  readonly lrEncoder?: number | undefined;
  /** linear warm-up, at most a tenth of the planned steps */
  readonly warmupSteps: number;
  /** rates end at this share of their peak, along half a cosine; 1 = constant */
  readonly lrMinRatio: number;
  readonly emaDecay: number;
  /** whether the average starts short and lengthens: min(emaDecay, (1 + step) / (10 + step)) */
  readonly emaWarmup: boolean;
  /** share of the planned steps, from the start, in which only the puzzle rows learn; 1 = throughout */
  readonly frozenShare: number;
}

/** The numbers that every rank learns from the others on the way of the gradients; after these come the draws of each global row. */
const CONTROL = { stop: 0, plannedSteps: 1, snapshot: 2, draws: 3 } as const;

/** What is trained: a replica, or what stands in for one. */
export interface Trainable {
  /** optimizer steps done */
  readonly step: number;
  readonly exchange: Exchange;
  readonly settings: { readonly globalBatch: number };
  globalRows(): readonly number[];
  /** See `Replica`. */
  trainStep(next: (globalRow: number) => Example, rates: StepRates, control: Float32Array): Promise<StepMetrics>;
}

/** When to stop. */
export interface Until {
  /** instant on the machine's monotonic clock by which the last step must have ended */
  readonly deadline: number;
  /** instant at which the training of the whole run ends (later than `deadline` where an interim prediction comes first) */
  readonly finalDeadline: number;
  /** optimizer steps of the whole run, where they are given instead of a time */
  readonly maxSteps?: number | undefined;
  /** return after this step though the run goes on */
  readonly pauseAtStep?: number | undefined;
}

/** Steps as told to whoever watches: the metrics are of the last `steps` of them, as `MetricSums` takes them together. */
export interface Progress extends StepMetrics {
  readonly steps: number;
  readonly step: number;
  readonly plannedSteps: number;
  readonly stepSeconds: number;
  readonly lrTrunk: number;
}

/** How the state of a training is put aside while it goes. With several ranks, rank 0's wish decides for all. */
export interface SnapshotTaker {
  /** whether it is time */
  due(): boolean;
  /** called on every rank after the same step */
  take(): Promise<void>;
}

/** What a loop keeps between its steps, beside the replica's own state. */
export interface LoopState {
  readonly draws: Int32Array;
  readonly plannedSteps?: number | undefined;
  readonly stepSeconds?: number | undefined;
}

/** Weight of the newest step in the running mean of step times. */
const STEP_TIME_WEIGHT = 0.1;
/** A single step that takes this many times the mean has compiled something, or was held up: it says nothing of the next. */
const ODD_STEP = 4;

/** Steps assumed before the first one was timed. */
const UNKNOWN_STEPS = 1000;

/** Rates of a step (0 = first) under a course whose run has `planned` steps; a step behind the plan's end has the last one's. */
export function ratesAt(step: number, planned: number, course: Course): StepRates {
  // Plans shrink while the time runs out: then the cosine must not rise again, nor a trunk thaw that stays frozen throughout.
  const at = Math.min(step, planned - 1);
  const warmupSteps = Math.min(course.warmupSteps, Math.floor(planned / 10));
  const shape = { warmupSteps, totalSteps: planned, minRatio: course.lrMinRatio };
  return {
    lrTrunk: learningRate(at + 1, { base: course.lrTrunk, ...shape }),
    lrPuzzle: learningRate(at + 1, { base: course.lrPuzzle, ...shape }),
    ...(course.lrEncoder !== undefined && { lrEncoder: learningRate(at + 1, { base: course.lrEncoder, ...shape }) }),
    emaDecay: course.emaWarmup ? Math.min(course.emaDecay, (1 + step) / (10 + step)) : course.emaDecay,
    frozen: at < course.frozenShare * planned,
  };
}

/** Trains a replica in stretches; keeps what must outlive one stretch. */
export class TrainingLoop {
  readonly #replica: Trainable;
  readonly #course: Course;
  readonly #clock: Clock;
  readonly #exampleAt: (index: number) => Example;
  /** draws made by each global row, of all ranks, up to the last step that was completed; row r's n-th is place n * B + r of the stream */
  readonly draws: Int32Array;
  #planned: number;
  #stepSeconds = 0;
  /** steps that the mean is made of; many where it comes from a saved state */
  #timed = 0;
  #wasOdd = false;
  #stopRequested = false;
  readonly #guard = new LossGuard();
  /** factor of both learning rates; halved where a training diverged */
  rateScale = 1;

  /** @param exampleAt the endless stream of examples */
  constructor(
    replica: Trainable,
    course: Course,
    exampleAt: (index: number) => Example,
    clock: Clock,
    { plannedSteps, draws }: { plannedSteps?: number | undefined; draws?: Int32Array | undefined } = {},
  ) {
    this.#replica = replica;
    this.#course = course;
    this.#clock = clock;
    this.#exampleAt = exampleAt;
    this.draws = draws ?? new Int32Array(replica.settings.globalBatch);
    this.#planned = plannedSteps ?? UNKNOWN_STEPS;
  }

  /** Optimizer steps done. */
  get step(): number {
    return this.#replica.step;
  }

  /** Steps of the whole run, as planned now. */
  get plannedSteps(): number {
    return this.#planned;
  }

  /** Running mean of the seconds a step takes; 0 before the first. */
  get stepSeconds(): number {
    return this.#stepSeconds;
  }

  /** Stops after the step under way; with several ranks all of them stop after the same step. */
  stop(): void {
    this.#stopRequested = true;
  }

  /** What is trained on changes here: a loss that leaps is none that explodes. */
  changeCourse(): void {
    this.#guard.forget();
  }

  /** Puts a saved state in place of the current one. Draws are of as many rows as the batch has. */
  restore({ draws, plannedSteps, stepSeconds }: LoopState): void {
    this.draws.set(draws);
    if (plannedSteps !== undefined) this.#planned = plannedSteps;
    if (stepSeconds !== undefined) {
      this.#stepSeconds = stepSeconds;
      this.#timed = 2; // a first step that compiles counts as odd
    }
    this.#stopRequested = false;
    this.#guard.restart();
  }

  /**
   * Steps until a deadline, a number of steps, or `stop`. Gives way to the event loop between steps.
   *
   * With several ranks, rank 0's clock and step times decide for all: its decision travels with the gradients.
   * What a step that fails has drawn is drawn again by the next one.
   *
   * @returns why it ended
   * @throws Diverged where the loss is not finite any more, or has exploded
   */
  async run(
    until: Until,
    watch: (progress: Progress) => void,
    snapshots?: SnapshotTaker,
  ): Promise<"deadline" | "steps" | "paused" | "stopped"> {
    const replica = this.#replica;
    const { rank, worldSize } = replica.exchange;
    const B = replica.settings.globalBatch;
    const now = (): number => this.#clock.processStart + this.#clock.now();
    for (;;) {
      if (until.maxSteps !== undefined && replica.step >= until.maxSteps) return "steps";
      if (until.pauseAtStep !== undefined && replica.step >= until.pauseAtStep) return "paused";
      if (worldSize === 1 && this.#stopRequested) return this.#takeStop();
      const started = now();
      const control = new Float32Array(CONTROL.draws + B);
      for (const row of replica.globalRows()) control[CONTROL.draws + row] = this.draws[row]!; // the other rows are other ranks'
      const next = (row: number): Example => {
        control[CONTROL.draws + row] = this.draws[row]! + 1;
        return this.#exampleAt(this.draws[row]! * B + row);
      };
      // The step that is about to run is the last one when another would not end in time.
      if (this.#stopRequested || (rank === 0 && started + 2 * this.#stepSeconds > until.deadline)) control[CONTROL.stop] = 1;
      if (rank === 0) control[CONTROL.plannedSteps] = this.#plan(until, started);
      if (rank === 0 && !this.#guard.isRising && snapshots?.due()) control[CONTROL.snapshot] = 1;
      const rates = this.#scaled(ratesAt(replica.step, this.#planned, this.#course));
      if (worldSize === 1 && started + this.#stepSeconds > until.deadline && replica.step > 0) return "deadline";
      const metrics = await replica.trainStep(next, rates, control);
      this.#planned = control[CONTROL.plannedSteps]!;
      this.draws.set(control.subarray(CONTROL.draws)); // exact up to 16.7 million draws
      const took = now() - started;
      this.#time(took);
      watch({
        ...metrics,
        steps: 1,
        step: replica.step,
        plannedSteps: this.#planned,
        stepSeconds: this.#stepSeconds,
        lrTrunk: rates.lrTrunk,
      });
      const collapse = this.#guard.note(metrics.lmLoss);
      if (collapse !== undefined) throw new Diverged(`${collapse}, by optimizer step ${replica.step}`);
      if (control[CONTROL.snapshot]! > 0) await snapshots?.take();
      await setImmediate();
      if (control[CONTROL.stop]! > 0) return this.#stopRequested ? this.#takeStop() : "deadline";
    }
  }

  /** Takes a step's time into the running mean; the first one, which compiles the steps, stands only until the second. */
  #time(took: number): void {
    const odd = this.#stepSeconds > 0 && took > ODD_STEP * this.#stepSeconds;
    const isFirst = odd && !this.#wasOdd;
    this.#wasOdd = odd;
    if (isFirst) return;
    this.#timed++;
    this.#stepSeconds = this.#timed <= 2 ? took : this.#stepSeconds + STEP_TIME_WEIGHT * (took - this.#stepSeconds);
  }

  #takeStop(): "stopped" {
    this.#stopRequested = false;
    return "stopped";
  }

  #scaled(rates: StepRates): StepRates {
    const { lrTrunk, lrPuzzle, lrEncoder } = rates;
    const scaled = { ...rates, lrTrunk: lrTrunk * this.rateScale, lrPuzzle: lrPuzzle * this.rateScale };
    return lrEncoder === undefined ? scaled : { ...scaled, lrEncoder: lrEncoder * this.rateScale };
  }

  /** Steps of the whole run, as far as rank 0 can tell now. */
  #plan(until: Until, started: number): number {
    if (until.maxSteps !== undefined) return until.maxSteps;
    if (this.#stepSeconds === 0) return this.#planned;
    return Math.max(1, Math.round(this.#replica.step + (until.finalDeadline - started) / this.#stepSeconds));
  }
}
