/** Generated tasks as an endless stream of training examples. */
import type { Example } from "../encode/batch.ts";
import { pairToExample } from "../encode/canvas.ts";
import type { Random } from "../random.ts";
import type { TrainingRule } from "./generate.ts";

/** How rows of the puzzle embedding are given out to rules. */
export interface RowLives {
  /** rows in use at any time */
  readonly slots: number;
  /** examples after which a row is given up for a new one, at its start value, with a new rule */
  readonly visits: number;
}

/** Puzzle ids of rows with lives begin here, beyond those of rules that keep theirs. */
const FIRST_LIFE_ID = 2 ** 16;

/**
 * Every epoch shows each rule once, in random order, with a pair that was never seen before. Rule i has puzzle id i + 1.
 *
 * With `lives`, an epoch shows each of so many slots once instead. A slot holds a rule for a number of visits, then another
 * one of a random kind, with a new puzzle id: the trunk always sees rows of every age and learns to be read and told apart
 * by rows that are a few updates from their start, as those of new tasks are at test time. Slots change at different times.
 *
 * What lies at a place depends on the seed and the place alone, as in `data/sampler.ts`.
 */
export class GeneratedStream {
  readonly #rules: readonly TrainingRule[];
  readonly #side: number;
  readonly #random: Random;
  readonly #lives: RowLives | undefined;
  readonly #byKind: readonly (readonly TrainingRule[])[];
  readonly #orders = new Map<number, number[]>();

  /** @param side canvas edge in cells; pairs lie at its top left */
  constructor(rules: readonly TrainingRule[], side: number, random: Random, lives?: RowLives) {
    this.#rules = rules;
    this.#side = side;
    this.#random = random;
    this.#lives = lives;
    this.#byKind = [...new Set(rules.map(({ kind }) => kind))].map((kind) => rules.filter((rule) => rule.kind === kind));
  }

  /** Examples of one epoch. */
  get epochLength(): number {
    return this.#lives?.slots ?? this.#rules.length;
  }

  exampleAt(index: number): Example {
    const epoch = Math.floor(index / this.epochLength);
    const slot = this.#order(epoch)[index % this.epochLength]!;
    const { rule, puzzleId } = this.#holder(slot, epoch);
    const pair = rule.pair(this.#random.fork("pair").fork(index));
    return pairToExample(pair, this.#side, { row: 0, col: 0 }, puzzleId);
  }

  #holder(slot: number, epoch: number): { rule: TrainingRule; puzzleId: number } {
    if (!this.#lives) return { rule: this.#rules[slot]!, puzzleId: slot + 1 };
    const { slots, visits } = this.#lives;
    const life = Math.floor((epoch + Math.floor((slot * visits) / slots)) / visits);
    const draw = this.#random.fork("life").fork(`${slot}:${life}`);
    return { rule: draw.pick(draw.pick(this.#byKind)), puzzleId: FIRST_LIFE_ID + slot + slots * life };
  }

  #order(epoch: number): number[] {
    const known = this.#orders.get(epoch);
    if (known) return known;
    const order = this.#random
      .fork("order")
      .fork(epoch)
      .shuffled(Array.from({ length: this.epochLength }, (_, slot) => slot));
    this.#orders.set(epoch, order);
    if (this.#orders.size > 64) this.#orders.delete(this.#orders.keys().next().value!);
    return order;
  }
}
