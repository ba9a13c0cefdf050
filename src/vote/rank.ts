/** Puts the different answers to one test input in order. Source: TRM evaluators/arc.py. */
import { type Grid, gridKey } from "../arc/grid.ts";

/** One answer to one test input, with what speaks for it. */
export interface RankedAnswer {
  /** May be the empty 0 x 0 grid: voted on like any other, but never handed in. */
  readonly grid: Grid;
  /** How many predictions gave it; a fraction where lists were merged with weights. More than 0. */
  readonly votes: number;
  /** Mean sigmoid of the halt logits behind it, 0..1. */
  readonly meanQ: number;
  /** What these votes weigh together, where they do not count 1 each. */
  readonly weight?: number | undefined;
}

/** Answers by task id, one list per test input, best answer first; ids in file order. */
export type RankedAnswers = ReadonlyMap<string, readonly (readonly RankedAnswer[])[]>;

/** What an answer is ranked by: the weight of its votes, or their number. */
export function strengthOf({ votes, weight }: Pick<RankedAnswer, "votes" | "weight">): number {
  return weight ?? votes;
}

/** Negative where `a` comes before `b`: more votes (or a greater weight of them) first, then the higher mean halt probability; 0 on an exact tie. */
export function compareAnswers(a: Omit<RankedAnswer, "grid">, b: Omit<RankedAnswer, "grid">): number {
  return strengthOf(b) - strengthOf(a) || b.meanQ - a.meanQ;
}

/** Answers in voted order; exact ties keep the order they are given in. */
export function rankAnswers(answers: readonly RankedAnswer[]): RankedAnswer[] {
  return answers.slice().sort(compareAnswers);
}

/** As `rankAnswers`, but exact ties go by the grids themselves, so that the order given does not matter. */
export function rankOrderFree(answers: readonly RankedAnswer[]): RankedAnswer[] {
  const keyed = answers.map((answer) => ({ answer, key: gridKey(answer.grid) }));
  keyed.sort((a, b) => compareAnswers(a.answer, b.answer) || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return keyed.map(({ answer }) => answer);
}
