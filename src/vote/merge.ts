/** Joins ranked answers of several files: shards of one run, other seeds, other systems. */
import { gridFromKey, gridKey } from "../arc/grid.ts";
import { quoted, shortened } from "../arc/grid-json.ts";
import { InputError } from "../errors.ts";
import { compareAnswers, type RankedAnswer, type RankedAnswers, strengthOf } from "./rank.ts";

/** One file's answers and how much each of its votes counts (0: none). */
export interface WeightedAnswers {
  /** the file's name, for messages */
  readonly where: string;
  readonly answers: RankedAnswers;
  readonly weight: number;
}

/** What lists say of one answer: votes times weight, and the confidence of these votes. */
type Share = Omit<RankedAnswer, "grid">;

/** What several lists say of one answer together; their order has no influence. */
export function addUp(shares: readonly Share[]): Share {
  if (shares.length === 1) return shares[0]!;
  const inOrder = shares.toSorted((a, b) => a.votes - b.votes || a.meanQ - b.meanQ || strengthOf(a) - strengthOf(b)); // a sum of floats depends on its order
  const votes = inOrder.reduce((sum, share) => sum + share.votes, 0);
  const q = inOrder.reduce((sum, share) => sum + share.votes * share.meanQ, 0) / votes;
  const weight = inOrder.every((share) => share.weight === undefined)
    ? undefined
    : inOrder
        .map(strengthOf)
        .toSorted((a, b) => a - b)
        .reduce((sum, each) => sum + each, 0);
  return { votes, meanQ: Math.min(1, q), ...(weight !== undefined && { weight }) };
}

/** What several lists say of the answers to one test input. */
class Pool {
  /** by `gridKey` */
  readonly shares = new Map<string, Share[]>();
  /** lists that had an answer */
  lists = 0;
}

function pour(pool: Pool, answers: readonly RankedAnswer[], weight: number): void {
  if (weight === 0) return;
  if (answers.length > 0) pool.lists++;
  for (const { grid, votes, meanQ, weight: weighed } of answers) {
    const key = gridKey(grid);
    const shares = pool.shares.get(key);
    const share = { votes: votes * weight, meanQ, ...(weighed !== undefined && { weight: weighed * weight }) };
    if (shares) shares.push(share);
    else pool.shares.set(key, [share]);
  }
}

function ranked(pool: Pool, best?: number): RankedAnswer[] {
  const keyed = [...pool.shares].map(([key, shares]) => ({ key, ...addUp(shares) }));
  // What one list alone says stands as it is: a run puts the votes of its last stage before more votes of an earlier one.
  const isOneList = pool.lists <= 1 && keyed.length === [...pool.shares.values()].flat().length;
  if (!isOneList) keyed.sort((a, b) => compareAnswers(a, b) || (a.key < b.key ? -1 : 1));
  return keyed.slice(0, best).map(({ key, ...share }) => ({ grid: gridFromKey(key), ...share }));
}

/**
 * Answers to one test input from several lists: votes times weight add up, meanQ is the mean weighted by these votes.
 * The order of the lists has no influence; merging merged lists gives the same as merging all at once (meanQ up to rounding).
 * Exact ties go by the grids' shape and colours. A list that is alone in having answers keeps its order. Merge first, cut the list afterwards.
 */
export function mergeRanked(lists: readonly { readonly answers: readonly RankedAnswer[]; readonly weight: number }[]): RankedAnswer[] {
  const pool = new Pool();
  for (const { answers, weight } of lists) pour(pool, answers, weight);
  return ranked(pool);
}

/** Joins files one after the other, so that only one of them need be in memory beside what they come to. */
export class AnswerMerge {
  readonly #tasks = new Map<string, { readonly pools: readonly Pool[]; readonly firstIn: string }>();
  readonly #problems: string[] = [];

  /** Adds a file's answers; a task may stand in any number of files. */
  add({ where, answers, weight }: WeightedAnswers): void {
    for (const [id, tests] of answers) {
      const known = this.#tasks.get(id) ?? { pools: tests.map(() => new Pool()), firstIn: where };
      this.#tasks.set(id, known);
      const { pools, firstIn } = known;
      if (pools.length !== tests.length)
        this.#problems.push(`task ${quoted(id)} has ${pools.length} test inputs in ${firstIn}, ${tests.length} in ${where}`);
      else for (const [i, list] of tests.entries()) pour(pools[i]!, list, weight);
    }
  }

  /**
   * Gives the answers of all files together and forgets them. Ids in order of first appearance.
   *
   * @param best how many of each list are given, the best first; all unless given
   * @throws InputError where files disagree on how many test inputs a task has
   */
  take(best?: number): Map<string, RankedAnswer[][]> {
    if (this.#problems.length > 0) throw new InputError("files to merge", shortened(this.#problems));
    const answers = new Map<string, RankedAnswer[][]>();
    for (const [id, { pools }] of this.#tasks) {
      this.#tasks.delete(id);
      answers.set(
        id,
        pools.map((pool) => ranked(pool, best)),
      );
    }
    return answers;
  }
}

/** The same answers with the weight of their votes for the number of them, so that lists of different weightings can be set beside each other. Those without weight are left out. */
export function strengthsAsVotes(answers: RankedAnswers): Map<string, RankedAnswer[][]> {
  const plain = (list: readonly RankedAnswer[]): RankedAnswer[] =>
    list.flatMap((answer) => (strengthOf(answer) > 0 ? [{ grid: answer.grid, votes: strengthOf(answer), meanQ: answer.meanQ }] : []));
  return new Map([...answers].map(([id, tests]) => [id, tests.map(plain)]));
}

/** The answers of several files together, see `AnswerMerge`. */
export function mergeAnswers(files: readonly WeightedAnswers[]): Map<string, RankedAnswer[][]> {
  const merge = new AnswerMerge();
  for (const file of files) merge.add(file);
  return merge.take();
}
