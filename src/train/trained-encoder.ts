/** The encoder while it is trained beside the trunk: its weights, their moments and average, and which rows of the batch it makes. */
import * as tf from "@tensorflow/tfjs-core";
import { type Demonstrations, ENCODED, fillDemonstrations } from "../encode/demonstrations.ts";
import type { EncoderConfig } from "../model/encoder-config.ts";
import { RowEncoder, type RowEncoderSettings } from "./row-encoder.ts";
import type { ReplicaSteps, TrunkState, UpdateRates } from "./steps.ts";

/** An encoder to be trained. */
export interface EncoderTraining {
  readonly config: EncoderConfig;
  /** float32[N]: its start, flat */
  readonly initial: Float32Array;
  /** share of the batch's rows that it makes; the others are of the table */
  readonly share: number;
}

/** Flat vectors on the host: averaged and raw weights, and both moments. */
export interface EncoderState {
  readonly ema: Float32Array;
  readonly weights: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
}

/** Rows of a batch, some of which the encoder makes. */
export interface EncodedBatch {
  /** ENCODED for those */
  readonly ids: ArrayLike<number>;
  /** what it sees of one of them */
  demonstrationsOf(row: number, atMost: number): Demonstrations | undefined;
}

/** Owns its tensors. */
export class TrainedEncoder {
  readonly encoder: RowEncoder;
  readonly #share: number;
  #state: TrunkState;

  constructor({ config, initial, share }: EncoderTraining, settings: Omit<RowEncoderSettings, "encoder">) {
    this.encoder = new RowEncoder({ ...settings, encoder: config });
    this.#share = share;
    const weights = tf.tensor1d(initial);
    this.#state = { weights, firstMoment: tf.zerosLike(weights), secondMoment: tf.zerosLike(weights), average: tf.clone(weights) };
  }

  /** Whether it makes a row of the global batch: always the same ones, as even among the others as can be, so that shapes stay. */
  makes(globalRow: number): boolean {
    return this.countOf(globalRow + 1) > this.countOf(globalRow);
  }

  /** How many of the first so many rows it makes. */
  countOf(rows: number): number {
    return Math.floor(rows * this.#share + 1e-9);
  }

  /** float32[R * E] by the raw weights, as training sees them. @param demonstrations of R tasks, see `RowEncoder` */
  rows(demonstrations: Demonstrations): Float32Array {
    return this.encoder.rows(this.#state.weights, demonstrations);
  }

  /**
   * Makes the rows of a batch that the table does not have.
   *
   * @param rows     float32[R * E], of which these are overwritten
   * @param averaged by the averaged weights, as predictions and the checkpoint have them
   */
  make(rows: Float32Array, batch: EncodedBatch, averaged = false): void {
    const places = placesOf(batch);
    if (places.length === 0) return;
    const { weights, average } = this.#state;
    const made = this.encoder.rows(averaged ? average : weights, this.#demonstrations(places, batch));
    const E = made.length / places.length;
    places.forEach((r, i) => {
      rows.set(made.subarray(i * E, (i + 1) * E), r * E);
    });
  }

  /** float32[N]: the gradient by the raw weights, from that of each row that it made; the caller owns it. */
  gradient(batch: EncodedBatch, gradientOf: (row: number) => Float32Array): tf.Tensor1D {
    const places = placesOf(batch);
    const byRows = Float32Array.from(places.flatMap((r) => [...gradientOf(r)]));
    return this.encoder.gradient(this.#state.weights, this.#demonstrations(places, batch), byRows);
  }

  /** AdamATan2 and the average. @param sum the gradient over the whole batch; it stays alive */
  update(steps: ReplicaSteps, sum: tf.Tensor1D, rates: UpdateRates): void {
    const next = steps.update(this.#state, sum, rates);
    tf.dispose(Object.values(this.#state));
    this.#state = next;
  }

  async read(): Promise<EncoderState> {
    const copy = async (tensor: tf.Tensor): Promise<Float32Array> => (await tensor.data()) as Float32Array;
    const { weights, firstMoment, secondMoment, average } = this.#state;
    return {
      ema: await copy(average),
      weights: await copy(weights),
      firstMoment: await copy(firstMoment),
      secondMoment: await copy(secondMoment),
    };
  }

  /** Puts a saved state in place. */
  restore({ ema, weights, firstMoment, secondMoment }: EncoderState): void {
    tf.dispose(Object.values(this.#state));
    this.#state = {
      weights: tf.tensor1d(weights),
      firstMoment: tf.tensor1d(firstMoment),
      secondMoment: tf.tensor1d(secondMoment),
      average: tf.tensor1d(ema),
    };
  }

  /** Frees every tensor. */
  dispose(): void {
    this.encoder.dispose();
    tf.dispose(Object.values(this.#state));
  }

  #demonstrations(places: readonly number[], { demonstrationsOf }: EncodedBatch): Demonstrations {
    const { demonstrationSize: size, config } = this.encoder;
    const all = new Int32Array(places.length * size);
    places.forEach((r, i) => {
      fillDemonstrations(all.subarray(i * size, (i + 1) * size), demonstrationsOf(r, config.pairs));
    });
    return all;
  }
}

/** Rows whose puzzle embedding the encoder makes. */
function placesOf({ ids }: EncodedBatch): number[] {
  return Array.from({ length: ids.length }, (_, r) => r).filter((r) => ids[r] === ENCODED);
}
