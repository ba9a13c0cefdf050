/** What training reports say, averaged: over all of late for people, and over a stretch of steps for the curves. */
import type { Metrics } from "../metrics/metrics-file.ts";
import type { Progress } from "../train/loop.ts";

/** Weight of the newest report in the running means. */
const NEWEST_WEIGHT = 0.05;

/** Running means over the reports of a run, accuracy and exactness over the rows that finished their sample; each NaN until there is something to tell. */
export class RunningMeans {
  lmLoss = Number.NaN;
  accuracy = Number.NaN;
  exact = Number.NaN;
  /** of the rows that an encoder made */
  encodedLoss = Number.NaN;
  encodedExact = Number.NaN;

  /** nothing was reported yet */
  get isEmpty(): boolean {
    return Number.isNaN(this.lmLoss);
  }

  add({ lmLoss, finished, accuracy, exact, encoded }: Progress): void {
    this.lmLoss = mixed(this.lmLoss, lmLoss);
    if (encoded) this.encodedLoss = mixed(this.encodedLoss, encoded.lmLoss);
    if (encoded && encoded.finished > 0) this.encodedExact = mixed(this.encodedExact, encoded.exact / encoded.finished);
    if (finished === 0) return;
    this.accuracy = mixed(this.accuracy, accuracy / finished);
    this.exact = mixed(this.exact, exact / finished);
  }
}

function mixed(old: number, value: number): number {
  return Number.isNaN(old) ? value : old + NEWEST_WEIGHT * (value - old);
}

/** Numbers of a report that are summed up. */
const SUMMED = ["lmLoss", "qHaltLoss", "finished", "accuracy", "exact", "qHaltAccuracy", "actSteps"] as const;
type Sums = Record<(typeof SUMMED)[number], number>;

const noEncoded = () => ({ lmLoss: 0, finished: 0, exact: 0 });
const nothing = (): Sums => ({ lmLoss: 0, qHaltLoss: 0, finished: 0, accuracy: 0, exact: 0, qHaltAccuracy: 0, actSteps: 0 });

/** One point of the training's curves: the means over all reports since the last point. */
export class CurvePoint {
  #last: Progress | undefined;
  #reports = 0;
  #sums = nothing();
  #encoded = noEncoded();

  add(progress: Progress): void {
    const { encoded } = progress;
    if (encoded) for (const name of ["lmLoss", "finished", "exact"] as const) this.#encoded[name] += encoded[name];
    for (const name of SUMMED) this.#sums[name] += progress[name];
    this.#reports++;
    this.#last = progress;
  }

  /** The point and its step, after which the next one begins; undefined where nothing was reported. */
  take(): { step: number; metrics: Metrics } | undefined {
    const last = this.#last;
    if (!last) return undefined;
    const { lmLoss, qHaltLoss, finished, accuracy, exact, qHaltAccuracy, actSteps } = this.#sums;
    const metrics = {
      "train/lm loss": lmLoss / this.#reports,
      "train/halting loss": qHaltLoss / this.#reports,
      "train/token accuracy": accuracy / finished,
      "train/exact": exact / finished,
      "train/halting accuracy": qHaltAccuracy / finished,
      "train/ACT steps": actSteps / finished,
      "rate/trunk": last.lrTrunk,
      "speed/step seconds": last.stepSeconds,
      ...(last.encoded && {
        "encoder/lm loss": this.#encoded.lmLoss / this.#reports,
        ...(this.#encoded.finished > 0 && { "encoder/exact": this.#encoded.exact / this.#encoded.finished }),
      }),
    };
    this.#sums = nothing();
    this.#encoded = noEncoded();
    this.#reports = 0;
    this.#last = undefined;
    return { step: last.step, metrics };
  }
}
