/** What a replica tells of its training beside its metrics: how far it has come from its start, how alike its rows are, how each task fares. */
import { type Moved, MovedSum, movedByPart } from "../model/moved.ts";
import type { ParameterSpec } from "../model/parameters.ts";
import type { PuzzleEmbedding, RowStart } from "../model/puzzle-embedding.ts";
import { type RowSimilarity, rowSimilarity } from "../model/row-similarity.ts";
import type { TaskSums } from "../train/task-means.ts";

/** Rows of a task that are looked at; with a thousand variants of hundreds of tasks, all of them would take seconds. */
const ROWS_OF_A_TASK = 16;
/** Rows that belong to no task known here, such as those of generated ones. */
const OTHER_ROWS = 1024;

/** See `diagnose`. */
export interface Diagnosis {
  /** optimizer steps made */
  readonly step: number;
  /** the step that distances are measured from: where this training, or the process that took it up, began */
  readonly since: number;
  /** by part of the trunk, the averaged one, and `trunk` for all of it */
  readonly trunk: Readonly<Record<string, Moved>>;
  /** of rows that were trained, at most so many a task */
  readonly rows: Moved & { readonly count: number };
  readonly similarity: RowSimilarity;
  /** samples finished on this rank since it was last asked, by task */
  readonly tasks: Readonly<Record<string, TaskSums>>;
}

/** What a diagnosis is made from. */
export interface Patient {
  readonly step: number;
  readonly since: number;
  readonly layout: readonly ParameterSpec[];
  /** float32[N], the trunk where distances are measured from, and as it is */
  readonly startTrunk: Float32Array;
  readonly trunk: Float32Array;
  readonly rows: PuzzleEmbedding;
  readonly rowStart: RowStart;
  readonly tasks: Readonly<Record<string, TaskSums>>;
  /** the task that a row stands for, if it is known */
  taskOf(puzzleId: number): string | undefined;
}

/** Looks at a replica. Time: that of the trunk's numbers and of a few thousand rows. */
export function diagnose({ step, since, layout, startTrunk, trunk, rows, rowStart, tasks, taskOf }: Patient): Diagnosis {
  const byTask = new Map<string | undefined, number[]>();
  for (const id of rows.touched()) {
    const task = taskOf(id);
    const known = byTask.get(task);
    if (!known) byTask.set(task, [id]);
    else if (known.length < (task === undefined ? OTHER_ROWS : ROWS_OF_A_TASK)) known.push(id);
  }
  const sum = new MovedSum();
  const start = new Float32Array(rows.size);
  let count = 0;
  const compared: Float32Array[][] = [];
  for (const [task, ids] of byTask) {
    const own = ids.map((id) => rows.peek([id]));
    for (const [i, row] of own.entries()) {
      rowStart(ids[i]!, start.fill(0));
      sum.add(start, row);
    }
    count += own.length;
    if (task !== undefined) compared.push(own);
  }
  return {
    step,
    since,
    trunk: movedByPart(
      layout.map(({ name, offset, size }) => {
        const own = (flat: Float32Array): Float32Array => flat.subarray(offset, offset + size);
        return { name, start: own(startTrunk), now: own(trunk) };
      }),
    ),
    rows: { ...sum.moved, count },
    similarity: rowSimilarity(compared, rows.size),
    tasks,
  };
}
