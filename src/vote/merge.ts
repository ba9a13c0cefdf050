/** Joins ranked answers of several files: shards of one run, other seeds, other systems. */
import { type Grid, gridKey } from "../arc/grid.ts";
import { quoted, shortened } from "../arc/grid-json.ts";
import { InputError } from "../errors.ts";
import { type RankedAnswer, type RankedAnswers, rankOrderFree } from "./rank.ts";

/** One file's answers and how much each of its votes counts (more than 0). */
export interface WeightedAnswers {
  /** the file's name, for messages */
  readonly where: string;
  readonly answers: RankedAnswers;
  readonly weight: number;
}

/**
 * Answers to one test input from several lists: votes times weight add up, meanQ is the mean weighted by these votes.
 * The order of the lists has no influence; merging merged lists gives the same as merging all at once (meanQ up to rounding).
 * Exact ties go by the grids' shape and colours. Merge first, cut the list afterwards.
 */
export function mergeRanked(lists: readonly { readonly answers: readonly RankedAnswer[]; readonly weight: number }[]): RankedAnswer[] {
  const joined = new Map<string, { grid: Grid; parts: { votes: number; meanQ: number }[] }>();
  for (const { answers, weight } of lists) {
    for (const { grid, votes, meanQ } of answers) {
      const key = gridKey(grid);
      const entry = joined.get(key) ?? { grid, parts: [] };
      joined.set(key, entry);
      entry.parts.push({ votes: votes * weight, meanQ });
    }
  }
  return rankOrderFree(
    [...joined.values()].map(({ grid, parts }) => {
      parts.sort((a, b) => a.votes - b.votes || a.meanQ - b.meanQ); // a sum of floats depends on its order
      const votes = parts.reduce((sum, part) => sum + part.votes, 0);
      const q = parts.reduce((sum, part) => sum + part.votes * part.meanQ, 0) / votes;
      return { grid, votes, meanQ: parts.length === 1 ? parts[0]!.meanQ : Math.min(1, q) };
    }),
  );
}

/**
 * The answers of several files together; a task may stand in any number of them. Ids in order of first appearance.
 *
 * @throws InputError where files disagree on how many test inputs a task has
 */
export function mergeAnswers(files: readonly WeightedAnswers[]): Map<string, RankedAnswer[][]> {
  const lists = new Map<string, { answers: readonly RankedAnswer[]; weight: number }[][]>();
  const firstIn = new Map<string, string>();
  const problems: string[] = [];
  for (const { where, answers, weight } of files) {
    for (const [id, tests] of answers) {
      const known = lists.get(id);
      if (!known) {
        lists.set(
          id,
          tests.map((list) => [{ answers: list, weight }]),
        );
        firstIn.set(id, where);
      } else if (known.length !== tests.length) {
        problems.push(`task ${quoted(id)} has ${known.length} test inputs in ${firstIn.get(id)}, ${tests.length} in ${where}`);
      } else for (const [i, list] of tests.entries()) known[i]!.push({ answers: list, weight });
    }
  }
  if (problems.length > 0) throw new InputError("files to merge", shortened(problems));
  return new Map([...lists].map(([id, tests]) => [id, tests.map(mergeRanked)]));
}
