/** Whether a worker process is alive and gets on with its work, from its pulses alone. Knows no clock: it is told the time. */
import type { Pulse } from "./pulse.ts";

/** How long what may take. All in seconds. */
export interface Patience {
  /** a process that sent pulses and then none for this long is stopped, or so short of memory or time that it might as well be */
  readonly silence: number;
  /** from a process's start to its first pulse */
  readonly firstPulse: number;
  /** from the beginning of a kind of work to the first thing completed: engines compile then */
  readonly firstBeat: number;
  /** between two things completed: this, or `factor` times the longest that it ever took, whichever is longer */
  readonly beat: number;
  readonly factor: number;
}

export const PATIENCE: Patience = { silence: 30, firstPulse: 60, firstBeat: 900, beat: 60, factor: 20 };

/** Watches one process. Instants are seconds on any clock that only goes forward. */
export class Vigil {
  readonly #patience: Patience;
  /** instant of the last pulse, or of the start */
  #pulseAt: number;
  #hasPulse = false;
  #count = 0;
  /** instant at which something was last completed, or the work began */
  #beatAt: number;
  #work: string | undefined;
  #waiting = false;
  #isOtherwise = false;
  /** longest time between two beats, by kind of work */
  readonly #longest = new Map<string, number>();

  constructor(patience: Patience, now: number) {
    this.#patience = patience;
    this.#pulseAt = this.#beatAt = now;
  }

  /** A pulse has come. */
  pulse({ count, waiting }: Pulse, now: number): void {
    this.#hasPulse = true;
    this.#pulseAt = now;
    this.#waiting = waiting;
    if (waiting) this.#beatAt = now; // a delay of others
    if (count === this.#count) return;
    this.#count = count;
    if (this.#work !== undefined && !waiting)
      this.#longest.set(this.#work, Math.max(now - this.#beatAt, this.#longest.get(this.#work) ?? 0));
    this.#beatAt = now;
  }

  /** The process was given something to do; `work` names its kind. */
  begin(work: string, now: number): void {
    this.#work = work;
    this.#beatAt = now;
  }

  /** In the middle of the work something else is done, or no more, that says nothing of how long a step takes: one is compiled, a snapshot written. */
  otherwise(underway: boolean, now: number): void {
    this.#isOtherwise = underway;
    this.#beatAt = now;
  }

  /** It is done, or has failed. */
  end(): void {
    this.#work = undefined;
    this.#isOtherwise = false;
  }

  /** Time passed that is no one's fault: the watcher itself, or the whole machine, stood still. */
  excuse(seconds: number): void {
    this.#pulseAt += seconds;
    this.#beatAt += seconds;
  }

  /** Why the process must be taken for hung; undefined while it need not. */
  verdict(now: number): string | undefined {
    const { silence, firstPulse, firstBeat, beat, factor } = this.#patience;
    const still = now - this.#pulseAt;
    if (still > (this.#hasPulse ? silence : firstPulse)) return `gave no sign of life for ${still.toFixed(0)} s`;
    if (this.#work === undefined || this.#waiting) return undefined;
    const longest = this.#longest.get(this.#work);
    const idle = now - this.#beatAt;
    const allowed = longest === undefined || this.#isOtherwise ? firstBeat : Math.max(beat, factor * longest);
    return idle > allowed ? `completed nothing for ${idle.toFixed(0)} s (${this.#work})` : undefined;
  }
}
