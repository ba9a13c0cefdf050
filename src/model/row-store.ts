/** Where the rows of a table lie: all in memory, or the ones used of late in memory and the others in a file. */

/** Rows by place. */
export interface RowStore {
  /**
   * A view of a row, good until the next one is asked for.
   *
   * @param fresh  the row is new: its numbers are zero
   * @param writes the view will be written to
   */
  view(place: number, fresh: boolean, writes: boolean): Float32Array;
  /** What lies at a place is not wanted any more. */
  drop(place: number): void;
}

/** Takes rows that have no room; `checkpoint/row-file.ts` has the real one. */
export interface RowSpill {
  read(place: number, row: Float32Array): void;
  write(place: number, row: Float32Array): void;
}

/** Memory is taken in pieces of this many rows, so that a table of a hundred thousand rows costs what was touched of it. */
const ROWS_PER_PIECE = 1024;

/** Rows in memory, which grows with the highest place. */
export class RowPieces implements RowStore {
  readonly #pieces: Float32Array[] = [];

  /** @param size numbers a row */
  constructor(readonly size: number) {}

  view(place: number, fresh: boolean): Float32Array {
    const piece = Math.floor(place / ROWS_PER_PIECE);
    while (this.#pieces.length <= piece) this.#pieces.push(new Float32Array(ROWS_PER_PIECE * this.size));
    const at = (place % ROWS_PER_PIECE) * this.size;
    const row = this.#pieces[piece]!.subarray(at, at + this.size);
    return fresh ? row.fill(0) : row;
  }

  drop(): void {}
}

/** Rows of `size` float32 numbers that so many bytes hold, at least one. */
export function rowCapacity(size: number, bytes: number): number {
  return Math.max(1, Math.floor(bytes / (4 * size)));
}

/** At most so many rows in memory: the one that was not used for longest makes room for the next, and is written to the spill if it has changed. */
export class RowCache implements RowStore {
  readonly #frames: RowPieces;
  readonly #capacity: number;
  readonly #spill: RowSpill;
  /** frame of each place in memory, the longest unused first */
  readonly #frameOf = new Map<number, number>();
  readonly #changed = new Set<number>();
  readonly #free: number[] = [];

  /**
   * @param size     numbers a row
   * @param capacity rows in memory, at least 1
   */
  constructor(size: number, capacity: number, spill: RowSpill) {
    this.#frames = new RowPieces(size);
    this.#capacity = Math.max(1, capacity);
    this.#spill = spill;
  }

  view(place: number, fresh: boolean, writes: boolean): Float32Array {
    let frame = this.#frameOf.get(place);
    const absent = frame === undefined;
    frame ??= this.#claim();
    this.#frameOf.delete(place); // to the end of the order
    this.#frameOf.set(place, frame);
    if (fresh || writes) this.#changed.add(place);
    const row = this.#frames.view(frame, fresh);
    if (absent && !fresh) this.#spill.read(place, row);
    return row;
  }

  drop(place: number): void {
    const frame = this.#frameOf.get(place);
    if (frame === undefined) return;
    this.#frameOf.delete(place);
    this.#changed.delete(place);
    this.#free.push(frame);
  }

  /** A frame that nothing lies in. */
  #claim(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#frameOf.size < this.#capacity) return this.#frameOf.size;
    const [place, frame] = this.#frameOf.entries().next().value!;
    if (this.#changed.delete(place)) this.#spill.write(place, this.#frames.view(frame, false));
    this.#frameOf.delete(place);
    return frame;
  }
}
