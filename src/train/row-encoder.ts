/** The encoder on an engine: rows out of demonstrations, and the gradient of its weights from the gradient of the rows it made. */
import * as tf from "@tensorflow/tfjs-core";
import { type Demonstrations, NO_PAIR } from "../encode/demonstrations.ts";
import { PAD } from "../encode/vocabulary.ts";
import { headSize, type ModelConfig } from "../model/config.ts";
import { type EncoderInputs, type EncoderTables, encodeRows, unmoved } from "../model/encoder.ts";
import { type EncoderConfig, encoderLayout } from "../model/encoder-config.ts";
import { joinParameters, type ParameterSpec, parameterCount, sliceParameters } from "../model/parameters.ts";
import { rotaryTables } from "../model/rotary.ts";
import { isOutOfMemory, type MakeReady, opByOp, type ReadyStep } from "../trace/ready-step.ts";

/** Pairs go through the encoder in one of so many numbers for a number of rows: those that there are not cost nothing, up to the next number. */
const PAIR_SIZES = 8;

export interface RowEncoderSettings {
  readonly model: ModelConfig;
  readonly encoder: EncoderConfig;
  /** int32[T * ropeAxes] rotary positions, prefix first */
  readonly positions: Int32Array;
  /** rows that go through the trunk together at most; of the encoder as many as take no more memory */
  readonly microBatch: number;
  /** whether the trunk computes its blocks again, for want of memory */
  readonly recompute?: boolean | undefined;
  /** how steps run; op by op unless given */
  readonly makeReady?: MakeReady | undefined;
  /** is told when memory ran out and fewer rows are made together from then on */
  readonly warn?: ((sentence: string) => void) | undefined;
}

/** Makes rows; its weights are handed to it, so that raw and averaged ones are used alike. */
export class RowEncoder {
  readonly layout: readonly ParameterSpec[];
  readonly config: EncoderConfig;
  /** numbers of a row's demonstrations: K * 2 * tokens */
  readonly demonstrationSize: number;
  readonly #model: ModelConfig;
  readonly #tokens: number;
  readonly #tables: EncoderTables;
  readonly #forward: ReadyStep;
  readonly #backward: ReadyStep;
  readonly #warn: ((sentence: string) => void) | undefined;
  #together: number;

  constructor({ model, encoder, positions, microBatch, recompute, makeReady = opByOp, warn }: RowEncoderSettings) {
    const axes = model.ropeAxes ?? 1;
    this.layout = encoderLayout(model, encoder);
    this.config = encoder;
    this.#model = model;
    this.#tokens = positions.length / axes - model.prefixLength;
    this.demonstrationSize = encoder.pairs * 2 * this.#tokens;
    const size = headSize(model);
    this.#tables = { cells: rotaryTables(positions, size, model.ropeTheta, axes), pairs: unmoved(encoder.pairs, size) };
    const trunkBlocks = recompute ? 1 : (model.lCycles + 1) * model.lLayers; // whose results are kept for a gradient
    this.#together = Math.max(1, Math.floor((microBatch * trunkBlocks) / (encoder.pairs * encoder.layers)));
    this.#warn = warn;
    this.#forward = makeReady("encoder", ([weights, ...rest]) =>
      tf.tidy(() => [this.#rows(sliceParameters(weights as tf.Tensor1D, this.layout), rest)]),
    );
    this.#backward = makeReady("encoder's gradient", ([weights, byRows, ...rest]) =>
      tf.tidy(() => {
        const rows = (...leaves: tf.Tensor[]): tf.Tensor => this.#rows(leaves, rest);
        return [joinParameters(tf.grads(rows)(sliceParameters(weights as tf.Tensor1D, this.layout), byRows!))];
      }),
    );
  }

  /** Numbers in the encoder. */
  get parameterCount(): number {
    return parameterCount(this.layout);
  }

  /**
   * float32[R * E]: the rows of R tasks.
   *
   * @param weights        float32 [N]
   * @param demonstrations of R tasks, `demonstrationSize` numbers each
   */
  rows(weights: tf.Tensor1D, demonstrations: Demonstrations): Float32Array {
    const E = this.#model.puzzleEmbeddingSize;
    const out = new Float32Array((demonstrations.length / this.demonstrationSize) * E);
    this.#inParts(demonstrations, (first, inputs) => {
      const [rows] = this.#forward.run([weights, ...inputs]);
      out.set(rows!.dataSync() as Float32Array, first * E);
      rows!.dispose();
    });
    return out;
  }

  /**
   * float32 [N]: the gradient of a loss by the weights; the caller owns it.
   *
   * @param byRows float32[R * E]: the loss's gradient by the rows that `rows` makes of the same weights and demonstrations
   */
  gradient(weights: tf.Tensor1D, demonstrations: Demonstrations, byRows: Float32Array): tf.Tensor1D {
    const E = this.#model.puzzleEmbeddingSize;
    let sum: tf.Tensor1D = tf.zeros([this.parameterCount]);
    this.#inParts(demonstrations, (first, inputs, count) => {
      const by = tf.tensor2d(byRows.subarray(first * E, (first + count) * E), [count, E]);
      try {
        const [part] = this.#backward.run([weights, by, ...inputs]) as [tf.Tensor1D];
        const total: tf.Tensor1D = tf.add(sum, part);
        tf.dispose([sum, part]);
        sum = total;
      } finally {
        by.dispose();
      }
    });
    return sum;
  }

  /** Frees what was compiled and its tables. */
  dispose(): void {
    this.#forward.dispose();
    this.#backward.dispose();
    tf.dispose(this.#listTables());
  }

  #rows(leaves: readonly tf.Tensor[], [inputs, outputs, cellShare, places, pairShare, ...tables]: tf.Tensor[]): tf.Tensor2D {
    const given = { inputs, outputs, cellShare, places, pairShare } as unknown as EncoderInputs;
    const [cos, sin, cosOfPairs, sinOfPairs] = tables as tf.Tensor2D[];
    return encodeRows(this.#model, leaves, given, { cells: { cos, sin }, pairs: { cos: cosOfPairs, sin: sinOfPairs } } as EncoderTables);
  }

  #listTables(): tf.Tensor[] {
    const { cells, pairs } = this.#tables;
    return [cells.cos, cells.sin, pairs.cos, pairs.sin];
  }

  /** Runs parts of as many rows as fit, one after the other; where memory runs out, of half as many from then on. */
  #inParts(demonstrations: Demonstrations, run: (first: number, inputs: tf.Tensor[], count: number) => void): void {
    const size = this.demonstrationSize;
    const rows = demonstrations.length / size;
    for (let first = 0; first < rows; ) {
      const count = Math.min(this.#together, rows - first);
      const inputs = this.#inputs(demonstrations.subarray(first * size, (first + count) * size), count);
      try {
        run(first, [...inputs, ...this.#listTables()], count);
        first += count;
      } catch (error) {
        if (!isOutOfMemory(error) || count === 1) throw error;
        this.#together = Math.ceil(count / 2);
        this.#warn?.(`out of memory with ${count} rows of the encoder at a time; going on with ${this.#together}`);
      } finally {
        tf.dispose(inputs);
      }
    }
  }

  /** Pairs that there are, one after the other, and where they belong; see `EncoderInputs`. */
  #inputs(demonstrations: Demonstrations, rows: number): tf.Tensor[] {
    const S = this.#tokens;
    const K = this.config.pairs;
    const all = Array.from({ length: rows * K }, (_, place) => place);
    const there = all.filter((place) => demonstrations[place * 2 * S] !== NO_PAIR);
    const step = Math.max(1, Math.ceil((rows * K) / PAIR_SIZES)); // few sizes, for each of which a step is compiled
    const N = Math.max(1, Math.ceil(there.length / step)) * step;
    const inputs = new Int32Array(N * S);
    const outputs = new Int32Array(N * S);
    const cellShare = new Float32Array(N * S);
    const places = new Float32Array(rows * K * N);
    const pairShare = new Float32Array(rows * K);
    there.forEach((place, n) => {
      const input = demonstrations.subarray(place * 2 * S, (place * 2 + 1) * S);
      const output = demonstrations.subarray((place * 2 + 1) * S, (place * 2 + 2) * S);
      inputs.set(input, n * S);
      outputs.set(output, n * S);
      const isCell = (i: number): boolean => input[i] !== PAD || output[i] !== PAD;
      let cells = 0;
      for (let i = 0; i < S; i++) if (isCell(i)) cells++;
      for (let i = 0; i < S; i++) if (isCell(i)) cellShare[n * S + i] = 1 / cells;
      places[place * N + n] = 1;
      pairShare[place] = 1;
    });
    for (let r = 0; r < rows; r++) {
      const own = pairShare.subarray(r * K, (r + 1) * K);
      const count = own.reduce((sum, one) => sum + one, 0);
      if (count > 0) for (let k = 0; k < K; k++) own[k] = own[k]! / count;
    }
    return [
      tf.tensor2d(inputs, [N, S], "int32"),
      tf.tensor2d(outputs, [N, S], "int32"),
      tf.tensor2d(cellShare, [N, S]),
      tf.tensor2d(places, [rows * K, N]),
      tf.tensor2d(pairShare, [rows, K]),
    ];
  }
}
