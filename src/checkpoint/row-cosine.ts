/** How alike puzzle embeddings are: cosine similarity of a task's variants among themselves, and of different tasks. */
import type { RowTable } from "./row-table.ts";

/** Mean cosine similarity over pairs of rows. */
export interface PairMean {
  readonly pairs: number;
  /** -1..1; NaN where there is no pair */
  readonly mean: number;
}

/** Similarity in one view of the rows. */
export interface Similarity {
  /** any two rows */
  readonly all: PairMean;
  /** two variants of a task; undefined where nobody knows which row is whose */
  readonly withinTasks?: PairMean & {
    /** tasks with two rows or more; their own means, from the least to the greatest */
    readonly tasks: number;
    readonly least: number;
    readonly median: number;
    readonly greatest: number;
  };
  /** rows of different tasks */
  readonly acrossTasks?: PairMean;
}

/** What is said of the rows of a table. */
export interface RowDiagnosis {
  /** rows that were looked at */
  readonly rows: number;
  /** rows left out because they stand for no task */
  readonly leftOut: number;
  /** rows that are zero: they have no direction and are left out of the cosines */
  readonly zeroRows: number;
  /** rows that are the mean up to rounding: left out of the cosines about it */
  readonly rowsAtMean: number;
  /** Euclidean length of a row */
  readonly norm: { readonly least: number; readonly median: number; readonly greatest: number };
  readonly cosine: Similarity;
  /** the same after the mean of all rows was taken off: what makes a row differ from the others */
  readonly cosineAboutMean: Similarity;
}

/** Numbers kept at a time of the sums of tasks' rows. */
const MAX_SUMS = 2 ** 23;
/** A squared distance from the mean this small beside a row's squared length is float32's rounding, not a direction. */
const ROUNDING = 1e-12;

/**
 * Looks at all pairs of rows in time and memory of the rows alone: the cosines of all pairs in a set add up to the squared length of the sum of its
 * rows, each brought to length 1, less their number, by two.
 *
 * @param tasks for each row the number of its task, from 0; -1 for rows to leave out; undefined where it is not known
 * @param mean  float32[size] of all rows
 * @param maxSums numbers kept at a time of the sums of tasks' rows; for more tasks the table is read again
 * Source: TTA, figures of embedding similarity within a task's variants and across tasks
 */
export function diagnoseRows(table: RowTable, tasks: Int32Array | undefined, mean: Float32Array, maxSums = MAX_SUMS): RowDiagnosis {
  const views = [new View(table, tasks, undefined, maxSums), new View(table, tasks, mean, maxSums)];
  const norms = new Float32Array(table.count);
  let used = 0;
  let zeroRows = 0;
  forEachRow(table, (row, i) => {
    if (tasks?.[i] === -1) return;
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    norms[used++] = norm;
    if (norm === 0) zeroRows++;
    for (const view of views) view.add(row, i);
  });
  const sorted = norms.subarray(0, used).sort();
  const [cosine, cosineAboutMean] = views.map((view) => view.finish());
  return {
    rows: used,
    leftOut: table.count - used,
    zeroRows,
    rowsAtMean: used - views[1]!.count,
    norm: { least: sorted[0] ?? Number.NaN, median: medianOf(sorted), greatest: sorted[used - 1] ?? Number.NaN },
    cosine: cosine!,
    cosineAboutMean: cosineAboutMean!,
  };
}

/** Sums of the rows of a table brought to length 1, in all and by task. */
class View {
  readonly #table: RowTable;
  readonly #tasks: Int32Array | undefined;
  readonly #mean: Float32Array | undefined;
  readonly #unit: Float64Array;
  readonly #all: Sum;
  /** rows of each task that have a direction */
  readonly #counts: Float64Array;
  /** sums of the first tasks, as many as may be kept at a time */
  readonly #sums: Float64Array;
  readonly #tasksAtATime: number;

  constructor(table: RowTable, tasks: Int32Array | undefined, mean: Float32Array | undefined, maxSums: number) {
    this.#table = table;
    this.#tasks = tasks;
    this.#mean = mean;
    this.#unit = new Float64Array(table.size);
    this.#all = { count: 0, sum: new Float64Array(table.size) };
    const taskCount = tasks ? tasks.reduce((most, task) => Math.max(most, task + 1), 0) : 0;
    this.#counts = new Float64Array(taskCount);
    this.#tasksAtATime = Math.max(1, Math.min(taskCount, Math.floor(maxSums / Math.max(1, table.size))));
    this.#sums = new Float64Array(this.#tasksAtATime * table.size);
  }

  /** Rows added so far that have a direction. */
  get count(): number {
    return this.#all.count;
  }

  add(row: Float32Array, i: number): void {
    if (!this.#direct(row)) return;
    const unit = this.#unit;
    this.#all.count++;
    addTo(this.#all.sum, 0, unit);
    if (!this.#tasks) return;
    const task = this.#tasks[i]!;
    this.#counts[task]!++;
    if (task < this.#tasksAtATime) addTo(this.#sums, task * unit.length, unit);
  }

  finish(): Similarity {
    const { count, sum } = this.#all;
    const cosines = lengthSquared(sum, 0, sum.length); // of all ordered pairs, a row with itself among them
    const all = pairMean(cosines - count, count * (count - 1));
    if (!this.#tasks) return { all };
    const within = this.#withinTasks();
    const ofTasks = within.map(({ cosines, count }) => pairMean(cosines - count, count * (count - 1)).mean);
    const total = (pick: (task: { cosines: number; count: number }) => number): number => within.reduce((sum, task) => sum + pick(task), 0);
    const singles = count - total((task) => task.count);
    const same = total((task) => task.cosines);
    const sorted = Float64Array.from(ofTasks).sort();
    return {
      all,
      withinTasks: {
        ...pairMean(
          same - total((task) => task.count),
          total((task) => task.count * (task.count - 1)),
        ),
        tasks: within.length,
        least: sorted[0] ?? Number.NaN,
        median: medianOf(sorted),
        greatest: sorted.at(-1) ?? Number.NaN,
      },
      acrossTasks: pairMean(cosines - same - singles, count * count - total((task) => task.count ** 2) - singles),
    };
  }

  /** For each task with two rows or more: how many, and the cosines of all ordered pairs, a row with itself among them. */
  #withinTasks(): { cosines: number; count: number }[] {
    const { size } = this.#table;
    const found: { cosines: number; count: number }[] = [];
    for (let first = 0; first < this.#counts.length; first += this.#tasksAtATime) {
      if (first > 0) this.#sumTasksFrom(first);
      for (let task = first; task < Math.min(first + this.#tasksAtATime, this.#counts.length); task++) {
        const count = this.#counts[task]!;
        if (count >= 2) found.push({ count, cosines: lengthSquared(this.#sums, (task - first) * size, size) });
      }
    }
    return found;
  }

  #sumTasksFrom(first: number): void {
    const { size } = this.#table;
    this.#sums.fill(0);
    forEachRow(this.#table, (row, i) => {
      const at = this.#tasks![i]! - first;
      if (at < 0 || at >= this.#tasksAtATime || !this.#direct(row)) return;
      addTo(this.#sums, at * size, this.#unit);
    });
  }

  /** Brings a row to length 1, in `#unit`. @returns false where it has no direction */
  #direct(row: Float32Array): boolean {
    const unit = this.#unit;
    let squares = 0;
    let rowSquares = 0;
    for (let i = 0; i < unit.length; i++) {
      const value = this.#mean ? row[i]! - this.#mean[i]! : row[i]!;
      unit[i] = value;
      squares += value * value;
      rowSquares += row[i]! * row[i]!;
    }
    if (squares === 0 || squares <= ROUNDING * rowSquares) return false;
    const scale = 1 / Math.sqrt(squares);
    for (let i = 0; i < unit.length; i++) unit[i]! *= scale;
    return true;
  }
}

interface Sum {
  count: number;
  readonly sum: Float64Array;
}

function forEachRow({ size, pieces }: RowTable, use: (row: Float32Array, index: number) => void): void {
  let index = 0;
  for (const piece of pieces()) for (let at = 0; at < piece.length; at += size) use(piece.subarray(at, at + size), index++);
}

function addTo(sums: Float64Array, at: number, values: Float64Array): void {
  for (let i = 0; i < values.length; i++) sums[at + i]! += values[i]!;
}

function lengthSquared(values: Float64Array, at: number, count: number): number {
  let sum = 0;
  for (let i = at; i < at + count; i++) sum += values[i]! * values[i]!;
  return sum;
}

/** @param ordered sum over ordered pairs, and their number: each pair twice */
function pairMean(orderedSum: number, ordered: number): PairMean {
  return ordered === 0 ? { pairs: 0, mean: Number.NaN } : { pairs: ordered / 2, mean: orderedSum / ordered };
}

/** @param sorted ascending */
function medianOf(sorted: Float32Array | Float64Array): number {
  const middle = sorted.length / 2;
  return sorted.length === 0 ? Number.NaN : (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}
