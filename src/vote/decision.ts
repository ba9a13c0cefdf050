/** When votes that are still to come can't change the two answers handed in. */

/** What speaks for one answer so far. */
interface Standing {
  votes: number;
  /** of the weights of its votes, added in their order: what answers are ranked by */
  strength: number;
  /** of the halt probabilities of its votes, added in their order */
  sum: number;
  /** place of its first vote */
  readonly first: number;
}

/** An answer that nobody gave yet. */
const UNSEEN: Standing = { votes: 0, strength: 0, sum: 0, first: Number.POSITIVE_INFINITY };

/**
 * The votes on one test input in their planned order, by the rule of `Tally`.
 *
 * Decided is what no further votes can change, whatever their grids, weights and halt probabilities: which answer is first, and which second. Where
 * votes count 1 each the bound is exact: where it says undecided there are votes, with probabilities from 0 to 1, that would change one of the two.
 * So fewer than two different answers decide nothing while a vote is to come: that vote could be the second answer. Where votes have weights, each
 * that is to come may weigh 1, the most there is.
 */
export class OrderedVotes {
  readonly #standings = new Map<string, Standing>();
  #counted = 0;

  /** How many votes there are. */
  get count(): number {
    return this.#counted;
  }

  /**
   * Counts the next vote.
   *
   * @param key      tells its grid from others; undefined for the empty grid, which is never handed in
   * @param haltProbability 0..1
   * @param weight          0..1
   */
  add(key: string | undefined, haltProbability: number, weight = 1): void {
    const place = this.#counted++;
    if (key === undefined) return;
    const standing = this.#standings.get(key);
    if (!standing) this.#standings.set(key, { votes: 1, strength: weight, sum: haltProbability, first: place });
    else {
      standing.votes++;
      standing.strength += weight;
      standing.sum += haltProbability;
    }
  }

  /** Whether `remaining` votes more, or fewer of them, can change neither answer. Cost: one pass over the different answers. */
  isDecided(remaining: number): boolean {
    if (remaining <= 0) return true;
    let best: Standing | undefined;
    let second: Standing | undefined;
    for (const standing of this.#standings.values()) {
      if (!best || isAhead(standing, best)) [best, second] = [standing, best];
      else if (!second || isAhead(standing, second)) second = standing;
    }
    if (!best || !second || canPass(second, best, remaining) || canPass(UNSEEN, second, remaining)) return false;
    for (const standing of this.#standings.values())
      if (standing !== best && standing !== second && canPass(standing, second, remaining)) return false;
    return true;
  }
}

function isAhead(a: Standing, b: Standing): boolean {
  if (a.strength !== b.strength) return a.strength > b.strength;
  const [meanOfA, meanOfB] = [a.sum / a.votes, b.sum / b.votes];
  return meanOfA === meanOfB ? a.first < b.first : meanOfA > meanOfB;
}

/** Whether one that is behind can come to be ahead: most easily with all remaining votes, each with weight and probability 1. */
function canPass(behind: Standing, ahead: Standing, remaining: number): boolean {
  const { first } = behind;
  const votes = behind.votes + remaining;
  let { strength, sum } = behind;
  for (let i = 0; i < remaining; i++) [strength, sum] = [strength + 1, sum + 1]; // one by one, as they would be added: the sum of floats depends on it
  if (strength !== ahead.strength) return strength > ahead.strength;
  return isAhead({ votes, strength, sum, first }, ahead);
}
