/** A worker's work: one replica that trains its slice of every batch, and predicts. */
import * as tf from "@tensorflow/tfjs-core";
import { gridKey } from "../arc/grid.ts";
import { undoAugmentation } from "../augment/augmentation.ts";
import { startEngine } from "../backend/select.ts";
import { realClock } from "../budget/clock.ts";
import { loadCarry, loadTrainingState, type TrainingState } from "../checkpoint/training-state.ts";
import { codeRate } from "../data/augmentation-codes.ts";
import { demonstrateVariant, variantPair } from "../data/build.ts";
import { competitorId } from "../data/competitors.ts";
import { PuzzleIds } from "../data/puzzle-ids.ts";
import type { Example } from "../encode/batch.ts";
import { pairToExample } from "../encode/canvas.ts";
import { cropToGrid } from "../encode/crop.ts";
import { ENCODED } from "../encode/demonstrations.ts";
import { canvasPositions, gridPositions } from "../encode/positions.ts";
import { UserError } from "../errors.ts";
import type { InitialTrunk } from "../model/init.ts";
import { parameterCount, parameterLayout } from "../model/parameters.ts";
import { PuzzleEmbedding, type RowStart } from "../model/puzzle-embedding.ts";
import { createRandom, type Random } from "../random.ts";
import { stepRunner } from "../trace/compilation.ts";
import { TrainingLoop } from "../train/loop.ts";
import { ALONE, type Exchange, Replica, type ReplicaSettings } from "../train/replica.ts";
import { restoreCarry, restoreReplica, trainingStateOf } from "../train/resume.ts";
import { TaskMeans } from "../train/task-means.ts";
import { type Diagnosis, diagnose } from "./diagnosis.ts";
import type { Command, Formation, Job, Prediction, Report, Survey } from "./job.ts";
import { holding, type Laborer, RingSeat, takeUpFirst, trainStretch } from "./laborer.ts";
import type { PulseSender } from "./pulse.ts";
import { saveTraining, stageRows, type Training } from "./saving.ts";
import { carryOfAll, SnapshotWriter } from "./snapshot-writer.ts";
import { surveyOf } from "./survey.ts";
import {
  birthOf,
  dataOf,
  encoderOf,
  rowCanvasesOf,
  rowStartOf,
  rowStoreOf,
  shownTasksOf,
  taughtRowsOf,
  trunkOf,
  type WorkData,
} from "./work-data.ts";

/** Puzzle rows whose life is over are let go of every so many steps. */
const FORGET_EVERY = 256;

/** The parts of a job that do not depend on the other ranks. */
interface Start {
  readonly settings: ReplicaSettings;
  readonly initial: InitialTrunk;
  readonly rowStart: RowStart;
  readonly untrained: RowStart | undefined;
  readonly random: Random;
  readonly data: WorkData;
  /** see `Beginning` */
  readonly startCodes: Float32Array | undefined;
}

/** The training state that a job goes on with, if it does. @throws UserError where there is none */
function stateOf({ trunk }: Job): TrainingState | undefined {
  if (trunk.kind !== "state") return undefined;
  const state = loadTrainingState(trunk.folder);
  if (!state) throw new UserError(`${trunk.folder}: no training state here to resume`);
  return state;
}

/** What a worker has once it knows its job. */
export class Work implements Laborer {
  readonly #job: Job;
  readonly #start: Start;
  /** the training state that the job goes on with, until the first replica has it */
  #unused: TrainingState | undefined;
  readonly #send: (report: Report) => void;
  readonly #pulse: PulseSender;
  readonly #snapshots: SnapshotWriter;
  readonly #seat: RingSeat;
  #replica!: Replica;
  #loop!: TrainingLoop;
  readonly #tasks = new TaskMeans();
  /** the trunk that distances are measured from, and its step */
  #reference!: { readonly trunk: Float32Array; readonly step: number };
  /** the next example's puzzle row is to be spoilt, see `poison` */
  #poisoned = false;

  private constructor(job: Job, start: Start, saved: TrainingState | undefined, send: (report: Report) => void, pulse: PulseSender) {
    this.#job = job;
    this.#start = start;
    this.#unused = saved;
    this.#send = send;
    this.#pulse = pulse;
    this.#seat = new RingSeat(pulse);
    this.#snapshots = new SnapshotWriter(send, realClock());
  }

  /** Starts the engine and reads what the job names. The place among the others comes with `form`. */
  static async begin(job: Job, send: (report: Report) => void, pulse: PulseSender): Promise<Work> {
    const engine = await startEngine(job.engine, { threads: job.threads });
    const warn = (sentence: string): void => send({ kind: "warning", sentence });
    const running = stepRunner(job.engine, job.compilation, warn, (run) => send({ kind: "first-run", ...run }), job.mayRestart);
    const onCpu = job.expectsGpu === true && !engine.usesGpu;
    if (onCpu) warn("the driver shows a GPU, but the engine does not use it and computes on the CPU; `trm doctor` may say why");
    if (job.expectsGpu === false && job.engine === "tensorflow" && engine.usesGpu)
      warn("the engine computes on a GPU though the driver showed none: workers may be sharing it");
    const random = createRandom(job.seed);
    const saved = stateOf(job);
    const { prefixLength, ropeAxes } = job.model;
    const positionsOn = (side: number): Int32Array =>
      ropeAxes === 2 ? gridPositions(side, prefixLength) : canvasPositions(side, job.fullCanvas, prefixLength);
    const positions = positionsOn(job.canvas);
    const canvases = rowCanvasesOf(job);
    const { makeReady } = running;
    const beginning = trunkOf(job, random, saved, { positions, makeReady, warn }, () => shownTasksOf(job, data));
    const settings = {
      model: job.model,
      positions,
      taught: taughtRowsOf(job),
      ...(canvases && { canvases: { positions: canvases.sides.map(positionsOn), ofRow: canvases.ofRow } }),
      globalBatch: job.globalBatch,
      microBatch: Math.min(job.microBatch, (onCpu && job.withoutGpu?.microBatch) || job.microBatch),
      recompute: (onCpu && job.withoutGpu?.recompute) || job.recompute,
      lora: job.lora,
      adam: job.adam,
      puzzleWeightDecay: job.puzzleWeightDecay,
      ...(job.data.factored && { rowRate: codeRate }),
      explorationProbability: job.explorationProbability,
      haltMaxSteps: job.model.haltMaxSteps,
      encoder: job.encoder && encoderOf(job, random, rowAtStart(job, beginning.start)),
      makeReady,
      warn,
    };
    const data: WorkData = dataOf(job, random, beginning);
    const rowStart = rowStartOf(job, beginning, data);
    send({
      kind: "ready",
      engine: `${engine.description}, ${running.description}`,
      parameters: parameterCount(parameterLayout(job.model)),
      epochLength: data.epochLength,
      variants: data.plan.groups.map(({ variants }) => variants.length),
      warnings: data.plan.warnings,
    });
    const untrained = job.untrained && beginning.startOf(job.untrained);
    return new Work(
      job,
      { settings, initial: beginning.initial, rowStart, startCodes: beginning.codes, untrained, random, data },
      saved,
      send,
      pulse,
    );
  }

  get step(): number | undefined {
    return this.#replica?.step;
  }

  stop(): void {
    this.#loop?.stop();
  }

  abandon(): void {
    this.#seat.abandon();
  }

  poison(): void {
    this.#poisoned = true;
  }

  async obey(command: Exclude<Command, { kind: "job" | "stop" | "abandon" }>): Promise<void> {
    switch (command.kind) {
      case "form":
        return this.#form(command);
      case "train":
        return this.#train(command);
      case "predict": {
        const started = performance.now();
        const predictions = await this.#predict(command);
        const seconds = (performance.now() - started) / 1000;
        return this.#send({ kind: "predicted", id: command.id, predictions, seconds, ...holding(tensors()) });
      }
      case "snapshot":
        await this.#snapshots.write(command.folder, () => this.#state());
        return;
      case "choose":
        this.#choose(command.chosenStarts);
        return this.#send({ kind: "chosen" });
      case "survey":
        return this.#send({ kind: "surveyed", survey: this.#survey(command) });
      case "diagnose":
        return this.#send({ kind: "diagnosed", diagnosis: this.#diagnose() });
      case "stage":
        return this.#send({ kind: "staged", files: await stageRows(this.#training, command.state) });
      case "save":
        this.#forgetRows();
        await saveTraining(this.#training, command);
        return this.#send({ kind: "saved", folder: command.folder, step: this.#replica.step });
    }
  }

  /** Takes a place among the others and restores what is to be restored. */
  async #form(formation: Formation): Promise<void> {
    const { rank, worldSize, restore, rateScale, chosenStarts } = formation;
    const exchange = (await this.#seat.take(formation)) ?? (worldSize === 1 ? ALONE : notJoined(rank, worldSize));
    const isNew = this.#replica === undefined;
    if (isNew) await this.#build(exchange);
    else this.#replica.join(exchange);
    const { restored, damaged } = await takeUpFirst(restore, (state, folder) => this.#takeUp(state, folder));
    if (restored === undefined && (!isNew || damaged.length > 0)) {
      this.#replica.dispose();
      await this.#build(exchange);
    }
    if (chosenStarts) this.#choose(chosenStarts);
    this.#loop.rateScale = rateScale;
    this.#pulse.beat();
    this.#send({ kind: "formed", step: this.#replica.step, restored, damaged });
  }

  /** Ends the competition of rows, unless it has ended. Rows of the batch begin new samples: those under way are of rows that are gone. */
  #choose(chosenStarts: readonly number[]): void {
    const { competition } = this.#start.data;
    if (!competition || competition.chosen) return;
    competition.choose(chosenStarts, this.#replica.rows);
    this.#loop.changeCourse(); // from rows that have competed to all the others, which are new
    this.#replica.join(this.#replica.exchange);
  }

  /** A replica at the job's beginning. */
  async #build(exchange: Exchange): Promise<void> {
    const { settings, initial, rowStart, random, data } = this.#start;
    if (data.competition) data.competition.chosen = undefined;
    const start = birthOf(this.#job, data, rowStart, random.fork("births"), () => this.#replica?.encoder);
    const rows = new PuzzleEmbedding(
      this.#job.model.puzzleEmbeddingSize,
      start,
      rowStoreOf(this.#job),
      data.partsOf,
      this.#start.untrained,
    );
    const finished = this.#job.watchTasks ? this.#countTasks() : undefined;
    this.#replica = new Replica({ ...settings, finished }, initial, rows, random.fork("halting"), exchange);
    const exampleAt = (index: number): Example => {
      const example = data.exampleAt(index);
      if (this.#poisoned) rows.row(rows.partsOf(example.puzzleId)[0]!).fill(Number.NaN);
      this.#poisoned = false;
      return example;
    };
    this.#loop = new TrainingLoop(this.#replica, this.#job.course, exampleAt, realClock(), { plannedSteps: this.#job.plannedSteps });
    // Later on it is read anew: it may have been saved since, and its rows are read as they are wanted.
    const saved = this.#unused ?? stateOf(this.#job);
    this.#unused = undefined;
    if (saved) await this.#takeUp(saved, (this.#job.trunk as { folder: string }).folder);
    this.#reference ??= { trunk: saved ? this.#replica.averagedTrunk() : initial.weights, step: this.#replica.step };
  }

  async #takeUp(state: TrainingState, folder: string): Promise<void> {
    const draws = restoreReplica(this.#replica, state, folder);
    const saved = state.record as { draws: number[]; plannedSteps?: number; stepSeconds?: number; chosenStarts?: number[] };
    const { competition } = this.#start.data;
    if (competition) competition.chosen = saved.chosenStarts;
    const plannedSteps = this.#job.plannedSteps ?? saved.plannedSteps;
    this.#loop.restore({ draws, plannedSteps, stepSeconds: saved.stepSeconds });
    if (saved.draws.length !== this.#job.globalBatch) return; // another batch: its rows begin new samples
    const { first, count } = this.#replica.slice;
    await restoreCarry(this.#replica, loadCarry(folder, first, count));
  }

  async #train({ until, snapshots }: Extract<Command, { kind: "train" }>): Promise<void> {
    const replica = this.#replica;
    const taker =
      snapshots &&
      this.#snapshots.taker(
        snapshots,
        () => replica.exchange.rank,
        () => this.#state(),
        () => carryOfAll(replica),
      );
    await trainStretch(this.#loop, until, {
      pulse: this.#pulse,
      seat: this.#seat,
      snapshots: taker,
      send: this.#send,
      tensors,
      each: ({ step }) => {
        if (step % FORGET_EVERY === 0) this.#forgetRows();
      },
    });
  }

  get #training(): Training {
    const { rowStart, startCodes, data } = this.#start;
    return {
      job: this.#job,
      replica: this.#replica,
      loop: this.#loop,
      rowStart: rowAtStart(this.#job, rowStart),
      startCodes,
      exampleAt: (index) => data.exampleAt(index),
    };
  }

  #state(): Promise<TrainingState> {
    const { replica, loop, rowStart, startCodes } = this.#training;
    const { draws, plannedSteps, stepSeconds } = loop;
    const chosenStarts = this.#start.data.competition?.chosen;
    return trainingStateOf(replica, {
      draws,
      plannedSteps,
      rowStart,
      startCodes,
      record: { stepSeconds, ...(chosenStarts && { chosenStarts }) },
    });
  }

  /** Lets go of puzzle rows whose life is over in every row of the batch. */
  #forgetRows(): void {
    const { data } = this.#start;
    if (!data.isOver) return;
    const place = this.#place;
    this.#replica.rows.forget((id) => data.isOver!(id, place));
  }

  /** A place of the stream that no row of the batch is behind. */
  get #place(): number {
    const last = this.#loop.draws.reduce((least, draws) => Math.min(least, draws)) - 1; // a row still works on its last draw
    return Math.max(0, last) * this.#job.globalBatch;
  }

  #taskOf(): (puzzleId: number) => string | undefined {
    const { data } = this.#start;
    if (data.taskOf) return (puzzleId) => data.taskOf!(puzzleId);
    const ids = new PuzzleIds(data.plan);
    return (puzzleId) => ids.variant(puzzleId)?.group.task.id;
  }

  #countTasks(): (puzzleId: number, lmLoss: number, exact: boolean) => void {
    const taskOf = this.#taskOf();
    return (puzzleId, lmLoss, exact) => {
      if (puzzleId === ENCODED) return; // a row of no task's own
      const task = taskOf(this.#replica.rows.partsOf(puzzleId)[0]!);
      if (task !== undefined) this.#tasks.add(task, lmLoss, exact);
    };
  }

  #diagnose(): Diagnosis {
    const { step, layout, rows } = this.#replica;
    const { trunk: startTrunk, step: since } = this.#reference;
    const { rowStart } = this.#start;
    const trunk = this.#replica.averagedTrunk();
    return diagnose({ step, since, layout, startTrunk, trunk, rows, rowStart, tasks: this.#tasks.take(), taskOf: this.#taskOf() });
  }

  #survey({ votes, pairs }: Extract<Command, { kind: "survey" }>): Survey {
    const { data } = this.#job;
    const visits = (data.kind === "pretraining" && data.lives?.visits) || 0;
    const random = createRandom(this.#job.seed).fork("survey").fork(this.#replica.step);
    return surveyOf(this.#start.data, this.#replica.rows, {
      place: this.#place,
      visits,
      votes,
      pairs,
      encodes: this.#replica.encoder !== undefined,
      random,
    });
  }

  async #predict({ items, actSteps, canvas: place }: Extract<Command, { kind: "predict" }>): Promise<Prediction[]> {
    const { groups: all, puzzleCount } = this.#start.data.plan;
    const { canvas, canvases, microBatch } = this.#job;
    const side = place === undefined ? canvas : canvases!.sides[place]!;
    const out: Prediction[] = [];
    for (let i = 0; i < items.length; i += microBatch) {
      const part = items.slice(i, i + microBatch);
      const groups = part.map(({ task }) => all[task]!);
      const withLoss = part.every((item) => item.withLoss);
      const examples = part.map(({ testIndex, trained, variant, encoded, puzzleId, start = 0 }, n): Example => {
        const group = groups[n]!;
        const asked = trained ? group.train[testIndex] : undefined;
        const { input, output } = (trained ? group.train : group.task.test)[testIndex]!;
        const pair = variantPair(group, variant, { input, ...(withLoss && output && { output }) });
        const at = { row: 0, col: 0 };
        const drawn = (): Random =>
          createRandom(this.#job.seed)
            .fork("demonstrations")
            .fork(group.firstPuzzleId + variant);
        if (encoded)
          return { ...pairToExample(pair, side, at, ENCODED), demonstrate: demonstrateVariant(group, variant, asked, canvas, drawn) };
        return pairToExample(pair, side, at, puzzleId ?? competitorId(group.firstPuzzleId + variant, start, puzzleCount));
      });
      const answerKey = (tokens: Int32Array, at: number): string => gridKey(cropToGrid(tokens, side, at));
      const depth = { actSteps, stopAtHalt: this.#job.stopAtHalt ?? false, ...(this.#job.watchAgreement && { answerKey }) };
      const { tokens, qHaltLogits, losses, agreement } = await this.#replica.predict(examples, depth, withLoss);
      part.forEach((item, n) => {
        const grid = undoAugmentation(cropToGrid(tokens, side, n * side * side), groups[n]!.variants.at(item.variant));
        const { rows, cols, cells } = grid;
        const told = { ...(losses && { lmLoss: losses[n]! }), ...(agreement && { agreement: agreement[n]! }) };
        out.push({ ...item, rows, cols, cells, qHaltLogit: qHaltLogits[n]!, ...told });
      });
      this.#pulse.beat();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return out;
  }
}

/** Tensors that the engine holds. */
function tensors(): number {
  return tf.memory().numTensors;
}

/** float32[E]: what a new puzzle row begins with. */
function rowAtStart({ model }: Job, start: RowStart): Float32Array {
  const row = new Float32Array(model.puzzleEmbeddingSize);
  start(0, row);
  return row;
}

/** The exchange of a rank that need not meet the others, because nothing is trained. */
function notJoined(rank: number, worldSize: number): Exchange {
  const refuse = async (): Promise<never> => {
    throw new Error("this worker has joined no ring");
  };
  return { rank, worldSize, allReduceSum: refuse, allGather: refuse };
}
