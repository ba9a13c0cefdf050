/** Confidence intervals by resampling: of tasks, and of seeds within them. */
import type { Random } from "../random.ts";

/** A value with what can be said of its uncertainty. */
export interface Estimate {
  readonly mean: number;
  /** of the mean over seeds: deviation of the seeds' means / sqrt(seeds); one seed tells none */
  readonly standardError?: number | undefined;
  /** 95 % of resamplings lie within */
  readonly low: number;
  readonly high: number;
}

/** Resamplings of an interval. */
export const RESAMPLINGS = 2000;
const OUTSIDE = 0.025;

/**
 * The mean of values by seed and task, with an interval over both: seeds are drawn anew, and tasks, the same for every seed.
 *
 * @param values [seed][task]; every seed has the same tasks
 */
export function estimate(values: readonly (readonly number[])[], random: Random): Estimate {
  const seedMeans = values.map(meanOf);
  const mean = meanOf(seedMeans);
  const squares = seedMeans.reduce((sum, each) => sum + (each - mean) ** 2, 0);
  const standardError = seedMeans.length > 1 ? Math.sqrt(squares / (seedMeans.length - 1) / seedMeans.length) : undefined;
  const [S, T] = [values.length, values[0]?.length ?? 0];
  const means: number[] = [];
  for (let n = 0; n < RESAMPLINGS && S > 0 && T > 0; n++) {
    const tasks = Array.from({ length: T }, () => random.int(0, T - 1));
    const seeds = Array.from({ length: S }, () => random.int(0, S - 1));
    let sum = 0;
    for (const seed of seeds) for (const task of tasks) sum += values[seed]![task]!;
    means.push(sum / (S * T));
  }
  means.sort((a, b) => a - b);
  const at = (share: number): number => means[Math.min(means.length - 1, Math.floor(share * means.length))] ?? mean;
  return { mean, ...(standardError !== undefined && { standardError }), low: at(OUTSIDE), high: at(1 - OUTSIDE) };
}

/** How two arms differ on the same tasks and seeds: their differences, resampled in pairs. */
export function difference(a: readonly (readonly number[])[], b: readonly (readonly number[])[], random: Random): Estimate {
  return estimate(
    a.map((row, seed) => row.map((value, task) => value - b[seed]![task]!)),
    random,
  );
}

function meanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
