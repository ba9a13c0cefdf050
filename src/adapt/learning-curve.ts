/** How the answers of a dry run get better while it trains: their score at each look, where solutions are at hand. */
import type { RunRecord } from "./run-record-file.ts";

/** Answers within this many attempts are scored. */
export const CURVE_KS: readonly number[] = [1, 2, 10];

/** The score at one moment. */
export interface CurvePoint {
  /** optimizer steps that the answers come from */
  readonly step: number;
  /** of the run */
  readonly seconds: number;
  /** `pass@K` of test inputs and `pass@KPerTask`, 0..1 */
  readonly score: Readonly<Record<string, number>>;
}

/** The points so far, those of earlier processes of the run included. */
export class LearningCurve {
  readonly #record: RunRecord;
  readonly #score: (() => Record<string, number>) | undefined;
  readonly #seconds: () => number;

  /** @param score of the answers so far; none where there are no solutions: then nothing is noted */
  constructor(record: RunRecord, score: (() => Record<string, number>) | undefined, seconds: () => number) {
    this.#record = record;
    this.#score = score;
    this.#seconds = seconds;
  }

  get points(): readonly CurvePoint[] {
    return this.#record.notes.curve ?? [];
  }

  /** Notes the score of the answers so far. @returns it in words; undefined where there is none */
  note(step: number): string | undefined {
    if (!this.#score) return undefined;
    const score = this.#score();
    const point = { step, seconds: this.#seconds(), score };
    this.#record.note({ curve: [...this.points, point] });
    return CURVE_KS.map((k) => `pass@${k} ${(100 * (score[`pass@${k}`] ?? 0)).toFixed(1)} %`).join(", ");
  }
}
