/** Counts votes as they come in, over many rounds. Source of the rule: TRM evaluators/arc.py. */
import { type Grid, gridKey } from "../arc/grid.ts";
import { OrderedVotes } from "./decision.ts";
import { type RankedAnswer, rankAnswers } from "./rank.ts";
import { COUNT, type Confidence, haltProbability, type Weigher } from "./weighting.ts";

/** One prediction: a grid decoded from one variant and turned back to the task's own colours and orientation. */
export interface Candidate extends Confidence {
  readonly taskId: string;
  readonly testIndex: number;
  readonly grid: Grid;
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
  readonly ballots: { readonly order: number; readonly q: number; readonly vote: Confidence }[];
}

interface Poll {
  /** by `gridKey` */
  readonly answers: Map<string, Answer>;
  readonly counted: Set<number>;
  /** the first votes, as far as none between them is missing */
  readonly inOrder: OrderedVotes;
  /** those that came before their turn */
  readonly early: Map<number, { readonly key: string | undefined; readonly q: number; readonly weight: number }>;
  /** the first so many votes have decided; others don't count */
  decidedBy: number | undefined;
}

/**
 * The votes of a run so far.
 *
 * Rule: answers by number of votes, then by mean sigmoid of their halt logits (float64, summed in `order`), both descending; an exact
 * tie goes to the answer whose first vote has the smallest `order`. The result depends on which candidates were added, never on when.
 * The one exception: of two different candidates with the same `order`, the one added first counts. Where votes have weights, their sum takes the
 * place of the number of votes.
 *
 * Where the number of planned votes is known (their `order` is 0, 1, ...), a test input is decided by the shortest beginning of them, without a
 * gap, after which no later ones can change the two answers handed in. Later ones, which others had under way meanwhile, don't count: so
 * votes too are the same however many workers there are.
 */
export class Tally {
  readonly #polls = new Map<string, Poll[]>();
  readonly #planned: number | undefined;
  readonly #weigher: Weigher;

  /**
   * @param planned votes planned of each test input; without it none is decided, and all count
   * @param weigher what a vote counts
   */
  constructor(planned?: number, weigher = COUNT) {
    this.#planned = planned;
    this.#weigher = weigher;
  }

  /** Counts a vote. @returns false where this prediction (task, test input, order) was counted already, or came when others had decided */
  add({ taskId, testIndex, grid, qHaltLogit, agreement, order }: Candidate): boolean {
    const polls = this.#polls.get(taskId) ?? [];
    this.#polls.set(taskId, polls);
    while (polls.length <= testIndex)
      polls.push({ answers: new Map(), counted: new Set(), inOrder: new OrderedVotes(), early: new Map(), decidedBy: undefined });
    const poll = polls[testIndex]!;
    const { answers, counted } = poll;
    if (counted.has(order) || order >= (poll.decidedBy ?? Number.POSITIVE_INFINITY)) return false;
    counted.add(order);
    const key = gridKey(grid);
    const q = haltProbability(qHaltLogit);
    const vote = { qHaltLogit, agreement };
    const answer = answers.get(key) ?? { grid, ballots: [] };
    answers.set(key, answer);
    answer.ballots.push({ order, q, vote });
    if (this.#planned !== undefined) {
      poll.early.set(order, { key: grid.rows > 0 ? key : undefined, q, weight: this.#weigher.weigh(vote) });
      decide(poll, this.#planned);
    }
    return true;
  }

  /** Whether no vote to come can change the two answers to a test input: there are none to come, or they can't. */
  isDecided(taskId: string, testIndex: number): boolean {
    return this.#polls.get(taskId)?.[testIndex]?.decidedBy !== undefined;
  }

  /** Votes that count, on all test inputs. */
  get total(): number {
    return [...this.#polls.values()].flat().reduce((sum, { counted }) => sum + counted.size, 0);
  }

  /** How many votes a test input has. */
  votes(taskId: string, testIndex: number): number {
    return this.#polls.get(taskId)?.[testIndex]?.counted.size ?? 0;
  }

  /** The answers to a test input, best first; none where nobody voted. @param weigher what a vote would count instead */
  ranked(taskId: string, testIndex: number, { weighting, weigh } = this.#weigher): RankedAnswer[] {
    const poll = this.#polls.get(taskId)?.[testIndex];
    if (!poll) return [];
    const counted = [...poll.answers.values()].map(({ grid, ballots }) => {
      ballots.sort((a, b) => a.order - b.order);
      const sum = ballots.reduce((total, { q }) => total + q, 0);
      const weight = weighting === "count" ? undefined : ballots.reduce((total, { vote }) => total + weigh(vote), 0);
      const answer = { grid, votes: ballots.length, meanQ: sum / ballots.length, ...(weight !== undefined && { weight }) };
      return { first: ballots[0]!.order, answer };
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
}

/** Takes in votes whose turn it is; once they have decided, those after them are taken out. */
function decide(poll: Poll, planned: number): void {
  const { inOrder, early, answers, counted } = poll;
  while (poll.decidedBy === undefined) {
    const next = early.get(inOrder.count);
    if (!next) return;
    early.delete(inOrder.count);
    inOrder.add(next.key, next.q, next.weight);
    if (inOrder.isDecided(planned - inOrder.count)) poll.decidedBy = inOrder.count;
  }
  const late = (order: number): boolean => order >= poll.decidedBy!;
  early.clear();
  for (const order of [...counted].filter(late)) counted.delete(order);
  for (const [key, answer] of answers) {
    const ballots = answer.ballots.filter(({ order }) => !late(order));
    if (ballots.length === 0) answers.delete(key);
    else if (ballots.length < answer.ballots.length) answers.set(key, { ...answer, ballots });
  }
}
