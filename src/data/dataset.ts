/** A data set as the released code keeps it: every variant of every pair as tokens. Source: TRM dataset/build_arc_dataset.py (`convert_dataset`). */
import type { Task, TestPair } from "../arc/task.ts";
import { drawTranslation, ORIGIN } from "../augment/translation.ts";
import { writeGridToCanvas } from "../encode/canvas.ts";
import type { Random } from "../random.ts";
import { type Group, type PuzzlePlan, variantPair } from "./build.ts";
import { UNKNOWN_OUTPUT } from "./dedupe.ts";
import { PuzzleIds } from "./puzzle-ids.ts";

/** Examples of one split, N of them in P puzzles (variants) in G groups (tasks). */
export interface DatasetSplit {
  /** tokens of a canvas: side * side */
  readonly tokens: number;
  /** uint8[N * tokens] */
  readonly inputs: Uint8Array;
  /** uint8[N * tokens]; PAD where nothing is asked, which loaders turn into IGNORE_LABEL */
  readonly labels: Uint8Array;
  /** int32[P] */
  readonly puzzleIds: Int32Array;
  /** int32[P + 1]: first example of each puzzle, and N */
  readonly puzzleStarts: Int32Array;
  /** int32[G + 1]: first puzzle of each group, and P */
  readonly groupStarts: Int32Array;
}

/** A whole data set. */
export interface Dataset {
  readonly train: DatasetSplit;
  readonly test: DatasetSplit;
  /** name of each puzzle id, the blank one first */
  readonly names: readonly string[];
  /** the tasks whose tests are held out, in order of their groups */
  readonly testTasks: readonly Task[];
}

/**
 * Encodes all variants of all pairs of a plan.
 *
 * Pairs of the train split are shifted at random on the canvas, but for one random pair of each puzzle, which lies at (0, 0) as all pairs of
 * the test split do. A held-out answer that isn't known is stored as one black cell, as in the released builder.
 *
 * @param random the same one gives the same shifts
 */
export function encodeDataset(plan: PuzzlePlan, { side, random }: { readonly side: number; readonly random: Random }): Dataset {
  const held = plan.groups.filter(({ test }) => test.length > 0);
  return {
    train: encodeSplit(plan.groups, side, ({ train }) => train, random.fork("shifts")),
    test: encodeSplit(held, side, ({ test }) => test),
    names: new PuzzleIds(plan).names(),
    testTasks: held.map(({ task }) => task),
  };
}

function encodeSplit(all: readonly Group[], side: number, pairsOf: (group: Group) => readonly TestPair[], random?: Random): DatasetSplit {
  const groups = all.filter((group) => pairsOf(group).length > 0);
  const sum = (of: (group: Group) => number): number => groups.reduce((total, group) => total + of(group), 0);
  const tokens = side * side;
  const examples = sum((group) => group.variants.length * pairsOf(group).length);
  const [inputs, labels] = [new Uint8Array(examples * tokens), new Uint8Array(examples * tokens)];
  const canvas = new Int32Array(tokens);
  const puzzleIds: number[] = [];
  const puzzleStarts = [0];
  const groupStarts = [0];
  let example = 0;
  for (const group of groups) {
    const pairs = pairsOf(group);
    for (let v = 0; v < group.variants.length; v++) {
      const unshifted = random?.int(0, pairs.length - 1);
      pairs.forEach((pair, p) => {
        const { input, output = UNKNOWN_OUTPUT } = variantPair(group, v, pair);
        const at = random && p !== unshifted ? drawTranslation(random, [input, output], side) : ORIGIN;
        writeGridToCanvas(canvas, 0, input, side, at);
        inputs.set(canvas, example * tokens);
        writeGridToCanvas(canvas, 0, output, side, at);
        labels.set(canvas, example * tokens);
        example++;
      });
      puzzleIds.push(group.firstPuzzleId + v);
      puzzleStarts.push(example);
    }
    groupStarts.push(puzzleIds.length);
  }
  const [ids, puzzles, groupsAt] = [puzzleIds, puzzleStarts, groupStarts].map((numbers) => Int32Array.from(numbers));
  return { tokens, inputs, labels, puzzleIds: ids!, puzzleStarts: puzzles!, groupStarts: groupsAt! };
}
