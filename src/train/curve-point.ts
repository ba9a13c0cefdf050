/** A stretch of training as one point of its curves. */
import type { Metrics } from "../metrics/metrics-file.ts";
import type { Progress } from "./loop.ts";
import { MetricSums } from "./metric-sums.ts";

/** One point of the training's curves: of all steps that were reported since the last point. */
export class CurvePoint {
  #last: Progress | undefined;
  readonly #sums = new MetricSums();

  add(progress: Progress): void {
    this.#sums.add(progress, progress.steps);
    this.#last = progress;
  }

  /** The point and its step, after which the next one begins; undefined where nothing was reported. Shares of nothing are NaN, and no point of a curve. */
  take(): { step: number; metrics: Metrics } | undefined {
    const of = this.#sums.take();
    const last = this.#last;
    if (!of || !last) return undefined;
    const { lmLoss, qHaltLoss, finished, accuracy, exact, qHaltAccuracy, actSteps, taught, encoded } = of.metrics;
    const metrics = {
      "train/lm loss": lmLoss,
      "train/halting loss": qHaltLoss,
      "train/token accuracy": accuracy / finished,
      "train/exact": exact / finished,
      "train/halting accuracy": qHaltAccuracy / finished,
      "train/ACT steps": actSteps / finished,
      ...(taught && { "held back/halting loss": taught.qHaltLoss, "held back/halting accuracy": taught.qHaltAccuracy / taught.finished }),
      ...(encoded && { "encoder/lm loss": encoded.lmLoss, "encoder/exact": encoded.exact / encoded.finished }),
      "rate/trunk": last.lrTrunk,
      "speed/step seconds": last.stepSeconds,
    };
    this.#last = undefined;
    return { step: last.step, metrics };
  }
}
