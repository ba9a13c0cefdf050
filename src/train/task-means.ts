/** How each task fares in training: its samples that were finished, since this was last asked. */

/** Sums over a task's finished samples. */
export interface TaskSums {
  readonly samples: number;
  /** of their mean token losses at their last ACT step */
  readonly lmLoss: number;
  /** samples that were wholly right */
  readonly exact: number;
}

export class TaskMeans {
  #sums = new Map<string, { samples: number; lmLoss: number; exact: number }>();

  /** A sample of a task was finished. One whose loss is not finite says nothing of the task. */
  add(task: string, lmLoss: number, exact: boolean): void {
    if (!Number.isFinite(lmLoss)) return;
    const sums = this.#sums.get(task) ?? { samples: 0, lmLoss: 0, exact: 0 };
    this.#sums.set(task, sums);
    sums.samples++;
    sums.lmLoss += lmLoss;
    if (exact) sums.exact++;
  }

  /** The sums so far, which begin anew. */
  take(): Record<string, TaskSums> {
    const taken = Object.fromEntries(this.#sums);
    this.#sums = new Map();
    return taken;
  }
}

/** Sums of several ranks together. */
export function addTaskSums(ranks: readonly Readonly<Record<string, TaskSums>>[]): Record<string, TaskSums> {
  const sums = new Map<string, TaskSums>();
  for (const [task, { samples, lmLoss, exact }] of ranks.flatMap((rank) => Object.entries(rank))) {
    const known = sums.get(task) ?? { samples: 0, lmLoss: 0, exact: 0 };
    sums.set(task, { samples: known.samples + samples, lmLoss: known.lmLoss + lmLoss, exact: known.exact + exact });
  }
  return Object.fromEntries(sums);
}
