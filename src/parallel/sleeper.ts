/** A worker that sleeps instead of working: the protocol, the ring, the training loop and the snapshots of a real one, and no model. */
import { setTimeout as wait } from "node:timers/promises";
import { type Clock, fastClock } from "../budget/clock.ts";
import type { MachineTimes } from "../budget/rehearsal.ts";
import type { TrainingState } from "../checkpoint/training-state.ts";
import type { Example } from "../encode/batch.ts";
import { parameterCount, parameterLayout } from "../model/parameters.ts";
import { createRandom, type Random } from "../random.ts";
import { TrainingLoop } from "../train/loop.ts";
import { ALONE, Diverged, type Exchange, type StepMetrics, sliceOf } from "../train/replica.ts";
import { trainedPart } from "../train/trained-part.ts";
import type { Command, Formation, Job, Prediction, PredictionItem, Report } from "./job.ts";
import { holding, type Laborer, RingSeat, takeUpFirst, trainStretch } from "./laborer.ts";
import type { PulseSender } from "./pulse.ts";
import { SnapshotWriter } from "./snapshot-writer.ts";

/** Made-up answers to a test input: this share of the variants gives the first, the rest the next, and so on. */
const AGREEMENT = 0.6;
const ANSWERS = 6;
/** Puzzle rows written at a time. */
const ROWS_AT_A_TIME = 1024;

export class Sleeper implements Laborer {
  readonly #job: Job;
  readonly #times: MachineTimes;
  readonly #send: (report: Report) => void;
  readonly #pulse: PulseSender;
  readonly #clock: Clock;
  readonly #snapshots: SnapshotWriter;
  readonly #random: Random;
  readonly #stand: StandIn;
  readonly #loop: TrainingLoop;
  readonly #seat: RingSeat;
  #hasPredicted = false;

  private constructor(job: Job, times: MachineTimes, clock: Clock, send: (report: Report) => void, pulse: PulseSender) {
    this.#job = job;
    this.#times = times;
    this.#send = send;
    this.#pulse = pulse;
    this.#seat = new RingSeat(pulse);
    this.#clock = clock;
    this.#random = createRandom(job.seed);
    this.#snapshots = new SnapshotWriter(send, clock);
    this.#stand = new StandIn(job, times, clock);
    this.#loop = new TrainingLoop(this.#stand, job.course, () => NO_EXAMPLE, clock, { plannedSteps: job.plannedSteps });
  }

  /** @throws Error where the job is no rehearsal of tasks */
  static async begin(job: Job, send: (report: Report) => void, pulse: PulseSender): Promise<Sleeper> {
    const { rehearsal, data } = job;
    if (!rehearsal || data.kind !== "tasks") throw new Error("a rehearsal needs times to sleep for, and tasks");
    const clock = fastClock(rehearsal.timeScale);
    await sleep(clock, rehearsal.times.startSeconds);
    const pairs = data.tasks.reduce((sum, { train }) => sum + train.length, 0);
    send({
      kind: "ready",
      engine: `a rehearsal of ${rehearsal.times.machine}: workers sleep, answers are made up`,
      parameters: parameterCount(parameterLayout(job.model)),
      epochLength: pairs * (data.variants + 1),
      variants: data.tasks.map(() => data.variants + 1),
      warnings: [],
    });
    return new Sleeper(job, rehearsal.times, clock, send, pulse);
  }

  get step(): number {
    return this.#stand.step;
  }

  stop(): void {
    this.#loop.stop();
  }

  abandon(): void {
    this.#seat.abandon();
  }

  poison(): void {
    this.#stand.poisoned = true;
  }

  async obey(command: Exclude<Command, { kind: "job" | "stop" | "abandon" }>): Promise<void> {
    switch (command.kind) {
      case "form":
        return this.#form(command);
      case "train":
        return this.#train(command);
      case "predict": {
        const began = this.#clock.now();
        const predictions = await this.#predict(command.items, command.actSteps);
        return this.#send({ kind: "predicted", id: command.id, predictions, seconds: this.#clock.now() - began, ...holding(0) });
      }
      case "choose":
        return this.#send({ kind: "chosen" });
      case "snapshot":
        await this.#snapshots.write(command.folder, async () => this.#state());
        return;
      default:
        throw new Error(`${command.kind} is no part of a rehearsal`);
    }
  }

  async #form(formation: Formation): Promise<void> {
    const { rank, worldSize, restore, rateScale } = formation;
    this.#stand.join((await this.#seat.take(formation)) ?? { ...ALONE, rank, worldSize });
    const { restored, damaged } = await takeUpFirst(restore, (state) => this.#takeUp(state));
    if (restored === undefined) this.#stand.step = 0;
    this.#loop.rateScale = rateScale;
    this.#pulse.beat();
    this.#send({ kind: "formed", step: this.#stand.step, restored, damaged });
  }

  #takeUp({ record }: TrainingState): void {
    const { step, draws, plannedSteps, stepSeconds } = record as {
      step: number;
      draws: number[];
      plannedSteps: number;
      stepSeconds: number;
    };
    this.#stand.step = step;
    this.#loop.restore({ draws: Int32Array.from(draws), plannedSteps: this.#job.plannedSteps ?? plannedSteps, stepSeconds });
  }

  async #train({ until, snapshots }: Extract<Command, { kind: "train" }>): Promise<void> {
    const taker =
      snapshots &&
      this.#snapshots.taker(
        snapshots,
        () => this.#stand.exchange.rank,
        async () => this.#state(),
        async () => undefined,
      );
    await trainStretch(this.#loop, until, { pulse: this.#pulse, seat: this.#seat, snapshots: taker, send: this.#send, tensors: () => 0 });
  }

  /** A state as large as a real one: what is trained, its moments and average, and every puzzle row that would have been touched. */
  #state(): TrainingState {
    const { model, data, globalBatch, lora } = this.#job;
    const zeros = new Float32Array(parameterCount(trainedPart(parameterLayout(model), lora).layout));
    const names = ["weights", "ema", "firstMoment", "secondMoment"];
    const { draws, plannedSteps, stepSeconds } = this.#loop;
    const rows = data.kind === "tasks" ? data.tasks.length * (data.variants + 1) : 0;
    const drawn = draws.reduce((sum, each) => sum + each, 0);
    const count = Math.min(rows, Math.max(drawn, globalBatch));
    const size = model.puzzleEmbeddingSize;
    return {
      record: { step: this.#stand.step, draws: [...draws], plannedSteps, stepSeconds },
      state: new Map(names.map((name) => [name, { shape: [zeros.length], data: zeros }])),
      rows: {
        count,
        size,
        *pieces() {
          for (let at = 0; at < count; at += ROWS_AT_A_TIME) yield new Float32Array(Math.min(ROWS_AT_A_TIME, count - at) * size);
        },
      },
      puzzles: Array.from({ length: count }, (_, id) => id),
    };
  }

  /** The test inputs themselves, one cell changed: which, is drawn so that variants mostly agree. */
  async #predict(items: readonly PredictionItem[], actSteps: number): Promise<Prediction[]> {
    const { data, microBatch, watchAgreement } = this.#job;
    if (data.kind !== "tasks") throw new Error("no tasks to predict");
    if (!this.#hasPredicted) await sleep(this.#clock, this.#times.compileSeconds);
    this.#hasPredicted = true;
    const out: Prediction[] = [];
    const began = this.#clock.now();
    for (let i = 0; i < items.length; i += microBatch) {
      const part = items.slice(i, i + microBatch);
      await sleepUntil(this.#clock, began + (i + part.length) * actSteps * this.#times.actStepSeconds);
      for (const item of part) {
        const task = data.tasks[item.task]!;
        const { rows, cols, cells } = (item.trained ? task.train : task.test)[item.testIndex]!.input;
        const { start = 0 } = item;
        const random = this.#random.fork(`${item.task}:${item.testIndex}:${item.variant}${start > 0 ? `:${start}` : ""}`);
        let answer = 0;
        while (answer < ANSWERS - 1 && random.uniform() >= AGREEMENT) answer++;
        const changed = cells.slice();
        changed[answer % changed.length] = (changed[answer % changed.length]! + 1) % 10;
        const qHaltLogit = random.uniform() - 0.5;
        const agreement = watchAgreement ? { steps: random.int(1, actSteps), of: actSteps } : undefined;
        const told = { ...(agreement && { agreement }), ...(item.withLoss && { lmLoss: random.uniform() }) };
        out.push({ ...item, rows, cols, cells: changed, qHaltLogit, ...told });
      }
      this.#pulse.beat();
    }
    return out;
  }
}

/** What the training loop trains. */
class StandIn {
  step = 0;
  exchange: Exchange = ALONE;
  /** the next step is to diverge */
  poisoned = false;
  readonly settings: { readonly globalBatch: number };
  readonly #haltMaxSteps: number;
  readonly #times: MachineTimes;
  readonly #clock: Clock;
  #slice: { first: number; count: number };
  #isCompiled = false;
  /** instant at which the last step was to end */
  #due = 0;

  constructor({ globalBatch, model }: Job, times: MachineTimes, clock: Clock) {
    this.settings = { globalBatch };
    this.#haltMaxSteps = model.haltMaxSteps;
    this.#times = times;
    this.#clock = clock;
    this.#slice = { first: 0, count: globalBatch };
  }

  join(exchange: Exchange): void {
    this.exchange = exchange;
    this.#slice = sliceOf(this.settings.globalBatch, exchange);
  }

  globalRows(): number[] {
    return Array.from({ length: this.#slice.count }, (_, i) => this.#slice.first + i);
  }

  /** One step's sleep, and one step's talk with the others. Every row begins a new sample as often as it must. */
  async trainStep(next: (globalRow: number) => Example, _rates: unknown, control: Float32Array): Promise<StepMetrics> {
    const began = this.#clock.now();
    for (const row of this.globalRows()) if ((this.step + row) % this.#haltMaxSteps === 0) next(row);
    const sums = new Float32Array([this.poisoned ? Number.NaN : 0]);
    this.poisoned = false;
    await this.exchange.allReduceSum(control);
    await this.exchange.allReduceSum(sums);
    if (!Number.isFinite(sums[0]!)) throw new Diverged(`loss is not finite in optimizer step ${this.step + 1}`);
    const { stepSeconds, compileSeconds, workers } = this.#times;
    // Fewer workers have more rows each. Timers are coarse: what a step was late, the next one makes up for.
    const seconds = (stepSeconds * workers) / this.exchange.worldSize;
    this.#due = Math.max(this.#due, began - seconds) + seconds;
    if (!this.#isCompiled) this.#due = began + seconds + compileSeconds;
    this.#isCompiled = true;
    await sleepUntil(this.#clock, this.#due);
    this.step++;
    return { lmLoss: 0, qHaltLoss: 0, finished: 0, accuracy: 0, exact: 0, qHaltAccuracy: 0, actSteps: 0 };
  }
}

const NO_EXAMPLE: Example = { inputs: new Int32Array(0), labels: new Int32Array(0), puzzleId: 0 };

/** @param seconds of the clock */
function sleep(clock: Clock, seconds: number): Promise<void> {
  return wait(1000 * seconds * clock.timeScale);
}

async function sleepUntil(clock: Clock, instant: number): Promise<void> {
  const left = instant - clock.now();
  if (left > 0) await sleep(clock, left);
}
