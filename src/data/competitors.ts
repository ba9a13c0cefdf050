/** The rows that compete in a latent search: of a few variants of each task one for every starting point. */
import { AugmentationList } from "../augment/augmentation-list.ts";
import type { Group } from "./build.ts";

/** Variants of a task that compete: few, so that their rows get far in the time; more than one, so that more than one pair is held back. */
export const COMPETING_VARIANTS = 2;

/** The same where embeddings are factored: a task's variants share a row, which would learn the pair that another one holds back. */
export function competingVariants(factored: boolean | undefined): number {
  return factored ? 1 : COMPETING_VARIANTS;
}

/** A row's id: those of the first start are the plan's own, those of the others lie behind them, start by start. */
export function competitorId(puzzleId: number, start: number, puzzleCount: number): number {
  return puzzleId + start * puzzleCount;
}

/** What an id of `competitorId` stands for. */
export function competitorOf(id: number, puzzleCount: number): { readonly puzzleId: number; readonly start: number } {
  return { puzzleId: id % puzzleCount, start: Math.floor(id / puzzleCount) };
}

/**
 * The demonstration that the rows of a variant are not trained on but scored by: each variant of a task has another one.
 *
 * @param pairs demonstrations of the task; the only one there is can't be spared, and is trained on and scored by
 */
export function heldBackPair(pairs: number, variant: number): number {
  return variant % Math.max(1, pairs);
}

/** A group of one variant for each row that competes, with the demonstrations that it is trained on. @param most variants of a task */
export function competitors(groups: readonly Group[], starts: number, puzzleCount: number, most: number = COMPETING_VARIANTS): Group[] {
  return groups.flatMap(({ task, variants, firstPuzzleId, train }) =>
    Array.from({ length: Math.min(most, variants.length) }, (_, variant) => {
      const held = train.length > 1 ? heldBackPair(train.length, variant) : undefined;
      const alone = {
        task,
        variants: AugmentationList.of([variants.at(variant)]),
        train: train.filter((_pair, i) => i !== held),
        test: [],
      };
      return Array.from({ length: starts }, (_start, start) => ({
        ...alone,
        firstPuzzleId: competitorId(firstPuzzleId + variant, start, puzzleCount),
      }));
    }).flat(),
  );
}
