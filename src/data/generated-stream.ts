/** Generated tasks as an endless stream of training examples. */
import type { Pair } from "../arc/task.ts";
import { drawTranslation, ORIGIN } from "../augment/translation.ts";
import type { Example } from "../encode/batch.ts";
import { pairToExample } from "../encode/canvas.ts";
import { type Demonstrate, layDemonstrations, othersThan } from "../encode/demonstrations.ts";
import type { TrainingRule } from "../generate/generate.ts";
import type { Random } from "../random.ts";
import { epochOrders } from "./epoch-orders.ts";

/** One shifted example in so many lies at the canvas's top left all the same, where test inputs lie. */
const UNSHIFTED_ONE_IN = 4;

/** Demonstrations of a generated task at least. */
const LEAST_DEMONSTRATIONS = 2;

/** How a rule's pairs become examples. */
export interface GeneratedOptions {
  /** canvas edge in cells */
  readonly side: number;
  /** whether pairs are shifted on the canvas */
  readonly translate: boolean;
}

/** A fresh pair of a rule as an example; never the same twice but by chance. */
export function ruleExample(rule: TrainingRule, { side, translate }: GeneratedOptions, random: Random, puzzleId: number): Example {
  const pair = rule.pair(random);
  const shifted = translate && random.int(1, UNSHIFTED_ONE_IN) > 1;
  const example = pairToExample(pair, side, shifted ? drawTranslation(random, [pair.input, pair.output], side) : ORIGIN, puzzleId);
  return { ...example, demonstrate: demonstrateRule(rule, pair, side, random.fork("demonstrations")) };
}

/** Fresh pairs of a rule, beside the one that is asked about where there is one: as many as tasks have, two at least. */
export function demonstrateRule(rule: TrainingRule, asked: Pair | undefined, side: number, random: Random): Demonstrate {
  return (atMost) => {
    const count = random.int(Math.min(LEAST_DEMONSTRATIONS, atMost), atMost);
    const pairs = Array.from({ length: count }, (_, i) => rule.pair(random.fork(i)));
    return layDemonstrations(asked ? othersThan(asked, pairs) : pairs, side);
  };
}

/**
 * Every epoch shows each rule once, in random order, with a pair that was never seen before. Rule i has puzzle id `firstPuzzleId` + i.
 *
 * What lies at a place depends on the seed and the place alone, as in `data/sampler.ts`.
 */
export class GeneratedStream {
  readonly #rules: readonly TrainingRule[];
  readonly #options: GeneratedOptions;
  readonly #random: Random;
  readonly #firstPuzzleId: number;
  readonly #order: (epoch: number) => readonly number[];

  constructor(rules: readonly TrainingRule[], options: GeneratedOptions, random: Random, firstPuzzleId = 1) {
    this.#rules = rules;
    this.#options = options;
    this.#random = random;
    this.#firstPuzzleId = firstPuzzleId;
    this.#order = epochOrders(rules.length, random);
  }

  /** Examples of one epoch. */
  get epochLength(): number {
    return this.#rules.length;
  }

  exampleAt(index: number): Example {
    const place = this.#order(Math.floor(index / this.epochLength))[index % this.epochLength]!;
    return ruleExample(this.#rules[place]!, this.#options, this.#random.fork("pair").fork(index), this.#firstPuzzleId + place);
  }
}
