/** Predictions that wait to be made, and what becomes of those whose worker was lost over them. */
import type { PredictionItem } from "./job.ts";

/** A prediction over which this many workers were lost is not tried again. */
const MAX_LOSSES = 2;

/** What a queue asks of its items. */
export interface Questions {
  /** asked of each when its turn comes: what came of others may have made it needless, or there is no time left for it; then it is dropped */
  wanted?(item: PredictionItem): boolean;
  /** those of a chunk have the same one */
  kind?(item: PredictionItem): number;
}

/** Hands out chunks of predictions; those that come back undone are tried one by one, those that nobody wants any more are dropped. */
export class PredictionQueue {
  #waiting: PredictionItem[];
  readonly #chunk: number;
  readonly #questions: Questions;
  readonly #losses = new Map<PredictionItem, number>();
  #underWay = 0;
  #changed: () => void = () => {};
  #change = new Promise<void>((resolve) => {
    this.#changed = resolve;
  });

  constructor(items: readonly PredictionItem[], chunk: number, questions: Questions = {}) {
    this.#waiting = items.slice();
    this.#chunk = chunk;
    this.#questions = questions;
  }

  /** Nothing waits, and nothing is under way that might come back. */
  get isDone(): boolean {
    return this.#waiting.length === 0 && this.#underWay === 0;
  }

  /** Wakes those that wait for a change: something else than a chunk may have changed what they can do. */
  nudge(): void {
    this.#tell();
  }

  /** Resolves when a chunk was done or came back. */
  changed(): Promise<void> {
    return this.#change;
  }

  /**
   * The next chunk of those that `may` be made; empty where there is none now. One over which a worker was lost comes alone. A chunk that the first in
   * turn leaves room in is filled with the next of its kind, however many of other kinds come before these; but as long as one of the first round
   * (the originals) waits, with nothing from a later round: every test input has a vote before any has a second.
   */
  take(may: (item: PredictionItem) => boolean): PredictionItem[] {
    const taken: PredictionItem[] = [];
    const passedOver: PredictionItem[] = [];
    let seen = 0;
    let firstRoundWaits = false;
    for (let alone = false; seen < this.#waiting.length && taken.length < this.#chunk && !alone; seen++) {
      const item = this.#waiting[seen]!;
      if (this.#questions.wanted?.(item) === false) continue;
      const suspect = this.#losses.has(item);
      const isOther = taken.length > 0 && this.#questions.kind?.(item) !== this.#questions.kind?.(taken[0]!);
      const isLater = firstRoundWaits && item.variant > 0 && taken.length > 0;
      if (!may(item) || isOther || isLater || (suspect && taken.length > 0)) {
        firstRoundWaits ||= isOther && item.variant === 0 && may(item);
        passedOver.push(item);
        continue;
      }
      taken.push(item);
      alone = suspect;
    }
    const dropped = seen - taken.length - passedOver.length;
    this.#waiting = [...passedOver, ...this.#waiting.slice(seen)];
    if (taken.length > 0) this.#underWay++;
    if (dropped > 0 && this.isDone) this.#tell();
    return taken;
  }

  /** A chunk was made. */
  done(): void {
    this.#underWay--;
    this.#tell();
  }

  /** A chunk was not made. @param lost whether its worker was lost over it @returns those that are given up */
  putBack(chunk: readonly PredictionItem[], lost: boolean): PredictionItem[] {
    const givenUp: PredictionItem[] = [];
    for (const item of chunk.toReversed()) {
      const losses = (this.#losses.get(item) ?? 0) + (lost ? 1 : 0);
      if (losses > 0) this.#losses.set(item, losses);
      // Only one that was alone is known to be at fault.
      if (chunk.length === 1 && losses >= MAX_LOSSES) givenUp.push(item);
      else this.#waiting.unshift(item);
    }
    this.#underWay--;
    this.#tell();
    return givenUp;
  }

  #tell(): void {
    const changed = this.#changed;
    this.#change = new Promise((resolve) => {
      this.#changed = resolve;
    });
    changed();
  }
}
