/** The votes of a run, stage by stage: predictions of better adapted weights replace those of earlier ones. */
import { type Entry, testInputsOf } from "../arc/challenges-json.ts";
import { equalGrids } from "../arc/grid.ts";
import type { RankedAnswer } from "../vote/rank.ts";
import { type Candidate, Tally } from "../vote/tally.ts";
import type { Weigher } from "../vote/weighting.ts";

/** An answer, and whether it only fills up what was missing to two: its votes are of an earlier stage then. */
export interface BallotAnswer extends RankedAnswer {
  readonly isEarlier?: true;
}

/**
 * Tallies of successive stages (unadapted, interim, final).
 *
 * A test input is answered by the latest stage that has a vote on it; answers of earlier stages only fill up what is
 * missing to two. So a stage that runs out of time never takes an answer away.
 */
export class Ballot {
  readonly #stages: Tally[] = [];

  /** Begins a stage; votes now count for it. @param planned votes planned of each test input, see `Tally` @param weigher what a vote counts */
  beginStage(planned?: number, weigher?: Weigher): void {
    this.#stages.push(new Tally(planned, weigher));
  }

  /** Counts a vote in the current stage. */
  add(candidate: Candidate): boolean {
    return this.#stages.at(-1)!.add(candidate);
  }

  /** Votes on a test input in the current stage. */
  votes(taskId: string, testIndex: number): number {
    return this.#stages.at(-1)?.votes(taskId, testIndex) ?? 0;
  }

  /** Whether no vote of the current stage that is to come can change the two answers to a test input. Of two that it has, both are its own. */
  isDecided(taskId: string, testIndex: number): boolean {
    return this.#stages.at(-1)?.isDecided(taskId, testIndex) ?? false;
  }

  /** Votes that count, in all stages. */
  get total(): number {
    return this.#stages.reduce((sum, stage) => sum + stage.total, 0);
  }

  /** The answers to a test input, best first. @param weigher what a vote would count instead */
  ranked(taskId: string, testIndex: number, weigher?: Weigher): BallotAnswer[] {
    const answers: BallotAnswer[] = [];
    for (const stage of this.#stages.toReversed()) {
      if (answers.filter(({ grid }) => grid.rows > 0).length >= 2) break;
      const isEarlier = answers.length > 0;
      for (const answer of stage.ranked(taskId, testIndex, weigher)) {
        if (!answers.some((other) => equalGrids(other.grid, answer.grid))) answers.push(isEarlier ? { ...answer, isEarlier } : answer);
      }
    }
    return answers;
  }

  /** The answers to every test input of every task, in their order. */
  rankedAll(entries: readonly Entry[], weigher?: Weigher): Map<string, RankedAnswer[][]> {
    return new Map(
      entries.map((entry) => [entry.id, Array.from({ length: testInputsOf(entry) }, (_, i) => this.ranked(entry.id, i, weigher))]),
    );
  }
}
