/** Rows of the puzzle embedding that change what they stand for. */
import type { Example } from "../encode/batch.ts";
import type { Demonstrate } from "../encode/demonstrations.ts";
import { UserError } from "../errors.ts";
import type { Random } from "../random.ts";
import { FIRST_CODE_ID } from "./augmentation-codes.ts";
import { epochOrders } from "./epoch-orders.ts";

/** How rows of the puzzle embedding are given out. */
export interface RowLives {
  /** rows in use at any time */
  readonly slots: number;
  /** examples after which a row is given up for a new one, at its start value, that stands for something else */
  readonly visits: number;
}

/** A variant of a task of a plan. */
export interface TaskVariant {
  /** place of its task among the plan's groups */
  readonly group: number;
  readonly variant: number;
}

/** What a row stands for while it lives: a rule, or a variant of a task. */
export interface Holder {
  /** given where it is a variant of a task; where it is a task, the first of its variants */
  readonly of?: TaskVariant;
  /** variants of the task, where it stands for that: see `LIFE_VARIANTS` */
  readonly variants?: readonly number[];
  /** what it shows, whichever pair will be asked about */
  readonly demonstrate: Demonstrate;
  /**
   * @param visit    0 for the first example of this life
   * @param random   of this example alone
   * @param puzzleId of the row
   */
  exampleAt(visit: number, random: Random, puzzleId: number): Example;
}

/**
 * Variants under which a row is seen in its life, where it stands for a task and not for a variant: the example's puzzle id is then the row's times
 * this, plus the place of its variant.
 */
export const LIFE_VARIANTS = 8;

/** Puzzle ids of rows with lives begin here, beyond those of rows that keep what they stand for. */
const FIRST_LIFE_ID = 2 ** 16;

/**
 * An endless stream in which every epoch shows each of so many slots once, in random order. A slot holds something for a number of visits, then
 * something new under a new puzzle id: the trunk always sees rows of every age and learns to be read and told apart by rows that are a few updates
 * from their start, as those of new tasks are at test time. Slots change at different times.
 *
 * What lies at a place depends on the seed and the place alone, as in `data/sampler.ts`.
 */
export class LivesStream {
  readonly #lives: RowLives;
  readonly #draw: (random: Random) => Holder;
  readonly #random: Random;
  readonly #order: (epoch: number) => readonly number[];

  /** @param draw what a new life stands for; the same for the same random stream */
  constructor(lives: RowLives, draw: (random: Random) => Holder, random: Random) {
    this.#lives = lives;
    this.#draw = draw;
    this.#random = random;
    this.#order = epochOrders(lives.slots, random);
  }

  /** Examples of one epoch. */
  get epochLength(): number {
    return this.#lives.slots;
  }

  exampleAt(index: number): Example {
    const { slots } = this.#lives;
    const epoch = Math.floor(index / slots);
    const slot = this.#order(epoch)[index % slots]!;
    const { life, visit } = this.#ageOf(slot, epoch);
    const puzzleId = FIRST_LIFE_ID + slot + slots * life;
    if (puzzleId >= FIRST_CODE_ID)
      throw new UserError(
        `--row-visits ${this.#lives.visits}: rows were given to new tasks as often as can be told apart; go on with --from, or more visits`,
      );
    return this.#holder(slot, life).exampleAt(visit, this.#random.fork("pair").fork(index), puzzleId);
  }

  /** What each slot's row stands for at a place of the stream, and how often it came before, give or take one. */
  holdersAt(index: number): { puzzleId: number; holder: Holder; visit: number }[] {
    const { slots } = this.#lives;
    return Array.from({ length: slots }, (_, slot) => {
      const { life, visit } = this.#ageOf(slot, Math.floor(index / slots));
      return { puzzleId: FIRST_LIFE_ID + slot + slots * life, holder: this.#holder(slot, life), visit };
    });
  }

  /** What a row stands for while it lives. */
  holderOf(puzzleId: number): Holder {
    const at = puzzleId - FIRST_LIFE_ID;
    return this.#holder(at % this.#lives.slots, Math.floor(at / this.#lives.slots));
  }

  #holder(slot: number, life: number): Holder {
    return this.#draw(this.#random.fork("life").fork(`${slot}:${life}`));
  }

  /** Whether a row's life is over at a place of the stream: no place from there on asks for it. */
  isOver(puzzleId: number, index: number): boolean {
    const { slots } = this.#lives;
    const at = puzzleId - FIRST_LIFE_ID;
    return Math.floor(at / slots) < this.#ageOf(at % slots, Math.floor(index / slots)).life;
  }

  #ageOf(slot: number, epoch: number): { life: number; visit: number } {
    const { slots, visits } = this.#lives;
    const age = epoch + Math.floor((slot * visits) / slots);
    return { life: Math.floor(age / visits), visit: age % visits };
  }
}
