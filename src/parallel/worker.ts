/** A worker process: one engine, one replica, its slice of every batch and of the predictions. */
import { Worker } from "node:worker_threads";
import * as tf from "@tensorflow/tfjs-core";
import { undoAugmentation } from "../augment/augmentation.ts";
import { startEngine } from "../backend/select.ts";
import { realClock } from "../budget/clock.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import { loadCarry, loadTrainingState, type TrainingState } from "../checkpoint/training-state.ts";
import { type PuzzlePlan, planPuzzles, variantPair } from "../data/build.ts";
import { type LivingRow, openPretraining } from "../data/pretraining-stream.ts";
import { ExampleStream } from "../data/sampler.ts";
import type { Example } from "../encode/batch.ts";
import { pairToExample } from "../encode/canvas.ts";
import { cropToGrid } from "../encode/crop.ts";
import { canvasPositions, gridPositions } from "../encode/positions.ts";
import { messageOf, UserError } from "../errors.ts";
import { type InitialTrunk, initTrunk } from "../model/init.ts";
import { flattenParameters, parameterLayout } from "../model/parameters.ts";
import { PuzzleEmbedding, type RowStart } from "../model/puzzle-embedding.ts";
import { createRandom, type Random } from "../random.ts";
import { stepRunner } from "../trace/compilation.ts";
import { TrainingLoop } from "../train/loop.ts";
import { ALONE, type Exchange, Replica } from "../train/replica.ts";
import { restoreCarry, restoreReplica } from "../train/resume.ts";
import { joinRing } from "./all-reduce.ts";
import type { Command, Job, Prediction, PredictionItem, Report, Survey } from "./job.ts";
import { saveTraining, stageRows, type Training } from "./saving.ts";
import { surveyOf } from "./survey.ts";

/** Longest time without a progress report; steps that are faster are told of together. */
const REPORT_SECONDS = 0.25;
/** Puzzle rows whose life is over are let go of every so many steps. */
const FORGET_EVERY = 256;

/** Serves the parent until the IPC channel closes. */
export async function serveParent(): Promise<void> {
  const send = (report: Report): void => {
    if (process.connected) process.send!(report);
  };
  process.on("disconnect", () => process.exit(0)); // the parent is gone: nothing here is worth going on for
  endWithParent();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {}); // the parent decides when workers end
  let work: Work | undefined;
  let queue: Promise<void> = Promise.resolve();
  const fail = (error: unknown): void => {
    send({
      kind: "failed",
      message: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
      user: error instanceof UserError,
    });
  };
  process.on("uncaughtException", fail);
  process.on("message", (command: Command) => {
    if (command.kind === "stop") return work?.stop();
    queue = queue
      .then(async () => {
        if (command.kind === "job") work = await Work.begin(command.job, send);
        else if (!work) throw new Error(`${command.kind} before a job`);
        else await work.obey(command, send);
      })
      .catch(fail);
  });
}

/** A step may keep this thread from hearing of the parent's end for minutes; another one looks out for it. */
function endWithParent(): void {
  const watch = `const parent = ${process.ppid}; setInterval(() => process.ppid === parent || process.kill(process.pid, "SIGKILL"), 1000)`;
  new Worker(watch, { eval: true, stdin: false, resourceLimits: { maxOldGenerationSizeMb: 16 } }).unref();
}

/** What a worker has once it knows its job. */
class Work {
  readonly #job: Job;
  readonly #replica: Replica;
  readonly #loop: TrainingLoop;
  readonly #data: WorkData;
  readonly #training: Training;

  private constructor(job: Job, replica: Replica, loop: TrainingLoop, data: WorkData, rowStart: Float32Array) {
    this.#job = job;
    this.#replica = replica;
    this.#loop = loop;
    this.#data = data;
    this.#training = { job, replica, loop, rowStart };
  }

  static async begin(job: Job, send: (report: Report) => void): Promise<Work> {
    const engine = await startEngine(job.engine, { threads: job.threads });
    const running = stepRunner(job.engine, job.compilation, (sentence) => send({ kind: "warning", sentence }));
    const random = createRandom(job.seed);
    const saved = job.trunk.kind === "state" ? loadTrainingState(job.trunk.folder) : undefined;
    if (job.trunk.kind === "state" && !saved) throw new UserError(`${job.trunk.folder}: no training state here to resume`);
    const { initial, start } = trunkOf(job, random, saved);
    const { prefixLength, ropeAxes } = job.model;
    const positions = ropeAxes === 2 ? gridPositions(job.canvas, prefixLength) : canvasPositions(job.canvas, job.fullCanvas, prefixLength);
    const rows = new PuzzleEmbedding(job.model.puzzleEmbeddingSize, start);
    const exchange: Exchange = job.ring ? await joinRing({ ...job.ring, rank: job.rank, worldSize: job.worldSize }) : ALONE;
    const settings = {
      model: job.model,
      positions,
      globalBatch: job.globalBatch,
      microBatch: job.microBatch,
      adam: job.adam,
      puzzleWeightDecay: job.puzzleWeightDecay,
      explorationProbability: job.explorationProbability,
      haltMaxSteps: job.model.haltMaxSteps,
      makeReady: running.makeReady,
    };
    const replica = new Replica(settings, initial, rows, random.fork("halting"), exchange);
    const data = dataOf(job, random);
    const draws = saved && restoreReplica(replica, saved, (job.trunk as { folder: string }).folder);
    if (saved && (saved.record.draws as number[]).length === job.globalBatch) {
      const rows = replica.globalRows();
      await restoreCarry(replica, loadCarry((job.trunk as { folder: string }).folder, rows[0]!, rows.length));
    }
    const plannedSteps = job.plannedSteps ?? (saved?.record.plannedSteps as number | undefined);
    const loop = new TrainingLoop(replica, job.course, (index) => data.exampleAt(index), realClock(), { plannedSteps, draws });
    send({
      kind: "ready",
      engine: `${engine.description}, ${running.description}`,
      parameters: replica.parameterCount,
      epochLength: data.epochLength,
      warnings: data.plan.warnings,
    });
    const rowStart = new Float32Array(rows.size);
    start(0, rowStart);
    return new Work(job, replica, loop, data, rowStart);
  }

  stop(): void {
    this.#loop.stop();
  }

  async obey(command: Exclude<Command, { kind: "job" } | { kind: "stop" }>, send: (report: Report) => void): Promise<void> {
    if (command.kind === "train") {
      let reported = 0;
      const why = await this.#loop.run(command.until, (progress) => {
        if (progress.step % FORGET_EVERY === 0) this.#forgetRows();
        const now = performance.now() / 1000;
        if (now - reported < REPORT_SECONDS) return;
        reported = now;
        send({ kind: "progress", progress, rssBytes: process.memoryUsage.rss(), tensors: tf.memory().numTensors });
      });
      send({ kind: "trained", step: this.#replica.step, why, stepSeconds: this.#loop.stepSeconds });
    } else if (command.kind === "predict") {
      const started = performance.now();
      const predictions = await this.#predict(command.items, command.actSteps);
      send({ kind: "predicted", id: command.id, predictions, seconds: (performance.now() - started) / 1000 });
    } else if (command.kind === "survey") {
      send({ kind: "surveyed", survey: this.#survey(command) });
    } else if (command.kind === "stage") {
      send({ kind: "staged", files: await stageRows(this.#training, command.state) });
    } else {
      this.#forgetRows();
      await saveTraining(this.#training, command);
      send({ kind: "saved", folder: command.folder });
    }
  }

  /** Lets go of puzzle rows whose life is over in every row of the batch. */
  #forgetRows(): void {
    if (!this.#data.isOver) return;
    const place = this.#place;
    this.#replica.rows.forget((id) => this.#data.isOver!(id, place));
  }

  /** A place of the stream that no row of the batch is behind. */
  get #place(): number {
    const last = this.#loop.draws.reduce((least, draws) => Math.min(least, draws)) - 1; // a row still works on its last draw
    return Math.max(0, last) * this.#job.globalBatch;
  }

  #survey({ votes, pairs }: Extract<Command, { kind: "survey" }>): Survey {
    const { data } = this.#job;
    const visits = (data.kind === "pretraining" && data.lives?.visits) || 0;
    const random = createRandom(this.#job.seed).fork("survey").fork(this.#replica.step);
    return surveyOf(this.#data, this.#replica.rows, { place: this.#place, visits, votes, pairs, random });
  }

  async #predict(items: readonly PredictionItem[], actSteps: number): Promise<Prediction[]> {
    const side = this.#job.canvas;
    const out: Prediction[] = [];
    for (let i = 0; i < items.length; i += this.#job.microBatch) {
      const part = items.slice(i, i + this.#job.microBatch);
      const groups = part.map(({ task }) => this.#data.plan.groups[task]!);
      const examples = part.map(({ testIndex, trained, variant, puzzleId }, n): Example => {
        const group = groups[n]!;
        const { input } = variantPair(group, variant, { input: (trained ? group.train : group.task.test)[testIndex]!.input });
        return pairToExample({ input }, side, { row: 0, col: 0 }, puzzleId ?? group.firstPuzzleId + variant);
      });
      const { tokens, qHaltLogits } = await this.#replica.predict(examples, actSteps);
      part.forEach((item, n) => {
        const grid = undoAugmentation(cropToGrid(tokens, side, n * side * side), groups[n]!.variants.at(item.variant));
        out.push({ ...item, rows: grid.rows, cols: grid.cols, cells: grid.cells, qHaltLogit: qHaltLogits[n]! });
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
    return out;
  }
}

function trunkOf(job: Job, random: Random, saved: TrainingState | undefined): { initial: InitialTrunk; start: RowStart } {
  if (job.trunk.kind !== "checkpoint") {
    const rowStart = saved?.state.get("rowStart")?.data;
    return { initial: initTrunk(job.model, random.fork("init")), start: (_, out) => rowStart && out.set(rowStart) };
  }
  const { trunk, puzzleEmbedding } = loadCheckpoint(job.trunk.folder);
  const initial = {
    weights: flattenParameters(trunk, parameterLayout(job.model)),
    hInit: trunk.get("H_init")!.data,
    lInit: trunk.get("L_init")!.data,
  };
  const { mean, std } = puzzleEmbedding;
  const normal = random.fork("rows");
  const starts: Record<Job["start"], RowStart> = {
    zero: () => {},
    mean: (_, out) => out.set(mean),
    normal: (id, out) => {
      const draw = normal.fork(id);
      for (let i = 0; i < out.length; i++) out[i] = mean[i]! + std[i]! * draw.normal();
    },
  };
  return { initial, start: starts[job.start] };
}

/** What a worker trains on and predicts. */
interface WorkData {
  exampleAt(index: number): Example;
  readonly epochLength: number;
  readonly plan: PuzzlePlan;
  /** see `data/pretraining-stream.ts` */
  isOver?(puzzleId: number, index: number): boolean;
  livingRows?(index: number): LivingRow[];
}

function dataOf(job: Job, random: Random): WorkData {
  const { data, canvas: side } = job;
  if (data.kind === "pretraining") return openPretraining(data, { side, random });
  const plan = planPuzzles([{ tasks: data.tasks, trainOnTests: data.trainOnTests }], {
    variants: data.variants,
    random: random.fork("plan"),
  });
  const groups = job.trainOn ? job.trainOn.map((i) => plan.groups[i]!) : plan.groups;
  const stream = new ExampleStream(groups, { side, random: random.fork("stream"), order: "shuffled", translate: data.translate });
  return { exampleAt: (index) => stream.exampleAt(index), epochLength: stream.epochLength, plan };
}
