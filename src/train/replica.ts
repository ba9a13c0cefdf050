/** One worker's copy of the model: parameters, optimizer, carry and puzzle rows, and the step that moves them all. */
import * as tf from "@tensorflow/tfjs-core";
import { partOf } from "../budget/memory.ts";
import { batchOf, type Example } from "../encode/batch.ts";
import { ENCODED } from "../encode/demonstrations.ts";
import { messageOf } from "../errors.ts";
import type { Targets } from "../loss/act-loss.ts";
import { RowCarry } from "../model/carry.ts";
import type { ModelConfig } from "../model/config.ts";
import type { InitialTrunk } from "../model/init.ts";
import type { LoraSettings } from "../model/lora.ts";
import { type ParameterSpec, parameterCount, parameterLayout } from "../model/parameters.ts";
import type { PuzzleEmbedding } from "../model/puzzle-embedding.ts";
import { type AdamATan2Settings, adamATan2Rates } from "../optim/adam-atan2.ts";
import { signSgd } from "../optim/sign-sgd.ts";
import type { Random } from "../random.ts";
import { isOutOfMemory, type MakeReady, opByOp } from "../trace/ready-step.ts";
import type { Agreement } from "../vote/weighting.ts";
import { type ActContext, ROW_STATISTICS } from "./act-step.ts";
import { type MicroBatch, MicroBatches } from "./micro-batches.ts";
import { type Answers, type PredictionDepth, predictRows, rowsTogether } from "./predict-rows.ts";
import { type Canvas, type Canvases, canvasesOf, firstTokens, type RowArray, takeRows } from "./row-canvases.ts";
import { ReplicaSteps, type TrunkState, type UpdateRates } from "./steps.ts";
import { targetsOf } from "./targets.ts";
import { type EncoderTraining, TrainedEncoder } from "./trained-encoder.ts";
import { type TrainedPart, trainedPart } from "./trained-part.ts";

/** How gradients meet those of the other workers; `parallel/all-reduce.ts` has the real one. */
export interface Exchange {
  readonly rank: number;
  readonly worldSize: number;
  /** Sums over all ranks, in place; the same bits on every rank. */
  allReduceSum(data: Float32Array): Promise<void>;
  /** Every rank's array, in rank order. */
  allGather(data: Float32Array): Promise<Float32Array[]>;
}

/** One process that has the whole batch. */
export const ALONE: Exchange = { rank: 0, worldSize: 1, allReduceSum: async () => {}, allGather: async (data) => [data] };

export interface ReplicaSettings {
  readonly model: ModelConfig;
  /** int32[T * ropeAxes] rotary positions, prefix first; of the largest canvas where there are several */
  readonly positions: Int32Array;
  /** canvases of several sizes; all rows are on that of `positions` unless given */
  readonly canvases?: Canvases | undefined;
  /** rows of the global batch, over all ranks */
  readonly globalBatch: number;
  /**
   * rows that go through the model together at most, in training and in predictions; bounds the memory of a step. On smaller canvases as many more are
   * trained on together as have no more positions
   */
  readonly microBatch: number;
  /** adapters learn in place of the trunk; the trunk unless given */
  readonly lora?: LoraSettings | undefined;
  readonly adam: AdamATan2Settings;
  readonly puzzleWeightDecay: number;
  /** factor of the rate of a row of the table; 1 unless given */
  readonly rowRate?: ((row: number) => number) | undefined;
  readonly explorationProbability: number;
  /** uint8[B]: 1 for each row of the global batch on which the halting loss alone is trained, and no puzzle row; none unless given */
  readonly taught?: Uint8Array | undefined;
  /** ACT steps a training row runs at most */
  readonly haltMaxSteps: number;
  /** is trained too, on the gradient of the rows that it makes; the table has all rows unless given */
  readonly encoder?: EncoderTraining | undefined;
  /** whether blocks are computed again for the gradient, for want of memory */
  readonly recompute?: boolean | undefined;
  /** how steps run; op by op unless given */
  readonly makeReady?: MakeReady | undefined;
  /** is told of each row that has finished its sample in a step: mean token loss and whether it is wholly right, at its last ACT step */
  readonly finished?: ((puzzleId: number, lmLoss: number, exact: boolean) => void) | undefined;
  /** is told when memory ran out and fewer rows go through the model together from then on */
  readonly warn?: ((sentence: string) => void) | undefined;
}

/** What changes from step to step. */
export interface StepRates {
  readonly lrTrunk: number;
  readonly lrPuzzle: number;
  /** of the encoder; the trunk's unless given */
  readonly lrEncoder?: number | undefined;
  readonly emaDecay: number;
  /** only the puzzle rows learn */
  readonly frozen: boolean;
}

/** Sums over the global batch's rows of one step, but for those that train the halting head alone. */
export interface StepMetrics {
  /** mean over rows of the token loss */
  readonly lmLoss: number;
  readonly qHaltLoss: number;
  /** rows that finished their sample in this step, and among them: right tokens' share, wholly right, ACT steps */
  readonly finished: number;
  readonly accuracy: number;
  readonly exact: number;
  readonly qHaltAccuracy: number;
  readonly actSteps: number;
  /** rows that train the halting head alone, where there are any: mean halting loss; those that finished, and for how many of them the head was right */
  readonly taught?: Pick<StepMetrics, "qHaltLoss" | "finished" | "qHaltAccuracy"> | undefined;
  /** the same of the rows that the encoder made, where there is one */
  readonly encoded?: Pick<StepMetrics, "lmLoss" | "finished" | "exact"> | undefined;
}

/**
 * A rank's rows of the batch, R of them in the order of the batch: what a training that is taken up again goes on with. Widths are those of the
 * largest canvas.
 */
export interface CarriedRows {
  /** int32[R], uint8[R], int32[R * canvas tokens], int32[R * canvas tokens], int32[R]; see `model/carry.ts` */
  readonly steps: Int32Array;
  readonly halted: Uint8Array;
  readonly inputs: Int32Array;
  readonly labels: Int32Array;
  readonly puzzleIds: Int32Array;
  /** int32[R * K * 2 * canvas tokens] where there is an encoder */
  readonly demonstrations: Int32Array;
  /** int32[R]: tokens of each row's canvas, where there are several; only rows on the same canvases can be taken up */
  readonly tokens: Int32Array;
  /** float32[R * T * D] each */
  readonly zH: Float32Array;
  readonly zL: Float32Array;
}

/** What one part of the batch gives. */
interface Pass {
  readonly rows: tf.Tensor2D;
  readonly zH: tf.Tensor2D;
  readonly zL: tf.Tensor2D;
  /** of what is trained; none where it is frozen or was updated already */
  readonly gradient: tf.Tensor1D | undefined;
  readonly updated: TrunkState | undefined;
}

/** Numbers per rank that travel with the gradients: the step's sums. */
const METRIC_COUNT = 13;

/**
 * The model of one rank.
 *
 * All ranks hold equal parameters and rows at every step: each computes its slice of the global batch, then gradients
 * are summed and rows' gradients gathered, and each applies the same update.
 */
export class Replica {
  /** of the trunk */
  readonly layout: readonly ParameterSpec[];
  readonly settings: ReplicaSettings;
  readonly rows: PuzzleEmbedding;
  /** optimizer steps done */
  step = 0;
  /** where one is trained */
  readonly encoder: TrainedEncoder | undefined;
  #context: ActContext;
  /** in ascending order of size */
  readonly #canvases: readonly Canvas[];
  /** S of the largest one */
  readonly #canvasTokens: number;
  #exchange: Exchange = ALONE;
  #slice = { first: 0, count: 0 };
  /** places in the global batch of this rank's rows, which are in the order of their canvases */
  #globalRows: readonly number[] = [];
  #carry: RowCarry;
  #batches: MicroBatches;
  readonly #random: Random;
  readonly #steps: ReplicaSteps;
  readonly #part: TrainedPart;
  /** see `TrainedPart` */
  readonly #fixed: readonly tf.Tensor[];
  #state: TrunkState;

  /**
   * @param initial the trunk's start; copied to the engine
   * @param rows    the puzzle rows; written to by every step
   * @param random  for halting exploration; forked by global row, so independent of the number of ranks
   */
  constructor(settings: ReplicaSettings, initial: InitialTrunk, rows: PuzzleEmbedding, random: Random, exchange: Exchange = ALONE) {
    const { model, positions, globalBatch } = settings;
    this.settings = settings;
    this.rows = rows;
    this.layout = parameterLayout(model);
    this.#random = random;
    this.#canvases = canvasesOf(settings);
    const largest = this.#canvases.at(-1)!;
    this.#canvasTokens = largest.tokens;
    this.#context = {
      config: model,
      buffers: { hInit: tf.tensor1d(initial.hInit), lInit: tf.tensor1d(initial.lInit) },
      rotary: largest.rotary,
    };
    const { encoder, microBatch, recompute: again, makeReady: ready, warn } = settings;
    this.encoder = encoder && new TrainedEncoder(encoder, { model, positions, microBatch, recompute: again, makeReady: ready, warn });
    this.#carry = new RowCarry(0, this.#canvasTokens);
    this.#batches = this.#parts();
    this.join(exchange);
    const { layout } = this;
    this.#part = trainedPart(layout, settings.lora);
    this.#fixed = this.#part.fixed(initial.weights);
    const weights = tf.tensor1d(this.#part.begin(initial.weights, random.fork("adapters")));
    this.#state = { weights, firstMoment: tf.zerosLike(weights), secondMoment: tf.zerosLike(weights), average: tf.clone(weights) };
    const { adam, recompute = false, makeReady = opByOp } = settings;
    this.#steps = new ReplicaSteps({ config: model, recompute, layout, part: this.#part, adam, lossScale: 1 / globalBatch }, makeReady);
  }

  /** The ranks that this one exchanges gradients with. */
  get exchange(): Exchange {
    return this.#exchange;
  }

  /**
   * Takes a place among other ranks. Its slice of the batch may change with it, and every row begins a new sample: what a step that failed
   * half-way has left is forgotten.
   */
  join(exchange: Exchange): void {
    this.#exchange = exchange;
    const { first, count } = (this.#slice = sliceOf(this.settings.globalBatch, exchange));
    const rows = Array.from({ length: count }, (_, i) => first + i);
    this.#globalRows = rows.sort((a, b) => this.#canvasOfRow(a) - this.#canvasOfRow(b) || a - b);
    const { encoder } = this;
    this.#carry = new RowCarry(
      count,
      this.#canvasTokens,
      encoder && { pairs: encoder.encoder.config.pairs, isEncoded: (row) => encoder.makes(this.#globalRows[row]!) },
    );
    this.#batches.dispose();
    this.#batches = this.#parts(); // no NaN of before: rows that begin are blended in, see `resetLatents`
  }

  /** Numbers in what is trained. */
  get parameterCount(): number {
    return parameterCount(this.#part.layout);
  }

  /** Rows of the global batch that this rank computes. */
  get localBatch(): number {
    return this.#carry.size;
  }

  /** Where they are in the global batch. */
  get slice(): { readonly first: number; readonly count: number } {
    return this.#slice;
  }

  /** Their places in the global batch, in the order in which this rank has them. */
  globalRows(): readonly number[] {
    return this.#globalRows;
  }

  /**
   * One optimizer step, which is one ACT step for every row.
   *
   * @param next    the new sample of a global row whose last one is done
   * @param control numbers summed over all ranks on the way, in place: how ranks agree when to stop
   * @throws Diverged where the loss is not finite; nothing was updated then
   */
  async trainStep(
    next: (globalRow: number) => Example,
    rates: StepRates,
    control: Float32Array = new Float32Array(0),
  ): Promise<StepMetrics> {
    const { globalBatch, adam, model } = this.settings;
    const E = model.puzzleEmbeddingSize;
    const carry = this.#carry;
    const fresh = carry.refill((row) => this.#onItsCanvas(row, next(this.#globalRows[row]!)));
    const ids = carry.puzzleIds.slice();
    const batch = { ids, demonstrationsOf: (row: number) => carry.demonstrationsOf(row) };
    const isTaught = (row: number): boolean => this.settings.taught?.[this.#globalRows[row]!] === 1;
    const rows = this.#tableRows(ids, isTaught);
    this.encoder?.make(rows, batch);
    const statistics = new Float32Array(carry.size * (ROW_STATISTICS + E));
    const update = { ...adamATan2Rates(rates.lrTrunk, this.step + 1, adam), emaDecay: rates.emaDecay };
    let gradient: tf.Tensor1D | undefined;
    let updated: TrunkState | undefined;
    for (let index = 0; index < this.#batches.parts.length; ) {
      const part = this.#batches.parts[index]!;
      const pass = this.#unlessOutOfMemory(part.count, () => this.#pass(part, rows, fresh, rates.frozen, update));
      if (!pass) {
        this.#batches.limit(Math.ceil(part.count / 2), part.positions); // what the parts before gave stands
        index = this.#batches.parts.findIndex(({ first }) => first === part.first);
        continue;
      }
      updated = pass.updated;
      gradient = addInto(gradient, pass.gradient);
      statistics.set((await pass.rows.data()) as Float32Array, part.first * (ROW_STATISTICS + E));
      tf.dispose(pass.rows);
      this.#batches.advance(index++, pass);
    }
    const column = (row: number, c: number): number => statistics[row * (ROW_STATISTICS + E) + c]!;
    carry.advance(
      { haltMaxSteps: this.settings.haltMaxSteps, explorationProbability: this.settings.explorationProbability },
      (row) => column(row, 4),
      (row) => this.#random.fork(`${this.step}:${this.#globalRows[row]!}`),
    );
    const sums = new Float32Array(METRIC_COUNT);
    for (let r = 0; r < carry.size; r++) {
      const isSurer = column(r, 4) >= 0 === (column(r, 3) === 1) ? 1 : 0; // the head says what is so
      if (isTaught(r)) {
        sums[10]! += column(r, 1);
        sums[11]! += carry.halted[r]!;
        sums[12]! += carry.halted[r]! * isSurer;
        continue;
      }
      sums[0]! += column(r, 0);
      sums[1]! += column(r, 1);
      if (ids[r] === ENCODED) {
        sums[7]! += column(r, 0);
        if (carry.halted[r]) sums[8]!++;
        if (carry.halted[r]) sums[9]! += column(r, 3);
      }
      if (!carry.halted[r]) continue;
      sums[2]!++;
      sums[3]! += column(r, 2);
      sums[4]! += column(r, 3);
      sums[5]! += isSurer;
      sums[6]! += carry.steps[r]!;
      this.settings.finished?.(ids[r]!, column(r, 0), column(r, 3) === 1);
    }
    const local = new Float32Array(carry.size * (1 + E));
    for (let r = 0; r < carry.size; r++) {
      local[r * (1 + E)] = isTaught(r) ? ENCODED : ids[r]!; // exact in float32 up to 16.7 million rows
      local.set(statistics.subarray(r * (ROW_STATISTICS + E) + ROW_STATISTICS, (r + 1) * (ROW_STATISTICS + E)), r * (1 + E) + 1);
    }
    const ofEncoder = this.encoder?.gradient(batch, (r) => local.subarray(r * (1 + E) + 1, (r + 1) * (1 + E)));
    const held: (tf.Tensor | undefined)[] = [gradient, ofEncoder, ...Object.values(updated ?? {})];
    const [summed, summedOfEncoder] = await this.#exchangeGradients([gradient, ofEncoder], sums, control).catch((error: unknown) => {
      tf.dispose(held.filter((tensor) => tensor !== undefined)); // a peer is lost: this process may go on
      throw error;
    });
    if (![sums[0], sums[1], sums[10]].every(Number.isFinite)) {
      tf.dispose([summed ?? [], summedOfEncoder ?? [], Object.values(updated ?? {})] as tf.Tensor[]);
      throw new Diverged(`loss is not finite in optimizer step ${this.step + 1}`);
    }
    const rowGradients = await this.exchange.allGather(local).catch((error: unknown) => {
      tf.dispose([summed ?? [], summedOfEncoder ?? [], Object.values(updated ?? {})] as tf.Tensor[]);
      throw error;
    });
    this.#updateRows(rowGradients, rates.lrPuzzle);
    this.step++;
    if (summed) updated = this.#steps.update(this.#state, summed, update);
    if (summedOfEncoder) {
      const ownRates = adamATan2Rates(rates.lrEncoder ?? rates.lrTrunk, this.step, adam);
      this.encoder!.update(this.#steps, summedOfEncoder, { ...ownRates, emaDecay: rates.emaDecay });
      tf.dispose(summedOfEncoder);
    }
    if (summed) tf.dispose(summed);
    if (updated) {
      tf.dispose(Object.values(this.#state));
      this.#state = updated;
    }
    const [lmLoss, qHaltLoss, finished, accuracy, exact, qHaltAccuracy, actSteps, ...others] = sums as unknown as number[];
    const [ofEncoded, ofTaught] = [others.slice(0, 3), others.slice(3)];
    const taughtRows = this.settings.taught?.reduce((sum, each) => sum + each, 0) ?? 0;
    const counted = globalBatch - taughtRows;
    const encodedRows = this.encoder?.countOf(globalBatch) ?? 0;
    return {
      lmLoss: lmLoss! / counted,
      qHaltLoss: qHaltLoss! / counted,
      finished: finished!,
      accuracy: accuracy!,
      exact: exact!,
      qHaltAccuracy: qHaltAccuracy!,
      actSteps: actSteps!,
      ...(taughtRows > 0 && { taught: { qHaltLoss: ofTaught[0]! / taughtRows, finished: ofTaught[1]!, qHaltAccuracy: ofTaught[2]! } }),
      ...(encodedRows > 0 && { encoded: { lmLoss: ofEncoded[0]! / encodedRows, finished: ofEncoded[1]!, exact: ofEncoded[2]! } }),
    };
  }

  /**
   * Predictions of the averaged trunk after `actSteps` ACT steps.
   *
   * @param examples any number of them, all on one canvas; at most `microBatch` go through the model at a time
   * @param withLoss whether the examples' labels are true answers, whose loss is wanted; they are ignored otherwise
   * @param depth    ACT steps, or how far each row is taken
   */
  async predict(examples: readonly Example[], depth: number | PredictionDepth, withLoss = false): Promise<Answers> {
    const taken: PredictionDepth = typeof depth === "number" ? { actSteps: depth, stopAtHalt: false } : depth;
    const canvas = this.#canvasOf(examples);
    const tokens = new Int32Array(examples.length * canvas.tokens);
    const qHaltLogits = new Float32Array(examples.length);
    const losses = withLoss ? new Float32Array(examples.length) : undefined;
    const agreement: Agreement[] | undefined = taken.answerKey && [];
    let rowSteps = 0;
    for (let first = 0; first < examples.length; ) {
      const part = examples.slice(first, first + rowsTogether(examples.length - first, canvas.predictedTogether));
      const answers = this.#unlessOutOfMemory(part.length, () => this.#predictTogether(part, canvas, taken, withLoss));
      if (!answers) {
        canvas.predictedTogether = Math.ceil(part.length / 2);
        continue;
      }
      tokens.set(answers.tokens, first * canvas.tokens);
      qHaltLogits.set(answers.qHaltLogits, first);
      if (answers.losses) losses?.set(answers.losses, first);
      agreement?.push(...answers.agreement!);
      rowSteps += answers.rowSteps;
      first += part.length;
    }
    return { tokens, qHaltLogits, rowSteps, losses, ...(agreement && { agreement }) };
  }

  /** Copies of what is trained on the host, the trunk or adapters: the averaged weights, the raw ones, and both moments. */
  async trunk(): Promise<{ ema: Float32Array; weights: Float32Array; firstMoment: Float32Array; secondMoment: Float32Array }> {
    const read = async (tensor: tf.Tensor): Promise<Float32Array> => (await tensor.data()) as Float32Array;
    const { weights, firstMoment, secondMoment, average } = this.#state;
    return {
      ema: await read(average),
      weights: await read(weights),
      firstMoment: await read(firstMoment),
      secondMoment: await read(secondMoment),
    };
  }

  /** The trunk that predicts, as a checkpoint keeps it: the averaged one, with its adapters worked in. */
  averagedTrunk(): Float32Array {
    return this.#withAveragedTrunk((trunk) => trunk.dataSync() as Float32Array);
  }

  /** Start states, as the checkpoint keeps them. */
  async buffers(): Promise<{ hInit: Float32Array; lInit: Float32Array }> {
    const { hInit, lInit } = this.#context.buffers;
    return { hInit: (await hInit.data()) as Float32Array, lInit: (await lInit.data()) as Float32Array };
  }

  /** Puts a saved optimizer state in place of the current one. */
  restore(saved: {
    ema: Float32Array;
    weights: Float32Array;
    firstMoment: Float32Array;
    secondMoment: Float32Array;
    hInit: Float32Array;
    lInit: Float32Array;
    step: number;
  }): void {
    const { buffers } = this.#context;
    tf.dispose([...Object.values(this.#state), buffers.hInit, buffers.lInit]);
    this.#context = { ...this.#context, buffers: { hInit: tf.tensor1d(saved.hInit), lInit: tf.tensor1d(saved.lInit) } };
    this.#state = {
      weights: tf.tensor1d(saved.weights),
      firstMoment: tf.tensor1d(saved.firstMoment),
      secondMoment: tf.tensor1d(saved.secondMoment),
      average: tf.tensor1d(saved.ema),
    };
    this.step = saved.step;
  }

  /** Rows of the batch on their way through the recursion: copies on the host. */
  async carriedRows(): Promise<CarriedRows> {
    const { steps, halted, inputs, labels, puzzleIds, demonstrations } = this.#carry;
    const { zH, zL } = await this.#batches.read();
    const order = Array.from(this.#globalRows.keys()).sort((a, b) => this.#globalRows[a]! - this.#globalRows[b]!);
    const inOrder = <A extends RowArray>(own: A): A => takeRows(own, order);
    return {
      steps: inOrder(steps),
      halted: inOrder(halted),
      inputs: inOrder(inputs),
      labels: inOrder(labels),
      puzzleIds: inOrder(puzzleIds),
      demonstrations: inOrder(demonstrations),
      tokens: this.#tokensOfRows(),
      zH: inOrder(zH),
      zL: inOrder(zL),
    };
  }

  /** Puts rows in place that `carriedRows` of a replica of the same shape gave. */
  restoreCarriedRows(rows: CarriedRows): void {
    const order = this.#globalRows.map((row) => row - this.#slice.first);
    const ownOrder = <A extends RowArray>(inOrder: A): A => takeRows(inOrder, order);
    for (const name of ["steps", "halted", "inputs", "labels", "puzzleIds", "demonstrations"] as const)
      this.#carry[name].set(ownOrder(rows[name]));
    this.#batches.write({ zH: ownOrder(rows.zH), zL: ownOrder(rows.zL) });
  }

  /** Frees every tensor. */
  dispose(): void {
    const { buffers } = this.#context;
    const rotary = this.#canvases.flatMap(({ rotary: { cos, sin } }) => [cos, sin]);
    this.#steps.dispose();
    tf.dispose([...Object.values(this.#state), ...this.#fixed, ...Object.values(buffers), ...rotary] as tf.Tensor[]);
    this.#batches.dispose();
    this.encoder?.dispose();
  }

  /** This rank's rows in parts, with states of zeros. */
  #parts(): MicroBatches {
    const counts = this.#canvases.map(() => 0);
    for (const row of this.#globalRows) counts[this.#canvasOfRow(row)]!++;
    const rows = this.#canvases.map(({ positions, together: most }, canvas) => {
      const count = counts[canvas]!;
      const together = this.settings.canvases && count > 0 ? partOf(count, most) : most;
      return { canvas, count, positions, together };
    });
    return new MicroBatches(rows, this.settings.model.hiddenSize);
  }

  #canvasOfRow(globalRow: number): number {
    return this.settings.canvases?.ofRow[globalRow] ?? 0;
  }

  /** int32[R] in the order of the batch; empty where there is one canvas. */
  #tokensOfRows(): Int32Array {
    if (!this.settings.canvases) return new Int32Array(0);
    const { first, count } = this.#slice;
    return Int32Array.from({ length: count }, (_, i) => this.#canvases[this.#canvasOfRow(first + i)]!.tokens);
  }

  /** The canvas of examples that are predicted together. */
  #canvasOf([first]: readonly Example[]): Canvas {
    const found = this.#canvases.find(({ tokens }) => !first || tokens === first.inputs.length);
    if (!found) throw new RangeError(`a canvas of ${first!.inputs.length} tokens is none of this replica's`);
    return found;
  }

  /** @param row of this rank */
  #onItsCanvas(row: number, example: Example): Example {
    const { tokens } = this.#canvases[this.#canvasOfRow(this.#globalRows[row]!)]!;
    if (example.inputs.length === tokens) return example;
    throw new RangeError(
      `an example of ${example.inputs.length} tokens for row ${this.#globalRows[row]} of the batch, whose canvas has ${tokens}`,
    );
  }

  #contextOn({ rotary }: Canvas): ActContext {
    return { ...this.#context, rotary };
  }

  /** Forward and backward of a part; with the update too where no other part of the batch is waited for. The caller owns the tensors. */
  #pass(part: MicroBatch, allRows: Float32Array, allFresh: Float32Array, frozen: boolean, update: UpdateRates): Pass {
    const { first, count, latents } = part;
    const canvas = this.#canvases[part.canvas]!;
    const { tokens: S } = canvas;
    const E = this.rows.size;
    const ofRows = (tokens: Int32Array): Int32Array => firstTokens(tokens, this.#canvasTokens, { first, count, tokens: S });
    const tensors = {
      tokens: tf.tensor2d(ofRows(this.#carry.inputs), [count, S], "int32"),
      puzzleRows: tf.tensor2d(allRows.subarray(first * E, (first + count) * E), [count, E]),
      fresh: tf.tensor2d(allFresh.subarray(first, first + count), [count, 1]),
    };
    const inputs = { ...tensors, latents };
    const context = this.#contextOn(canvas);
    const { taught } = this.settings;
    const isTaught = taught && ((row: number): boolean => taught[this.#globalRows[first + row]!] === 1);
    const targets = targetsOf(ofRows(this.#carry.labels), count, S, isTaught);
    try {
      if (!frozen && this.exchange.worldSize === 1 && this.#batches.parts.length === 1) {
        const { state, ...pass } = this.#steps.training(this.#state, update, inputs, targets, context, this.#fixed);
        return { ...pass, updated: state, gradient: undefined };
      }
      const { trunkGradient, ...pass } = this.#steps.gradient(this.#state.weights, frozen, inputs, targets, context, this.#fixed);
      return { ...pass, updated: undefined, gradient: trunkGradient };
    } finally {
      tf.dispose([...Object.values(tensors), ...Object.values(targets as Targets)]);
    }
  }

  #predictTogether(examples: readonly Example[], canvas: Canvas, depth: PredictionDepth, withLoss: boolean): Answers {
    const { size, tokens, inputs: cells, labels } = batchOf(examples);
    const rows = this.#rowsToPredictWith(examples);
    const inputs = {
      tokens: tf.tensor2d(cells, [size, tokens], "int32"),
      puzzleRows: tf.tensor2d(rows, [size, this.rows.size]),
    };
    const targets = withLoss ? targetsOf(labels, size, tokens) : undefined;
    const context = this.#contextOn(canvas);
    return this.#withAveragedTrunk((trunk) => predictRows(this.#steps, trunk, context, inputs, canvas.positions, depth, targets));
  }

  /** @param use is given the averaged trunk for as long as it runs */
  #withAveragedTrunk<R>(use: (trunk: tf.Tensor1D) => R): R {
    const { average } = this.#state;
    if (this.#fixed.length === 0) return use(average);
    const trunk = this.#steps.trunk(average, this.#fixed);
    try {
      return use(trunk);
    } finally {
      trunk.dispose();
    }
  }

  /** What `run` gives; undefined where memory ran out for so many rows, and half of them may yet fit. */
  #unlessOutOfMemory<R>(rows: number, run: () => R): R | undefined {
    try {
      return run();
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      if (rows === 1) {
        const help = this.settings.recompute ? "a smaller canvas takes less" : "--recompute on and a smaller canvas take less";
        throw new Error(`out of memory with one row at a time; ${help}: ${messageOf(error)}`, { cause: error });
      }
      this.settings.warn?.(`out of memory with ${rows} rows at a time; going on with ${Math.ceil(rows / 2)}`);
      return undefined;
    }
  }

  /** float32[R * E]: puzzle embeddings of the table; zero where the encoder makes the row. @param peeks as in `PuzzleEmbedding`, for each row */
  #tableRows(ids: ArrayLike<number>, peeks: (row: number) => boolean): Float32Array {
    const E = this.rows.size;
    const rows = new Float32Array(ids.length * E);
    for (let r = 0; r < ids.length; r++) if (ids[r] !== ENCODED) rows.set(this.rows.embeddings([ids[r]!], peeks(r)), r * E);
    return rows;
  }

  /** float32[B * E]: rows as they are now; those never trained at their start value, those of no table by the averaged encoder. */
  #rowsToPredictWith(examples: readonly Example[]): Float32Array {
    const ids = examples.map(({ puzzleId }) => puzzleId);
    const rows = this.#tableRows(ids, () => true);
    this.encoder?.make(rows, { ids, demonstrationsOf: (r, pairs) => examples[r]!.demonstrate?.(pairs) }, true);
    return rows;
  }

  /**
   * Sums gradients (none of what is frozen), the metrics and the control numbers over all ranks in one message; alone, nothing leaves the engine.
   *
   * @param gradients disposed of
   */
  async #exchangeGradients(
    gradients: readonly (tf.Tensor1D | undefined)[],
    sums: Float32Array,
    control: Float32Array,
  ): Promise<readonly (tf.Tensor1D | undefined)[]> {
    if (this.exchange.worldSize === 1) return gradients;
    const sizes = gradients.map((gradient) => gradient?.shape[0] ?? 0);
    const size = sizes.reduce((a, b) => a + b, 0);
    const message = new Float32Array(size + sums.length + control.length);
    for (let i = 0, at = 0; i < gradients.length; at += sizes[i++]!) {
      if (gradients[i]) message.set((await gradients[i]!.data()) as Float32Array, at);
    }
    message.set(sums, size);
    message.set(control, size + sums.length);
    await this.exchange.allReduceSum(message);
    sums.set(message.subarray(size, size + sums.length));
    control.set(message.subarray(size + sums.length));
    let at = 0;
    return gradients.map((gradient, i) => {
      const part = message.subarray(at, (at += sizes[i]!));
      if (!gradient) return undefined;
      tf.dispose(gradient);
      return tf.tensor1d(part);
    });
  }

  #updateRows(gathered: readonly Float32Array[], lr: number): void {
    const E = this.rows.size;
    const count = gathered.reduce((sum, part) => sum + part.length / (1 + E), 0);
    const ids = new Int32Array(count);
    const gradients = new Float32Array(count * E);
    let r = 0;
    for (const part of gathered) {
      for (let at = 0; at < part.length; at += 1 + E) {
        if (part[at] === ENCODED) continue; // no row of the table
        ids[r] = part[at]!;
        gradients.set(part.subarray(at + 1, at + 1 + E), r * E);
        r++;
      }
    }
    const { puzzleWeightDecay: weightDecay, rowRate: rateOf } = this.settings;
    signSgd(this.rows, ids.subarray(0, r), gradients.subarray(0, r * E), lr, { weightDecay, rateOf });
  }
}

/** The training has diverged: a number that must be finite is not, or the loss has exploded. */
export class Diverged extends Error {
  override readonly name = "Diverged";
}

/** A rank's share of the global batch: contiguous, sizes differing by at most one. */
export function sliceOf(globalBatch: number, { rank, worldSize }: { rank: number; worldSize: number }): { first: number; count: number } {
  const first = Math.floor((globalBatch * rank) / worldSize);
  return { first, count: Math.floor((globalBatch * (rank + 1)) / worldSize) - first };
}

/** sum + addend, where either may be missing; both are disposed of. */
function addInto(sum: tf.Tensor1D | undefined, addend: tf.Tensor1D | undefined): tf.Tensor1D | undefined {
  if (!sum || !addend) return sum ?? addend;
  const total: tf.Tensor1D = tf.add(sum, addend);
  tf.dispose([sum, addend]);
  return total;
}
