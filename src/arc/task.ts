/** A puzzle: demonstration pairs and the inputs whose outputs are asked for. */
import type { Grid } from "./grid.ts";

/** One demonstration. */
export interface Pair {
  readonly input: Grid;
  readonly output: Grid;
}

/** One question; its answer is known only where solutions were given. */
export interface TestPair {
  readonly input: Grid;
  readonly output?: Grid;
}

/** A puzzle. `id` is any text: never used as a path or as an object key. */
export interface Task {
  readonly id: string;
  readonly train: readonly Pair[];
  readonly test: readonly TestPair[];
  /** Whether the file named `test` before `train`: the official builder keeps that order of pairs. */
  readonly testFirst?: boolean;
}

/** The task as one who has to solve it knows it. */
export function withoutAnswers(task: Task): Task {
  return { ...task, test: task.test.map(({ input }) => ({ input })) };
}
