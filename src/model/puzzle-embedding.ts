/** The learned vectors of augmented tasks. They live on the host; only the rows of a batch go to the engine. */
import type { EmbeddingRows } from "../optim/sign-sgd.ts";
import { RowPieces, type RowStore } from "./row-store.ts";

/** Writes the start value of a row, which is zero otherwise. */
export type RowStart = (id: number, out: Float32Array) => void;

/** Ids of the rows whose sum is a puzzle's embedding, its own row first. */
export type PartsOf = (puzzleId: number) => readonly number[];

/**
 * A table of rows that come into being when first asked for: with 1000 variants a task most rows are never drawn in a
 * short run, and a row that was never trained is its start value anyway.
 */
export class PuzzleEmbedding implements EmbeddingRows {
  readonly #store: RowStore;
  /** place of each row in the store */
  readonly #placeOf = new Map<number, number>();
  /** places of rows that were forgotten */
  readonly #free: number[] = [];
  /** places that were ever given out */
  #used = 0;
  readonly #start: RowStart;
  readonly #untrained: RowStart;

  /**
   * @param size    E, numbers a row
   * @param start   value of a row before its first update
   * @param store   where the rows lie; in memory unless given
   * @param partsOf a puzzle's embedding is its own row unless given
   * @param untrained value that a row has for predictions while it has never been asked for otherwise; its start unless given
   */
  constructor(
    readonly size: number,
    start: RowStart,
    store: RowStore = new RowPieces(size),
    readonly partsOf: PartsOf = (id) => [id],
    untrained: RowStart = start,
  ) {
    this.#start = start;
    this.#untrained = untrained;
    this.#store = store;
  }

  /** float32[ids.length * E]: the embeddings of puzzles, each the sum of its rows. @param peeks no row is brought into being, see `peek` */
  embeddings(puzzleIds: ArrayLike<number>, peeks = false): Float32Array {
    const out = new Float32Array(puzzleIds.length * this.size);
    for (let r = 0; r < puzzleIds.length; r++) {
      const sum = out.subarray(r * this.size, (r + 1) * this.size);
      this.partsOf(puzzleIds[r]!).forEach((part, place) => {
        const row = peeks ? this.peek([part]) : this.#view(part, false);
        if (place === 0) sum.set(row);
        else for (let i = 0; i < this.size; i++) sum[i]! += row[i]!;
      });
    }
    return out;
  }

  /** The row of an id; a view that may be written to until another row is asked for. */
  row(id: number): Float32Array {
    return this.#view(id, true);
  }

  /** Puts a row in place as it was saved; where it would begin is not asked, which may be dear. */
  put(id: number, row: Float32Array): void {
    this.#view(id, true, () => {}).set(row);
  }

  /** Whether a row was ever asked for, and not forgotten since. */
  has(id: number): boolean {
    return this.#placeOf.has(id);
  }

  /** Lets go of rows: asked for again, they begin anew. */
  forget(isOver: (id: number) => boolean): void {
    for (const [id, place] of this.#placeOf) {
      if (!isOver(id)) continue;
      this.#placeOf.delete(id);
      this.#store.drop(place);
      this.#free.push(place);
    }
  }

  /** float32[ids.length * E]: copies of the rows. */
  gather(ids: ArrayLike<number>): Float32Array {
    const out = new Float32Array(ids.length * this.size);
    for (let r = 0; r < ids.length; r++) out.set(this.#view(ids[r]!, false), r * this.size);
    return out;
  }

  /** As `gather`, for predictions: rows that were never asked for are not brought into being. */
  peek(ids: ArrayLike<number>): Float32Array {
    const out = new Float32Array(ids.length * this.size);
    for (let r = 0; r < ids.length; r++) {
      const row = out.subarray(r * this.size, (r + 1) * this.size);
      if (this.has(ids[r]!)) row.set(this.#view(ids[r]!, false));
      else this.#untrained(ids[r]!, row);
    }
    return out;
  }

  /** Ids of the rows that were ever asked for and not forgotten since, in that order. */
  touched(): number[] {
    return [...this.#placeOf.keys()];
  }

  #view(id: number, writes: boolean, start: RowStart = this.#start): Float32Array {
    const place = this.#placeOf.get(id);
    if (place !== undefined) return this.#store.view(place, false, writes);
    const added = this.#free.pop() ?? this.#used++;
    this.#placeOf.set(id, added);
    const row = this.#store.view(added, true, writes);
    start(id, row);
    return row;
  }
}

/** Mean and spread of a table's rows, column by column: what a checkpoint keeps of them. */
export interface RowStatistics {
  /** float32[E] */
  readonly mean: Float32Array;
  /** float32[E]; population standard deviation, 0 for one row */
  readonly std: Float32Array;
}

/**
 * Mean and standard deviation of each column over all rows, in float64.
 *
 * @param size E, numbers a row
 * @returns zeros where there is no row
 */
export function rowStatistics(rows: Iterable<Float32Array>, size: number): RowStatistics {
  const mean = new Float64Array(size);
  const squares = new Float64Array(size); // about the running mean: no cancellation
  let count = 0;
  for (const row of rows) {
    count++;
    for (let i = 0; i < size; i++) {
      const off = row[i]! - mean[i]!;
      mean[i]! += off / count;
      squares[i]! += off * (row[i]! - mean[i]!);
    }
  }
  return { mean: Float32Array.from(mean), std: Float32Array.from(squares, (sum) => Math.sqrt(sum / Math.max(1, count))) };
}
