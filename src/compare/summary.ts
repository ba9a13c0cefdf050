/** What the runs of a comparison come to: a row for each arm, measures with intervals, differences from the first arm. */
import { createRandom } from "../random.ts";
import type { ArmRun } from "./arms.ts";
import { difference, type Estimate, estimate } from "./bootstrap.ts";

/** What one run is judged by. */
export interface Outcome {
  readonly steps: number;
  readonly seconds: number;
  /** by task, in the order of the solutions: share of its test inputs that are right in one attempt, in two, and among all answers */
  readonly tasks: { readonly "pass@1": readonly number[]; readonly "pass@2": readonly number[]; readonly oracle: readonly number[] };
  /** on demonstrations that were held back, after the training; see `run --leave-out` */
  readonly leftOut?: { readonly exact: number; readonly lmLoss: number } | undefined;
}

/** Measures that every run has, by task. */
export const MEASURES = ["pass@1", "pass@2", "oracle"] as const;
export type Measure = (typeof MEASURES)[number];

/** An arm over all its seeds. */
export interface ArmSummary {
  readonly name: string;
  readonly options: readonly string[];
  readonly seeds: readonly string[];
  readonly measures: Readonly<Record<Measure, Estimate>>;
  /** this arm minus the first one, on the seeds that both have */
  readonly differences: Readonly<Record<Measure, Estimate>> | undefined;
  readonly leftOut: { readonly exact: Estimate; readonly lmLoss: Estimate } | undefined;
  /** means over seeds */
  readonly steps: number;
  readonly seconds: number;
}

export interface Summary {
  readonly tasks: number;
  readonly arms: readonly ArmSummary[];
  /** of the comparison, so far */
  readonly runs?: { readonly made: number; readonly planned: number } | undefined;
}

/** @param outcomes of the runs that were made */
export function summarize(outcomes: readonly { readonly run: ArmRun; readonly outcome: Outcome }[], seed: string): Summary {
  const random = createRandom(seed).fork("bootstrap");
  const names = [...new Set(outcomes.map(({ run }) => run.arm.name))];
  const of = (name: string) => outcomes.filter(({ run }) => run.arm.name === name);
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [base] = names;
  const arms = names.map((name): ArmSummary => {
    const made = of(name);
    const pairs = made.flatMap((one) =>
      of(base!).flatMap((other) => (other.run.seed === one.run.seed ? [[one.outcome, other.outcome] as const] : [])),
    );
    const each = <M extends Measure>(estimateOf: (measure: M) => Estimate) =>
      Object.fromEntries(MEASURES.map((measure) => [measure, estimateOf(measure as M)])) as Record<Measure, Estimate>;
    const leftOut = made.flatMap(({ outcome }) => outcome.leftOut ?? []);
    // Per seed, not per task: what a run tells of left-out pairs is one number.
    const overSeeds = (values: readonly number[]): Estimate =>
      estimate(
        values.map((value) => [value]),
        random,
      );
    return {
      name,
      options: made[0]!.run.arm.options,
      seeds: made.map(({ run }) => run.seed),
      measures: each((measure) =>
        estimate(
          made.map(({ outcome }) => outcome.tasks[measure]),
          random,
        ),
      ),
      differences:
        name === base || pairs.length === 0
          ? undefined
          : each((measure) =>
              difference(
                pairs.map(([one]) => one.tasks[measure]),
                pairs.map(([, other]) => other.tasks[measure]),
                random,
              ),
            ),
      leftOut:
        leftOut.length === made.length
          ? { exact: overSeeds(leftOut.map(({ exact }) => exact)), lmLoss: overSeeds(leftOut.map(({ lmLoss }) => lmLoss)) }
          : undefined,
      steps: mean(made.map(({ outcome }) => outcome.steps)),
      seconds: mean(made.map(({ outcome }) => outcome.seconds)),
    };
  });
  return { tasks: outcomes[0]?.outcome.tasks["pass@2"].length ?? 0, arms };
}
