/**
 * Codes of what an augmentation changes: where embeddings are factored, that of a variant is the row of its task, the code of its symmetry and the
 * code of each colour that becomes another one, added up. What stays as it is has no code, so the original's embedding is its task's row alone.
 */
import type { Augmentation } from "../augment/augmentation.ts";
import { COLOR_COUNT } from "../augment/color-permutation.ts";
import { DIHEDRAL_COUNT } from "../augment/dihedral.ts";
import type { PuzzlePlan } from "./build.ts";
import { competitorId, competitorOf } from "./competitors.ts";
import { PuzzleIds } from "./puzzle-ids.ts";

/** Ids of the codes' rows begin here, beyond those of puzzles. */
export const FIRST_CODE_ID = 2 ** 24;

/** Codes that there are: of 8 symmetries, then of 10 x 10 colours and what they become. Those of what stays as it is are never asked for. */
export const CODE_COUNT = DIHEDRAL_COUNT + COLOR_COUNT ** 2;

/** Whether a row of the table is a code's. */
export function isCode(id: number): boolean {
  return id >= FIRST_CODE_ID;
}

/**
 * Factor of a row's learning rate. An embedding is the sum of about ten rows, which sign-SGD moves by the whole rate each whatever their gradients: with
 * a tenth for codes it moves about as far in a step as one that is a row. Mean loss after 90 steps on the sample tasks, two seeds: 0.29 with factor 1,
 * 0.23 with 0.3, 0.22 with 0.1.
 */
export function codeRate(id: number): number {
  return isCode(id) ? 0.1 : 1;
}

/** Place among all codes, 0 to `CODE_COUNT` - 1. */
export function dihedralCode(dihedral: number): number {
  return dihedral;
}

/** Place among all codes of colour `from` that becomes `to`. */
export function colorCode(from: number, to: number): number {
  return DIHEDRAL_COUNT + COLOR_COUNT * from + to;
}

/** Ids of the rows that an augmentation adds to its task's; none for one that changes nothing. */
export function codesOf({ dihedral, colorPermutation }: Augmentation): number[] {
  const codes = dihedral === 0 ? [] : [FIRST_CODE_ID + dihedralCode(dihedral)];
  colorPermutation.forEach((to, from) => {
    if (to !== from) codes.push(FIRST_CODE_ID + colorCode(from, to));
  });
  return codes;
}

/**
 * The rows whose sum is a puzzle's embedding: its task's, which has the id of the original, then the codes of its variant. Rows that compete have
 * one for each task and start, and share the codes. A puzzle that is no variant of the plan's tasks (a generated task, say) has a row of its own.
 *
 * @param starts of rows that compete, if any do
 */
export function factoredParts(plan: PuzzlePlan, starts = 1): (puzzleId: number) => number[] {
  const ids = new PuzzleIds(plan);
  return (id) => {
    if (id >= plan.puzzleCount * starts) return [id];
    const { puzzleId, start } = competitorOf(id, plan.puzzleCount);
    const variant = ids.variant(puzzleId);
    if (!variant) return [id];
    return [competitorId(variant.group.firstPuzzleId, start, plan.puzzleCount), ...codesOf(variant.augmentation)];
  };
}
