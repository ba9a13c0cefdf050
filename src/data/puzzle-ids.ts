/** Which variant of which task a row of the puzzle embedding stands for. */
import { type Augmentation, augmentationId } from "../augment/augmentation.ts";
import type { Group, PuzzlePlan } from "./build.ts";

/** Row 0 of the puzzle embedding, which stands for no puzzle: that of padding rows. */
export const BLANK_PUZZLE_ID = 0;

/** Name of the blank row in identifiers.json. */
const BLANK_NAME = "<blank>";

/** A variant, found by its puzzle id. */
export interface Variant {
  readonly group: Group;
  /** 0 is the original */
  readonly index: number;
  readonly augmentation: Augmentation;
}

/** Looks up puzzle ids of a plan both ways. */
export class PuzzleIds {
  readonly #plan: PuzzlePlan;
  readonly #groupOf: ReadonlyMap<string, Group>;

  constructor(plan: PuzzlePlan) {
    this.#plan = plan;
    this.#groupOf = new Map(plan.groups.map((group) => [group.task.id, group]));
  }

  /** How many there are, the blank one included; ids are 0..count-1. */
  get count(): number {
    return this.#plan.puzzleCount;
  }

  /** The variant of a puzzle id; undefined for the blank one and for ids that there are not. */
  variant(puzzleId: number): Variant | undefined {
    const { groups, puzzleCount } = this.#plan;
    if (!(puzzleId > BLANK_PUZZLE_ID && puzzleId < puzzleCount)) return undefined;
    let low = 0; // the last group that starts at or before the id
    for (let high = groups.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (groups[middle]!.firstPuzzleId <= puzzleId) low = middle;
      else high = middle - 1;
    }
    const group = groups[low]!;
    const index = puzzleId - group.firstPuzzleId;
    return { group, index, augmentation: group.variants.at(index) };
  }

  /** The puzzle id of a task's variant (0 is the original); undefined where there is none. */
  puzzleId(taskId: string, index: number): number | undefined {
    const group = this.#groupOf.get(taskId);
    return group && index >= 0 && index < group.variants.length ? group.firstPuzzleId + index : undefined;
  }

  /** Names in order of puzzle id, as identifiers.json has them: `<blank>`, then augmentation ids. */
  names(): string[] {
    const ofGroup = ({ task, variants }: Group): string[] =>
      Array.from({ length: variants.length }, (_, v) => augmentationId(task.id, variants.at(v)));
    return [BLANK_NAME, ...this.#plan.groups.flatMap(ofGroup)];
  }
}
