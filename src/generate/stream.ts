/** Generated tasks as an endless stream of training examples. */
import type { Example } from "../encode/batch.ts";
import { pairToExample } from "../encode/canvas.ts";
import type { Random } from "../random.ts";
import type { TrainingRule } from "./generate.ts";

/**
 * Every epoch shows each rule once, in random order, with a pair that was never seen before. Rule i has puzzle id i + 1.
 *
 * What lies at a place depends on the seed and the place alone, as in `data/sampler.ts`.
 */
export class GeneratedStream {
  readonly #rules: readonly TrainingRule[];
  readonly #side: number;
  readonly #random: Random;
  readonly #orders = new Map<number, number[]>();

  /** @param side canvas edge in cells; pairs lie at its top left */
  constructor(rules: readonly TrainingRule[], side: number, random: Random) {
    this.#rules = rules;
    this.#side = side;
    this.#random = random;
  }

  exampleAt(index: number): Example {
    const epoch = Math.floor(index / this.#rules.length);
    const rule = this.#order(epoch)[index % this.#rules.length]!;
    const pair = this.#rules[rule]!.pair(this.#random.fork("pair").fork(index));
    return pairToExample(pair, this.#side, { row: 0, col: 0 }, rule + 1);
  }

  #order(epoch: number): number[] {
    const known = this.#orders.get(epoch);
    if (known) return known;
    const order = this.#random
      .fork("order")
      .fork(epoch)
      .shuffled([...this.#rules.keys()]);
    this.#orders.set(epoch, order);
    if (this.#orders.size > 64) this.#orders.delete(this.#orders.keys().next().value!);
    return order;
  }
}
