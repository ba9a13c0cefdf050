/** What predictions cost on each canvas, learned from those that came in. */

/** Chunks of late that count: of three the middle one, so that one which compiled something, or was held up, says nothing. */
const KEPT = 3;

/** Seconds of a prediction by canvas. */
export class PredictionCosts {
  readonly #late = new Map<number, number[]>();

  /** @param known seconds of a prediction on each canvas, as far as they were measured before */
  constructor(known: ReadonlyMap<number, number> = new Map()) {
    for (const [canvas, seconds] of known) this.#late.set(canvas, [seconds]);
  }

  /** A chunk came in. */
  note(canvas: number, predictions: number, seconds: number): void {
    const late = this.#late.get(canvas) ?? [];
    this.#late.set(canvas, [...late, seconds / predictions].slice(-KEPT));
  }

  /** Seconds that a prediction takes on a canvas: of two the lesser; 0 where nothing is known. */
  expected(canvas: number): number {
    const late = (this.#late.get(canvas) ?? [0]).toSorted((a, b) => a - b);
    return late[Math.floor((late.length - 1) / 2)]!;
  }
}
