/** Picks what is handed in: the best voted answers, and fallbacks where there are too few. */
import { type Entry, testInputsOf } from "../arc/challenges-json.ts";
import { equalGrids } from "../arc/grid.ts";
import { quoted, shortened } from "../arc/grid-json.ts";
import { InputError } from "../errors.ts";
import type { RankedAnswer, RankedAnswers } from "../vote/rank.ts";
import { fallbackAttempts } from "./fallback.ts";
import type { Submission } from "./format.ts";

/** A submission, and how many test inputs got nothing but fallbacks. */
export interface Choice {
  readonly submission: Submission;
  readonly fallbackInputs: number;
}

/**
 * A valid answer to every test input of every task, in file order.
 *
 * Empty grids, which the competition refuses, are passed over. The released code repeats the best answer where there are too few and
 * leaves a test input without predictions out, so that later answers move to the wrong one; here fallbacks take those places.
 */
export function chooseAttempts(entries: readonly Entry[], ranked: RankedAnswers, attempts = 2): Choice {
  let fallbackInputs = 0;
  const submission = new Map(
    entries.map((entry) => [
      entry.id,
      Array.from({ length: testInputsOf(entry) }, (_, testIndex) => {
        const voted = (ranked.get(entry.id)?.[testIndex] ?? []).map(({ grid }) => grid).filter((grid) => grid.rows > 0 && grid.cols > 0);
        if (voted.length === 0) fallbackInputs++;
        const best = voted.slice(0, attempts);
        const spare = fallbackAttempts(entry, testIndex, attempts);
        for (const grid of spare) if (best.length < attempts && !best.some((chosen) => equalGrids(chosen, grid))) best.push(grid);
        while (best.length < attempts) best.push(best[0]!);
        return best;
      }),
    ]),
  );
  return { submission, fallbackInputs };
}

/**
 * Answers from elsewhere put into the order of these tasks: an empty list for each test input without any; answers to other tasks
 * are left out with a note.
 *
 * @throws InputError where no task is answered, or a task is answered for another number of test inputs than it has
 */
export function alignAnswers(
  entries: readonly Entry[],
  ranked: RankedAnswers,
  where: string,
): { answers: Map<string, readonly (readonly RankedAnswer[])[]>; notes: string[] } {
  const ids = new Set(entries.map(({ id }) => id));
  const foreign = [...ranked.keys()].filter((id) => !ids.has(id));
  if (foreign.length > 0 && foreign.length === ranked.size) {
    throw new InputError(where, [
      `none of its tasks is among those answered (${quoted(foreign[0]!)}, ...); are these files of the same set?`,
    ]);
  }
  const problems = entries.flatMap((entry) => {
    const given = ranked.get(entry.id)?.length;
    const needed = testInputsOf(entry);
    return given === undefined || given === needed ? [] : [`task ${quoted(entry.id)} has ${needed} test inputs, but ${given} are answered`];
  });
  if (problems.length > 0) throw new InputError(where, shortened(problems));
  const missing = entries.filter(({ id }) => !ranked.has(id)).length;
  const notes: string[] = [];
  if (foreign.length > 0)
    notes.push(`${where}: ${foreign.length} answered tasks are not among its tasks and are left out (${quoted(foreign[0]!)}, ...)`);
  if (missing > 0) notes.push(`${where}: ${missing} of its tasks have no answer; they get fallbacks`);
  const answers = new Map(
    entries.map((entry) => [entry.id, ranked.get(entry.id) ?? Array.from({ length: testInputsOf(entry) }, () => [])]),
  );
  return { answers, notes };
}
