/** Counts votes as they come in, over many rounds. Source of the rule: TRM evaluators/arc.py. */
import { type Grid, gridKey } from "../arc/grid.ts";
import { type RankedAnswer, rankAnswers } from "./rank.ts";

/** One prediction: a grid decoded from one variant and turned back to the task's own colours and orientation. */
export interface Candidate {
  readonly taskId: string;
  readonly testIndex: number;
  readonly grid: Grid;
  /** The halt logit at the last ACT step; NaN counts as no confidence (probability 0). */
  readonly qHaltLogit: number;
  /**
   * The prediction's place among all planned predictions of its test input (the number of its variant, say): unique there, and the
   * same however many workers there are. It stands in for the time of arrival, and a prediction made twice is counted once.
   */
  readonly order: number;
  /** Where it is from, for reports: the id of the augmentation. */
  readonly variant?: string;
}

interface Answer {
  readonly grid: Grid;
  readonly ballots: { readonly order: number; readonly q: number }[];
}

interface Poll {
  /** by `gridKey` */
  readonly answers: Map<string, Answer>;
  readonly counted: Set<number>;
}

/**
 * The votes of a run so far.
 *
 * Rule: answers by number of votes, then by mean sigmoid of their halt logits (float64, summed in `order`), both descending; an exact
 * tie goes to the answer whose first vote has the smallest `order`. The result depends on which candidates were added, never on when.
 * The one exception: of two different candidates with the same `order`, the one added first counts.
 */
export class Tally {
  readonly #polls = new Map<string, Poll[]>();

  /** Counts a vote. @returns false where this prediction (task, test input, order) was counted already */
  add({ taskId, testIndex, grid, qHaltLogit, order }: Candidate): boolean {
    const polls = this.#polls.get(taskId) ?? [];
    this.#polls.set(taskId, polls);
    while (polls.length <= testIndex) polls.push({ answers: new Map(), counted: new Set() });
    const { answers, counted } = polls[testIndex]!;
    if (counted.has(order)) return false;
    counted.add(order);
    const key = gridKey(grid);
    const answer = answers.get(key) ?? { grid, ballots: [] };
    answers.set(key, answer);
    answer.ballots.push({ order, q: sigmoid(qHaltLogit) });
    return true;
  }

  /** How many votes a test input has. */
  votes(taskId: string, testIndex: number): number {
    return this.#polls.get(taskId)?.[testIndex]?.counted.size ?? 0;
  }

  /** The answers to a test input, best first; none where nobody voted. */
  ranked(taskId: string, testIndex: number): RankedAnswer[] {
    const poll = this.#polls.get(taskId)?.[testIndex];
    if (!poll) return [];
    const counted = [...poll.answers.values()].map(({ grid, ballots }) => {
      ballots.sort((a, b) => a.order - b.order);
      const sum = ballots.reduce((total, { q }) => total + q, 0);
      return { first: ballots[0]!.order, answer: { grid, votes: ballots.length, meanQ: sum / ballots.length } };
    });
    counted.sort((a, b) => a.first - b.first);
    return rankAnswers(counted.map(({ answer }) => answer));
  }

  /** The answers to all test inputs of the given tasks, in their order; an empty list where nobody voted. */
  rankedAll(tasks: Iterable<{ readonly id: string; readonly testInputs: number }>): Map<string, RankedAnswer[][]> {
    const all = new Map<string, RankedAnswer[][]>();
    for (const { id, testInputs } of tasks) {
      all.set(
        id,
        Array.from({ length: testInputs }, (_, i) => this.ranked(id, i)),
      );
    }
    return all;
  }

  /**
   * Whether `remaining` more votes could change which answers are the `best` handed in (their order among themselves aside).
   * Empty grids are never handed in and don't count. Cost: one pass over the different answers.
   */
  canBestChange(taskId: string, testIndex: number, remaining: number, best = 2): boolean {
    if (remaining <= 0) return false;
    const answers = this.#polls.get(taskId)?.[testIndex]?.answers.values() ?? [];
    const votes = [...answers].filter(({ grid }) => grid.rows > 0).map(({ ballots }) => ballots.length);
    votes.sort((a, b) => b - a);
    const lastIn = votes[best - 1];
    if (lastIn === undefined) return true;
    return (votes[best] ?? 0) + remaining >= lastIn; // with as many votes the mean halt probability decides, which may change too
  }
}

function sigmoid(logit: number): number {
  return Number.isNaN(logit) ? 0 : 1 / (1 + Math.exp(-logit));
}
