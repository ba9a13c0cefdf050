/** From tasks to the puzzles that are trained on. Source: TRM dataset/build_arc_dataset.py (`load_puzzles_arcagi`). */
import type { Pair, Task, TestPair } from "../arc/task.ts";
import { applyAugmentation } from "../augment/augmentation.ts";
import type { AugmentationList } from "../augment/augmentation-list.ts";
import { type Demonstrate, drawPairs, layDemonstrations, othersThan } from "../encode/demonstrations.ts";
import { InputError, UserError } from "../errors.ts";
import type { Random } from "../random.ts";
import { FIRST_CODE_ID } from "./augmentation-codes.ts";
import { drawVariants } from "./dedupe.ts";

/** Tasks that are used in the same way. */
export interface Subset {
  readonly tasks: readonly Task[];
  /** whether the answers to the tests are trained on too (a training set), or held out (the tasks to be solved) */
  readonly trainOnTests: boolean;
}

/**
 * A task with its variants: a *group* of *puzzles* in the released code, of which one epoch uses one.
 *
 * The augmented grids are not kept: `variantPair` makes them.
 */
export interface Group {
  readonly task: Task;
  /** identity first */
  readonly variants: AugmentationList;
  /** variant v has this puzzle id + v */
  readonly firstPuzzleId: number;
  /** the pairs that are trained on, unaugmented, in the order in which the released builder stores them */
  readonly train: readonly Pair[];
  /** the pairs that are held out, unaugmented */
  readonly test: readonly TestPair[];
}

/** All puzzles of a run or data set. */
export interface PuzzlePlan {
  readonly groups: readonly Group[];
  /** rows of the puzzle embedding: the blank one, 0, and one for every variant */
  readonly puzzleCount: number;
  /** one for each task that has fewer distinct variants than asked for */
  readonly warnings: readonly string[];
}

/** What a plan depends on besides its tasks. */
export interface PlanOptions {
  /** augmented variants of each task, besides the original; fewer where there are no more */
  readonly variants: number;
  /** draws of a task depend on its id alone, not on the other tasks: every process that plans a share of them gets the same */
  readonly random: Random;
  /** whether tasks are put in random order within their subset, as the released builder does; puzzle ids follow that order */
  readonly shuffle?: boolean;
}

/**
 * Plans the variants of tasks and gives them puzzle ids, from 1 on, in order. Takes about a millisecond for a thousand variants.
 *
 * - A training subset is trained on with all its pairs: `train` pairs first, or `test` pairs where the file named those first. Tests whose answer
 *   isn't known are left out (the released builder makes up a black cell as their answer).
 * - Of other subsets the `train` pairs are trained on and the `test` pairs are held out.
 *
 * @throws InputError where a task id occurs twice; puzzle ids would no longer say which variant is meant
 */
export function planPuzzles(subsets: readonly Subset[], { variants: count, random, shuffle = false }: PlanOptions): PuzzlePlan {
  refuseRepeatedIds(subsets);
  const groups: Group[] = [];
  const warnings: string[] = [];
  let puzzleCount = 1;
  subsets.forEach(({ tasks, trainOnTests }, s) => {
    for (const task of shuffle ? random.fork("order").fork(s).shuffled(tasks) : tasks) {
      const { augmentations, message } = drawVariants(task, count, random.fork("variants").fork(task.id));
      if (message !== undefined) warnings.push(message);
      groups.push({ task, variants: augmentations, firstPuzzleId: puzzleCount, ...splitPairs(task, trainOnTests) });
      puzzleCount += augmentations.length;
    }
  });
  // Ids beyond are those of codes; and they travel as float32, which has whole numbers up to there.
  if (puzzleCount > FIRST_CODE_ID)
    throw new UserError(
      `${groups.length} tasks in ${count} variants each are ${puzzleCount} puzzles; ${FIRST_CODE_ID} can be told apart: take fewer variants`,
    );
  return { groups, puzzleCount, warnings };
}

/** One pair of a group, augmented as its variant says. */
export function variantPair(group: Group, variant: number, pair: Pair): Pair;
export function variantPair(group: Group, variant: number, pair: TestPair): TestPair;
export function variantPair({ variants }: Group, variant: number, { input, output }: TestPair): TestPair {
  const augmentation = variants.at(variant);
  return { input: applyAugmentation(input, augmentation), ...(output && { output: applyAugmentation(output, augmentation) }) };
}

/**
 * The demonstrations of a variant, as an encoder sees them.
 *
 * @param asked  the pair of the group that is asked about, which is left out; undefined where a test is
 * @param random chooses among more than are wanted
 */
export function demonstrateVariant(
  group: Group,
  variant: number,
  asked: Pair | undefined,
  side: number,
  random: () => Random,
): Demonstrate {
  return (atMost) => {
    const shown = asked ? othersThan(asked, group.train) : group.train;
    const chosen = shown.length <= atMost ? shown : drawPairs(shown, atMost, random());
    return layDemonstrations(
      chosen.map((pair) => variantPair(group, variant, pair)),
      side,
    );
  };
}

/** Which pairs of a task are trained on and which are held out; see `planPuzzles`. */
export function splitPairs(task: Task, trainOnTests: boolean): Pick<Group, "train" | "test"> {
  if (!trainOnTests) return { train: task.train, test: task.test };
  const solved = task.test.flatMap(({ input, output }): Pair[] => (output ? [{ input, output }] : []));
  return { train: task.testFirst ? [...solved, ...task.train] : [...task.train, ...solved], test: [] };
}

function refuseRepeatedIds(subsets: readonly Subset[]): void {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const { id } of subsets.flatMap(({ tasks }) => tasks)) (seen.has(id) ? repeated : seen).add(id);
  if (repeated.size === 0) return;
  throw new InputError(
    "tasks",
    Array.from(repeated, (id) => `task ${id} is given more than once; leave out all but one, in its file or in the list of files`),
  );
}
