/** The learned vectors of augmented tasks. They live on the host; only the rows of a batch go to the engine. */
import type { EmbeddingRows } from "../optim/sign-sgd.ts";

/** Writes the start value of a row, which is zero otherwise. */
export type RowStart = (id: number, out: Float32Array) => void;

/** Rows grow in pieces of this many, so that a table of a hundred thousand rows costs what was touched of it. */
const ROWS_PER_PIECE = 1024;

/**
 * A table of rows that come into being when first asked for: with 1000 variants a task most rows are never drawn in a
 * short run, and a row that was never trained is its start value anyway.
 */
export class PuzzleEmbedding implements EmbeddingRows {
  readonly #pieces: Float32Array[] = [];
  readonly #slotOf = new Map<number, number>();
  /** slots of rows that were forgotten */
  readonly #free: number[] = [];
  /** slots that were ever given out */
  #used = 0;
  readonly #start: RowStart;

  /**
   * @param size  E, numbers a row
   * @param start value of a row before its first update
   */
  constructor(
    readonly size: number,
    start: RowStart,
  ) {
    this.#start = start;
  }

  /** The row of a puzzle id; a view that may be written to. */
  row(id: number): Float32Array {
    const slot = this.#slotOf.get(id);
    if (slot !== undefined) return this.#view(slot);
    const added = this.#free.pop() ?? this.#used++;
    if (added === this.#pieces.length * ROWS_PER_PIECE) this.#pieces.push(new Float32Array(ROWS_PER_PIECE * this.size));
    this.#slotOf.set(id, added);
    const row = this.#view(added).fill(0);
    this.#start(id, row);
    return row;
  }

  /** Whether a row was ever asked for, and not forgotten since. */
  has(id: number): boolean {
    return this.#slotOf.has(id);
  }

  /** Lets go of rows: asked for again, they begin anew. Views of them must not be used any more. */
  forget(isOver: (id: number) => boolean): void {
    for (const [id, slot] of this.#slotOf) {
      if (!isOver(id)) continue;
      this.#slotOf.delete(id);
      this.#free.push(slot);
    }
  }

  /** float32[ids.length * E]: copies of the rows. */
  gather(ids: ArrayLike<number>): Float32Array {
    const out = new Float32Array(ids.length * this.size);
    for (let r = 0; r < ids.length; r++) out.set(this.row(ids[r]!), r * this.size);
    return out;
  }

  /** Ids of the rows that were ever asked for and not forgotten since, in that order. */
  touched(): number[] {
    return [...this.#slotOf.keys()];
  }

  #view(slot: number): Float32Array {
    const at = (slot % ROWS_PER_PIECE) * this.size;
    return this.#pieces[Math.floor(slot / ROWS_PER_PIECE)]!.subarray(at, at + this.size);
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
