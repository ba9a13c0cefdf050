/** A rank's rows in parts that go through the model one after the other, so that a step fits the memory. */
import * as tf from "@tensorflow/tfjs-core";
import type { Latents } from "../model/recursion.ts";

/** Rows that go through the model together: where they are among the rank's rows, and their states, float32 [count * T, D] each. */
export interface MicroBatch {
  readonly first: number;
  readonly count: number;
  readonly latents: Latents;
}

/** The parts, with the states of their rows. */
export class MicroBatches {
  #parts: MicroBatch[] = [];
  readonly #shape: { readonly positions: number; readonly hiddenSize: number };

  /**
   * All states zero.
   *
   * @param rows of the rank
   * @param size rows of a part at most
   */
  constructor(rows: number, size: number, shape: { readonly positions: number; readonly hiddenSize: number }) {
    this.#shape = shape;
    for (let first = 0; first < rows; first += size) {
      const count = Math.min(size, rows - first);
      const state: [number, number] = [count * shape.positions, shape.hiddenSize];
      this.#parts.push({ first, count, latents: { zH: tf.zeros(state), zL: tf.zeros(state) } });
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

  /** Cuts every part of more than `size` rows, with its states, into parts of at most so many, as even as can be. */
  limit(size: number): void {
    this.#parts = this.#parts.flatMap((part) => {
      if (part.count <= size) return [part];
      const pieces = Math.ceil(part.count / size);
      const bounds = Array.from({ length: pieces + 1 }, (_, i) => Math.ceil((i * part.count) / pieces));
      const cut = bounds.slice(1).map((end, i) => this.#rowsOf(part, bounds[i]!, end));
      free(part);
      return cut;
    });
  }

  /** Copies of all states on the host: float32[rows * T * D] each. */
  async read(): Promise<{ zH: Float32Array; zL: Float32Array }> {
    const joined = async (of: (latents: Latents) => tf.Tensor): Promise<Float32Array> => {
      const rowSize = this.#rowSize;
      const out = new Float32Array(this.#parts.reduce((sum, { count }) => sum + count, 0) * rowSize);
      for (const { first, latents } of this.#parts) out.set((await of(latents).data()) as Float32Array, first * rowSize);
      return out;
    };
    return { zH: await joined(({ zH }) => zH), zL: await joined(({ zL }) => zL) };
  }

  /** Puts states in place that `read` gave, whatever the parts were then. */
  write(states: { readonly zH: Float32Array; readonly zL: Float32Array }): void {
    const { positions, hiddenSize } = this.#shape;
    this.#parts.forEach(({ first, count }, index) => {
      const part = (data: Float32Array): tf.Tensor2D =>
        tf.tensor2d(data.slice(first * this.#rowSize, (first + count) * this.#rowSize), [count * positions, hiddenSize]);
      this.advance(index, { zH: part(states.zH), zL: part(states.zL) });
    });
  }

  dispose(): void {
    for (const part of this.#parts) free(part);
    this.#parts = [];
  }

  get #rowSize(): number {
    return this.#shape.positions * this.#shape.hiddenSize;
  }

  #rowsOf({ first, latents }: MicroBatch, from: number, to: number): MicroBatch {
    const { positions, hiddenSize } = this.#shape;
    const cut = (state: tf.Tensor2D): tf.Tensor2D => tf.slice2d(state, [from * positions, 0], [(to - from) * positions, hiddenSize]);
    return { first: first + from, count: to - from, latents: { zH: cut(latents.zH), zL: cut(latents.zL) } };
  }
}

function free({ latents }: MicroBatch): void {
  tf.dispose([latents.zH, latents.zL]);
}
