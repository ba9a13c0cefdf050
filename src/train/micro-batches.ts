/** A rank's rows in parts that go through the model one after the other, so that a step fits the memory; all rows of a part are on one canvas. */
import * as tf from "@tensorflow/tfjs-core";
import type { Latents } from "../model/recursion.ts";

/** Rows on one canvas, in the order of the rank's rows. */
export interface RowsOnCanvas {
  /** place among the replica's canvases */
  readonly canvas: number;
  readonly count: number;
  /** T: prefix and canvas */
  readonly positions: number;
  /** rows of a part at most */
  readonly together: number;
}

/** Rows that go through the model together: where they are among the rank's rows, and their states, float32 [count * T, D] each. */
export interface MicroBatch {
  readonly first: number;
  readonly count: number;
  readonly canvas: number;
  /** T */
  readonly positions: number;
  readonly latents: Latents;
}

/** The parts, with the states of their rows. */
export class MicroBatches {
  #parts: MicroBatch[] = [];
  /** D */
  readonly #hiddenSize: number;
  /** numbers of a row's state on the largest canvas */
  readonly #rowSize: number;

  /** All states zero. */
  constructor(rows: readonly RowsOnCanvas[], hiddenSize: number) {
    this.#hiddenSize = hiddenSize;
    this.#rowSize = Math.max(0, ...rows.map(({ positions }) => positions)) * hiddenSize;
    let begin = 0;
    for (const { canvas, count: all, positions, together } of rows) {
      for (let first = 0; first < all; first += together) {
        const count = Math.min(together, all - first);
        const state: [number, number] = [count * positions, hiddenSize];
        this.#parts.push({ first: begin + first, count, canvas, positions, latents: { zH: tf.zeros(state), zL: tf.zeros(state) } });
      }
      begin += all;
    }
  }

  /** In the order of the rows. */
  get parts(): readonly MicroBatch[] {
    return this.#parts;
  }

  /** Puts new states in place of a part's, which are freed; they belong to the part from now on. */
  advance(index: number, latents: Latents): void {
    const part = this.#parts[index]!;
    free(part);
    this.#parts[index] = { ...part, latents };
  }

  /** Cuts every part of more than `size` rows of `positions`, or of as many positions in all, with its states, as evenly as can be. */
  limit(size: number, positions: number): void {
    this.#parts = this.#parts.flatMap((part) => {
      const most = Math.max(1, Math.floor((size * positions) / part.positions));
      if (part.count <= most) return [part];
      const pieces = Math.ceil(part.count / most);
      const bounds = Array.from({ length: pieces + 1 }, (_, i) => Math.ceil((i * part.count) / pieces));
      const cut = bounds.slice(1).map((end, i) => this.#rowsOf(part, bounds[i]!, end));
      free(part);
      return cut;
    });
  }

  /** Copies of all states on the host: float32[rows * T * D] each, T that of the largest canvas; a row on a smaller one is filled up with zeros. */
  async read(): Promise<{ zH: Float32Array; zL: Float32Array }> {
    const joined = async (of: (latents: Latents) => tf.Tensor): Promise<Float32Array> => {
      const rowSize = this.#rowSize;
      const out = new Float32Array(this.#parts.reduce((sum, { count }) => sum + count, 0) * rowSize);
      for (const { first, count, positions, latents } of this.#parts) {
        const data = (await of(latents).data()) as Float32Array;
        const width = positions * this.#hiddenSize;
        for (let r = 0; r < count; r++) out.set(data.subarray(r * width, (r + 1) * width), (first + r) * rowSize);
      }
      return out;
    };
    return { zH: await joined(({ zH }) => zH), zL: await joined(({ zL }) => zL) };
  }

  /** Puts states in place that `read` gave, whatever the parts were then. */
  write(states: { readonly zH: Float32Array; readonly zL: Float32Array }): void {
    this.#parts.forEach(({ first, count, positions }, index) => {
      const width = positions * this.#hiddenSize;
      const part = (data: Float32Array): tf.Tensor2D => {
        const own = new Float32Array(count * width);
        for (let r = 0; r < count; r++) {
          const at = (first + r) * this.#rowSize;
          own.set(data.subarray(at, at + width), r * width);
        }
        return tf.tensor2d(own, [count * positions, this.#hiddenSize]);
      };
      this.advance(index, { zH: part(states.zH), zL: part(states.zL) });
    });
  }

  dispose(): void {
    for (const part of this.#parts) free(part);
    this.#parts = [];
  }

  #rowsOf({ first, canvas, positions, latents }: MicroBatch, from: number, to: number): MicroBatch {
    const size: [number, number] = [(to - from) * positions, this.#hiddenSize];
    const cut = (state: tf.Tensor2D): tf.Tensor2D => tf.slice2d(state, [from * positions, 0], size);
    return { first: first + from, count: to - from, canvas, positions, latents: { zH: cut(latents.zH), zL: cut(latents.zL) } };
  }
}

function free({ latents }: MicroBatch): void {
  tf.dispose([latents.zH, latents.zL]);
}
