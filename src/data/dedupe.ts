/** Distinct variants of a task. Source: TRM dataset/build_arc_dataset.py (`puzzle_hash`, `convert_single_arc_puzzle`). */
import { createHash } from "node:crypto";
import type { Grid } from "../arc/grid.ts";
import type { Task, TestPair } from "../arc/task.ts";
import { type Augmentation, drawAugmentation, identityAugmentation } from "../augment/augmentation.ts";
import { AugmentationList } from "../augment/augmentation-list.ts";
import { COLOR_COUNT } from "../augment/color-permutation.ts";
import { DIHEDRAL_COUNT, readingOrder } from "../augment/dihedral.ts";
import type { Random } from "../random.ts";

/** Draws that may be spent on each variant asked for. */
const DRAWS_PER_VARIANT = 5;

/** Stands in for an output that isn't known, as in the released builder. */
export const UNKNOWN_OUTPUT: Grid = { rows: 1, cols: 1, cells: Uint8Array.of(0) };

/** The released code's name for a grid: sha256, in hex, of its rows, its columns and its cells, a byte each. */
export function gridHash({ rows, cols, cells }: Grid): string {
  return createHash("sha256").update(Uint8Array.of(rows, cols)).update(cells).digest("hex");
}

/**
 * The released code's name for a puzzle, whatever the order of its pairs: sha256, in hex, of the sorted `<input hash>|<output hash>` of all pairs.
 *
 * @param pairs train and test; an output that isn't known counts as one black cell
 */
export function puzzleHash(pairs: readonly TestPair[]): string {
  const hashes = pairs.map(({ input, output }) => `${gridHash(input)}|${gridHash(output ?? UNKNOWN_OUTPUT)}`);
  return createHash("sha256").update(hashes.sort().join("|")).digest("hex");
}

/** The variants of a task that are told apart. */
export interface Variants {
  /** the identity, then at most as many as asked for, no two of which give the same puzzle */
  readonly augmentations: AugmentationList;
  /** the released code's warning where there are fewer than asked for */
  readonly message?: string;
}

/**
 * Draws augmentations of a task until as many distinct ones as asked for are found, in at most five times as many draws.
 *
 * A draw is dropped if its puzzle was seen before, the original's included. The released code compares `puzzleHash`; here the far cheaper
 * `fingerprintsOf` decides, which gives the same but for a chance below 1e-8 a task of dropping one variant too many.
 *
 * @param count how many besides the identity
 * @param draw  the next augmentation, random as a rule
 */
export function distinctVariants(task: Task, count: number, draw: () => Augmentation): Variants {
  const fingerprint = fingerprintsOf([...task.train, ...task.test]);
  const kept = [identityAugmentation()];
  const seen = new Set([fingerprint(kept[0]!)]);
  for (let trial = 0; trial < count * DRAWS_PER_VARIANT && kept.length <= count; trial++) {
    const augmentation = draw();
    const print = fingerprint(augmentation);
    if (seen.has(print)) continue;
    seen.add(print);
    kept.push(augmentation);
  }
  const augmentations = AugmentationList.of(kept);
  return kept.length <= count
    ? { augmentations, message: `[Puzzle ${task.id}] augmentation not full, only ${kept.length}` }
    : { augmentations };
}

/** `distinctVariants` with random draws. */
export function drawVariants(task: Task, count: number, random: Random): Variants {
  return distinctVariants(task, count, () => drawAugmentation(random));
}

/**
 * A function that gives a number to each augmentation of a puzzle: the same one wherever the augmented puzzles are the same (in any order of
 * their pairs), and different ones otherwise but for a chance of 2^-53.
 *
 * A grid's number is the sum over its cells of weight(place) * value(colour), which regroups into a sum over the ten colours of
 * value(new colour) * (sum of the weights of the old colour's places). The inner sums depend on the symmetry alone, so they are made once for all
 * eight and an augmentation costs ten products a grid, instead of making and hashing its grids.
 */
export function fingerprintsOf(pairs: readonly TestPair[]): (augmentation: Augmentation) => number {
  const grids = pairs.flatMap(({ input, output }) => [input, output ?? UNKNOWN_OUTPUT]);
  const lanes = [1, 2].map((lane) => {
    const sums = Array.from({ length: DIHEDRAL_COUNT }, (_, dihedral) => grids.map((grid) => colorSums(grid, dihedral, lane)));
    const values = Uint32Array.from({ length: COLOR_COUNT }, (_, color) => mix(mix(color + 1) ^ mix(-lane)));
    return ({ dihedral, colorPermutation }: Augmentation): number => {
      const numbers = sums[dihedral]!.map(({ shape, byColor }) => {
        let sum = shape;
        for (let color = 0; color < COLOR_COUNT; color++) sum += Math.imul(byColor[color]!, values[colorPermutation[color]!]!);
        return mix(sum);
      });
      let total = 0;
      for (let i = 0; i < numbers.length; i += 2) total = (total + mix(numbers[i]! + 3 * numbers[i + 1]!)) | 0; // in any order of the pairs
      return total >>> 0;
    };
  });
  const [low, high] = lanes;
  return (augmentation) => (high!(augmentation) >>> 11) * 2 ** 32 + low!(augmentation);
}

/** For a turned or mirrored grid: a number for its shape, and for each colour the sum of the weights of its places. */
function colorSums(grid: Grid, dihedral: number, lane: number): { readonly shape: number; readonly byColor: Int32Array } {
  const { rows, cols, start, rowStep, colStep } = readingOrder(grid, dihedral);
  const byColor = new Int32Array(COLOR_COUNT);
  for (let r = 0, place = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) byColor[grid.cells[start + r * rowStep + c * colStep]!]! += mix(++place * 2 + lane * 0x10000);
  }
  return { shape: mix(rows * 64 + cols + lane * 0x20000), byColor };
}

/** The 32 bits of an integer, well mixed (the last steps of MurmurHash3); one to one. */
function mix(value: number): number {
  let hash = Math.imul(value ^ 0x9e3779b9, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
