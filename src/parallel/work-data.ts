/** What a job's words stand for: the trunk and the puzzle rows that a worker begins with, and its stream of examples. */
import type { Pair, Task } from "../arc/task.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import { RowFile } from "../checkpoint/row-file.ts";
import type { TrainingState } from "../checkpoint/training-state.ts";
import { FIRST_CODE_ID, factoredParts, isCode } from "../data/augmentation-codes.ts";
import { type PuzzlePlan, planPuzzles, splitPairs } from "../data/build.ts";
import { COMPETING_VARIANTS, heldBackPair } from "../data/competitors.ts";
import { type LivingRow, openPretraining } from "../data/pretraining-stream.ts";
import { type OpenStream, openStream, type RowCanvases, withTaughtRows } from "../data/stream.ts";
import type { Example } from "../encode/batch.ts";
import { rowsByCanvas, spreadRows } from "../encode/canvas-groups.ts";
import { type Demonstrate, fillDemonstrations } from "../encode/demonstrations.ts";
import { UserError } from "../errors.ts";
import { initEncoder } from "../model/encoder.ts";
import { encoderLayout, noEncoder } from "../model/encoder-config.ts";
import { type InitialTrunk, initTrunk } from "../model/init.ts";
import { flattenParameters, parameterLayout } from "../model/parameters.ts";
import type { PartsOf, RowStart } from "../model/puzzle-embedding.ts";
import { RowCache, RowPieces, type RowStore, rowCapacity } from "../model/row-store.ts";
import type { Random } from "../random.ts";
import { RowEncoder, type RowEncoderSettings } from "../train/row-encoder.ts";
import type { EncoderTraining, TrainedEncoder } from "../train/trained-encoder.ts";
import { Competition } from "./competition.ts";
import { encoderStart, type ShownTasks } from "./encoder-start.ts";
import type { Job } from "./job.ts";

/** Where training begins. */
export interface Beginning {
  readonly initial: InitialTrunk;
  /** of new puzzle rows, as the job says */
  readonly start: RowStart;
  /** float32[CODE_COUNT * E] of the checkpoint, where its embeddings are factored */
  readonly codes?: Float32Array | undefined;
  /** the same for any way in which they can begin */
  startOf(start: Job["start"]): RowStart;
}

/**
 * @param saved      the training state that the job goes on with, if any
 * @param running    how an encoder is run, if there is one
 * @param shownTasks what an encoder may see; asked when the first row is wanted
 */
export function trunkOf(
  job: Job,
  random: Random,
  saved: TrainingState | undefined,
  running: Pick<RowEncoderSettings, "positions" | "makeReady" | "warn">,
  shownTasks: () => ShownTasks,
): Beginning {
  if (job.trunk.kind !== "checkpoint") {
    const rowStart = saved?.state.get("rowStart")?.data;
    const start: RowStart = (_, out) => rowStart && out.set(rowStart);
    return { initial: initTrunk(job.model, random.fork("init")), start, startOf: () => start, codes: saved?.state.get("startCodes")?.data };
  }
  const { config, trunk, puzzleEmbedding, encoder: encoderWeights } = loadCheckpoint(job.trunk.folder);
  const initial = {
    weights: flattenParameters(trunk, parameterLayout(job.model)),
    hInit: trunk.get("H_init")!.data,
    lInit: trunk.get("L_init")!.data,
  };
  const { mean, std } = puzzleEmbedding;
  const normal = random.fork("rows");
  const meanStart: RowStart = (_, out) => out.set(mean);
  let ofEncoder: RowStart | undefined;
  const makeOfEncoder = (): RowStart => {
    if (!config.encoder || !encoderWeights) throw new UserError(noEncoder(job.trunk.kind === "checkpoint" ? job.trunk.folder : ""));
    const encoder = new RowEncoder({ model: job.model, encoder: config.encoder, microBatch: 1, ...running });
    const weights = flattenParameters(encoderWeights, encoder.layout);
    return encoderStart(encoder, weights, { other: meanStart, random: random.fork("demonstrations"), tasks: shownTasks });
  };
  const starts: Record<Exclude<Job["start"], "encoder">, RowStart> = {
    zero: () => {},
    mean: meanStart,
    normal: (id, out) => {
      const draw = normal.fork(id);
      for (let i = 0; i < out.length; i++) out[i] = mean[i]! + std[i]! * draw.normal();
    },
  };
  const startOf = (start: Job["start"]): RowStart => (start === "encoder" ? (ofEncoder ??= makeOfEncoder()) : starts[start]);
  return { initial, start: startOf(job.start), startOf, codes: puzzleEmbedding.codes };
}

/** The encoder that is trained, at its beginning. @param rowStart float32[E]: what new puzzle rows begin with, and its own */
export function encoderOf(job: Job, random: Random, rowStart: Float32Array): EncoderTraining | undefined {
  if (!job.encoder) return undefined;
  const { config } = job.encoder;
  const known = job.trunk.kind === "checkpoint" ? loadCheckpoint(job.trunk.folder).encoder : undefined;
  const initial = known
    ? flattenParameters(known, encoderLayout(job.model, config))
    : initEncoder(job.model, config, rowStart, random.fork("encoder"));
  return { config, share: job.encoder.share, initial };
}

/**
 * The start of puzzle rows where an encoder is trained beside them: a share of those with a life begins at its row for all that the life's task shows,
 * by the weights of the moment. Every rank computes it for itself, by equal weights and one row at a time, so all have the same bits.
 *
 * @param start of the others
 */
export function birthOf(
  { encoder: asked }: Job,
  { demonstrateRow }: Pick<WorkData, "demonstrateRow">,
  start: RowStart,
  random: Random,
  encoder: () => TrainedEncoder | undefined,
): RowStart {
  if (!asked || !demonstrateRow) return start;
  return (id, out) => {
    const trained = encoder();
    if (!trained || random.fork(id).uniform() >= asked.births) return start(id, out);
    const seen = new Int32Array(trained.encoder.demonstrationSize);
    fillDemonstrations(seen, demonstrateRow(id)(asked.config.pairs));
    out.set(trained.rows(seen));
  };
}

/**
 * Where rows begin: factored, codes at those of the checkpoint, or at zero. A row for each variant begins with the codes of the checkpoint worked in,
 * if it has any, since its trunk expects them.
 */
export function rowStartOf(
  { model, search, data: { factored } }: Job,
  { start, codes }: Pick<Beginning, "start" | "codes">,
  data: WorkData,
): RowStart {
  const own = data.competition?.rowStart ?? start;
  const size = model.puzzleEmbeddingSize;
  const codeOf = (id: number): Float32Array | undefined => codes?.subarray((id - FIRST_CODE_ID) * size, (id - FIRST_CODE_ID + 1) * size);
  if (factored) return (id, out) => (isCode(id) ? out.set(codeOf(id) ?? []) : own(id, out));
  if (!codes) return own;
  const parts = factoredParts(data.plan, search?.starts.length);
  return (id, out) => {
    own(id, out);
    for (const code of parts(id).slice(1)) codeOf(code)!.forEach((value, i) => void (out[i]! += value));
  };
}

/** Where puzzle rows lie: in memory, or beyond what they may take of it in a file. */
export function rowStoreOf({ model, rowMemory }: Job): RowStore {
  const size = model.puzzleEmbeddingSize;
  return rowMemory ? new RowCache(size, rowCapacity(size, rowMemory.bytes), new RowFile(rowMemory.folder, size)) : new RowPieces(size);
}

/** What an encoder may see of a job's tasks: all demonstrations, but for the one that rows which compete are scored by. */
export function shownTasksOf({ canvas }: Job, { plan, competition }: WorkData): ShownTasks {
  return {
    plan,
    side: canvas,
    pairsOf: ({ train }, variant) => {
      const competes = competition && !competition.chosen && variant < COMPETING_VARIANTS && train.length > 1;
      return competes ? train.filter((_pair, i) => i !== heldBackPair(train.length, variant)) : train;
    },
  };
}

/** What a worker trains on and predicts. */
export interface WorkData {
  exampleAt(index: number): Example;
  readonly epochLength: number;
  readonly plan: PuzzlePlan;
  /** where embeddings are factored: the rows whose sum each is */
  readonly partsOf?: PartsOf | undefined;
  /** rows that compete, where the job has them do so */
  readonly competition?: Competition | undefined;
  /** see `data/pretraining-stream.ts` */
  taskOf?(puzzleId: number): string | undefined;
  isOver?(puzzleId: number, index: number): boolean;
  livingRows?(index: number): LivingRow[];
  demonstrateRow?(puzzleId: number): Demonstrate;
}

/** Where a job's tasks are on canvases of several sizes: which of them each row of its batch is on. */
export function rowCanvasesOf({ data, canvases, trainOn, globalBatch }: Job): RowCanvases | undefined {
  if (!canvases || data.kind !== "tasks") return undefined;
  const pairs = canvases.sides.map(() => 0);
  for (const i of trainOn ?? data.tasks.keys()) pairs[canvases.ofTask[i]!]! += splitPairs(data.tasks[i]!, data.trainOnTests).train.length;
  const places = new Map(data.tasks.map((task, i) => [task, canvases.ofTask[i]!]));
  return { sides: canvases.sides, ofTask: (task) => places.get(task)!, ofRow: spreadRows(rowsByCanvas(pairs, globalBatch)) };
}

/** Of the rows on a canvas one in so many trains the halting head alone, where rows do; one at least, where that leaves it three others. */
const TAUGHT_EVERY = 8;
const LEAST_FOR_ONE = 4;

/**
 * Which rows of a job's batch train the halting head alone, on pairs that are held back: an eighth of those on each canvas that has such pairs, at equal
 * distances. Undefined where the batch has too few rows for any.
 */
export function taughtRowsOf(job: Job): Uint8Array | undefined {
  const { data, trainOn, globalBatch } = job;
  if (data.kind !== "tasks" || !data.taught) return undefined;
  const { taught: pairs, tasks } = data;
  const canvases = rowCanvasesOf(job);
  const canvasOf = (task: Task): number => canvases?.ofTask(task) ?? 0;
  const withPairs = new Set(Array.from(trainOn ?? tasks.keys(), (i) => (pairs[i]!.length > 0 ? canvasOf(tasks[i]!) : -1)));
  const rows = new Uint8Array(globalBatch);
  for (const canvas of (canvases?.sides ?? [job.canvas]).keys()) {
    const own = [...rows.keys()].filter((row) => (canvases?.ofRow[row] ?? 0) === canvas);
    const count = withPairs.has(canvas) && own.length >= LEAST_FOR_ONE ? Math.max(1, Math.round(own.length / TAUGHT_EVERY)) : 0;
    for (let i = 1; i <= count; i++) rows[own[Math.floor((i * own.length) / count) - 1]!] = 1;
  }
  return rows.includes(1) ? rows : undefined;
}

/** The stream with the pairs held back in the rows that train the halting head alone. @param open a stream of these pairs of each task */
function withHeldBack(job: Job, stream: OpenStream, open: (pairsOf: (task: Task) => readonly Pair[]) => OpenStream): OpenStream {
  const taught = taughtRowsOf(job);
  if (!taught || job.data.kind !== "tasks") return stream;
  const { tasks, taught: pairs } = job.data;
  const places = new Map(tasks.map((task, i) => [task, i]));
  return withTaughtRows(
    stream,
    open((task) => pairs![places.get(task)!]!),
    taught,
  );
}

/** The stream of a job's examples. */
export function dataOf(job: Job, random: Random, { startOf }: Pick<Beginning, "startOf">): WorkData {
  const { data, canvas: side } = job;
  if (data.kind === "pretraining") return openPretraining(data, { side, random });
  const plan = planPuzzles([{ tasks: data.tasks, trainOnTests: data.trainOnTests }], {
    variants: data.variants,
    random: random.fork("plan"),
  });
  const groups = job.trainOn ? job.trainOn.map((i) => plan.groups[i]!) : plan.groups;
  const { translate, factored } = data;
  const canvases = rowCanvasesOf(job);
  const stream = withHeldBack(
    job,
    openStream(groups, { side, random: random.fork("stream"), order: "shuffled", translate }, canvases),
    (pairsOf) => {
      const held = groups.map((group) => ({ ...group, train: pairsOf(group.task) }));
      return openStream(held, { side, random: random.fork("held back"), order: "shuffled", translate }, canvases);
    },
  );
  const points = job.search?.starts.map((start) => ({ start: startOf(start), ofTask: start === "normal" }));
  const competition =
    points && new Competition(plan, points, { groups, side, canvases, translate, factored, random: random.fork("competition") });
  const exampleAt = (index: number): Example =>
    competition && !competition.chosen ? competition.exampleAt(index) : stream.exampleAt(index);
  return {
    exampleAt,
    epochLength: stream.epochLength,
    plan,
    competition,
    ...(data.factored && { partsOf: factoredParts(plan, points?.length) }),
  };
}
