/** What a vote counts: one each as in the official evaluator, or by how sure the model was of it. */

/** `count`: 1 each; `halting`: the probability of the halting head; `agreement`: the share of the last ACT steps that gave the same grid. */
export const VOTE_WEIGHTINGS = ["count", "halting", "agreement"] as const;
export type VoteWeighting = (typeof VOTE_WEIGHTINGS)[number];

/** How long a prediction had stood when it was read out. */
export interface Agreement {
  /** last ACT steps whose grid is that of the last one, itself included: from 1 up */
  readonly steps: number;
  /** ACT steps that were taken */
  readonly of: number;
}

/** What is known of a prediction besides its grid. */
export interface Confidence {
  /** the halt logit at the last ACT step; NaN counts as no confidence (probability 0) */
  readonly qHaltLogit: number;
  /** where it was watched */
  readonly agreement?: Agreement | undefined;
}

/** A logistic that makes of a halt logit the chance that the answer is right: sigmoid(slope * logit + offset). */
export interface HaltingScale {
  /** from 0 up, so that a surer head never counts less */
  readonly slope: number;
  readonly offset: number;
}

/** Gives each vote its weight. */
export interface Weigher {
  readonly weighting: VoteWeighting;
  /** 0..1 */
  weigh(vote: Confidence): number;
}

/** Sigmoid of a halt logit; 0 for NaN. */
export function haltProbability(logit: number): number {
  return Number.isNaN(logit) ? 0 : 1 / (1 + Math.exp(-logit));
}

const WEIGH: Readonly<Record<VoteWeighting, (vote: Confidence, scale: HaltingScale) => number>> = {
  count: () => 1,
  halting: ({ qHaltLogit }, { slope, offset }) => haltProbability(slope * qHaltLogit + offset),
  agreement: ({ agreement }) => (agreement ? agreement.steps / agreement.of : 1),
};

/** @param scale of halt logits, see `halting-scale.ts`; as they are unless given */
export function weigherOf(weighting: VoteWeighting, scale: HaltingScale = { slope: 1, offset: 0 }): Weigher {
  return { weighting, weigh: (vote) => WEIGH[weighting](vote, scale) };
}

/** The official rule. */
export const COUNT = weigherOf("count");

/**
 * Every way of weighing that votes tell enough for, by name.
 *
 * @param scale     what pairs held back have told of the halting head
 * @param isWatched votes have their agreement
 */
export function weighersFor(scale: HaltingScale | undefined, isWatched: boolean): ReadonlyMap<string, Weigher> {
  return new Map([
    ["count", COUNT],
    ["halting", weigherOf("halting")],
    ...(scale ? [["halting, held-out", weigherOf("halting", scale)] as const] : []),
    ...(isWatched ? [["agreement", weigherOf("agreement")] as const] : []),
  ]);
}
