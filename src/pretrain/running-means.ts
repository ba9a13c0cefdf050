/** What training reports of late say, averaged for people. */
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
