/** Time as a run sees it: seconds since its process started, on a clock that no one can set back. */

/** Node's timers go no further: a longer one fires at once. */
export const MAX_TIMER_MILLIS = 2 ** 31 - 1;

/** A monotonic clock. */
export interface Clock {
  /** seconds since the process started */
  now(): number;
  /** The machine's monotonic clock, in seconds, at `now() === 0`: the same clock in every process, so deadlines can be handed over. */
  readonly processStart: number;
  /** real seconds that a second of this clock takes: 1, or less in a rehearsal, where both numbers above run faster */
  readonly timeScale: number;
}

/** Seconds on the machine's monotonic clock (CLOCK_MONOTONIC): comparable between processes of one machine, not between machines. */
export function monotonicSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}

/**
 * This process's clock.
 *
 * @param spentSeconds seconds that had passed already when the process started (a notebook's earlier cells, a run that is resumed)
 */
export function realClock(spentSeconds = 0): Clock {
  return clockFrom(monotonicSeconds() - performance.now() / 1000 - spentSeconds, 1);
}

/** A clock that runs faster than time. @param processStart see `Clock`; now unless given */
export function fastClock(timeScale: number, processStart = monotonicSeconds() / timeScale): Clock {
  return clockFrom(processStart, timeScale);
}

function clockFrom(processStart: number, timeScale: number): Clock {
  return { processStart, now: () => monotonicSeconds() / timeScale - processStart, timeScale };
}

/** The clock of a rehearsal: it stands still while the rehearsal is prepared. */
export class RehearsalClock implements Clock {
  readonly timeScale: number;
  readonly #spent: number;
  #began: number | undefined;

  /** @param spentSeconds seconds of the run that have passed in earlier processes of it */
  constructor(timeScale: number, spentSeconds = 0) {
    this.timeScale = timeScale;
    this.#spent = spentSeconds;
  }

  /** It goes from now on. */
  begin(): void {
    this.#began ??= this.#machine;
  }

  get processStart(): number {
    return (this.#began ?? this.#machine) - this.#spent;
  }

  now(): number {
    return this.#machine - this.processStart;
  }

  get #machine(): number {
    return monotonicSeconds() / this.timeScale;
  }
}

/** A clock that stands still until it is moved, for tests. */
export interface FakeClock extends Clock {
  advance(seconds: number): void;
}

/** @param processStart where the machine's clock stood when the process started */
export function fakeClock(processStart = 1000): FakeClock {
  let now = 0;
  return {
    processStart,
    timeScale: 1,
    now: () => now,
    advance: (seconds) => {
      if (!(seconds >= 0)) throw new RangeError(`a monotonic clock cannot move by ${seconds} s`);
      now += seconds;
    },
  };
}

/** An instant by which something must have ended. */
export class Deadline {
  readonly #clock: Clock;

  /** @param monotonicSeconds the instant on the machine's monotonic clock, as another process may have handed it over */
  constructor(
    clock: Clock,
    readonly monotonicSeconds: number,
  ) {
    this.#clock = clock;
  }

  /** The deadline `seconds` after the process started. */
  static sinceStart(clock: Clock, seconds: number): Deadline {
    return new Deadline(clock, clock.processStart + seconds);
  }

  /** The deadline `seconds` from now. */
  static fromNow(clock: Clock, seconds: number): Deadline {
    return Deadline.sinceStart(clock, clock.now() + seconds);
  }

  /** The deadline `seconds` before this one. */
  earlierBy(seconds: number): Deadline {
    return new Deadline(this.#clock, this.monotonicSeconds - seconds);
  }

  /** Seconds left; negative once it has passed. */
  get remainingSeconds(): number {
    return this.monotonicSeconds - this.#clock.processStart - this.#clock.now();
  }

  get passed(): boolean {
    return this.remainingSeconds <= 0;
  }
}
