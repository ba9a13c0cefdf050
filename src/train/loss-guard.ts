/** Notices a training that has collapsed though its numbers are finite: the loss has risen far above what it had been, and stays there. */

/** Weight of the newest step in the running mean of the loss. */
const WEIGHT = 1 / 25;
/** Steps before the mean says anything. */
const WARM_STEPS = 50;
/** The loss has exploded where its mean is above so many times its least, and so much more, in nats a token, for so many steps on end. */
const FACTOR = 3;
const SLACK = 0.5;
const PATIENCE = 25;
/** Above this share of that limit a state is not worth a snapshot, unless the loss stays there. */
const RISING_SHARE = 0.6;
const RISING_STEPS = 300;

/** Watches the token loss of a training, step by step; the same on every rank, as the loss is. */
export class LossGuard {
  #mean = 0;
  #steps = 0;
  #least = Number.POSITIVE_INFINITY;
  #above = 0;
  #rising = 0;

  /** Takes in a step's mean token loss. @returns in words what has happened, where the training has collapsed */
  note(loss: number): string | undefined {
    this.#steps++;
    this.#mean += Math.max(WEIGHT, 1 / this.#steps) * (loss - this.#mean);
    if (this.#steps < WARM_STEPS) return undefined;
    this.#least = Math.min(this.#least, this.#mean);
    this.#above = this.#mean > this.#limit ? this.#above + 1 : 0;
    this.#rising = this.#mean > RISING_SHARE * this.#limit ? this.#rising + 1 : 0;
    if (this.#above < PATIENCE) return undefined;
    return `the loss has risen to ${this.#mean.toFixed(3)}, from ${this.#least.toFixed(3)} at its least`;
  }

  /** The loss is on its way up: a state of now may be worse than one of before. */
  get isRising(): boolean {
    return this.#rising > 0 && this.#rising <= RISING_STEPS;
  }

  /** Another state was put in place: what it had been at its least still counts, its mean is measured anew. */
  restart(): void {
    [this.#mean, this.#steps, this.#above, this.#rising] = [0, 0, 0, 0];
  }

  /** What is trained on is another thing from here on: nothing of before says how high its loss should be. */
  forget(): void {
    this.#least = Number.POSITIVE_INFINITY;
    this.restart();
  }

  get #limit(): number {
    return FACTOR * this.#least + SLACK;
  }
}
