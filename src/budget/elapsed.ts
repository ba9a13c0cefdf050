/** How much of a run's time has passed, for a process that takes the run up again. */

/** What a run notes of its clock. */
export interface ClockRecord {
  /** the boot that the machine was up since; empty where it did not tell */
  readonly bootId: string;
  /** where the machine's monotonic clock stood when the run began, in seconds */
  readonly monotonicStart: number;
  /** seconds of the run that had passed when this was noted */
  readonly elapsedSeconds: number;
  /** the wall clock then, in milliseconds since 1970 */
  readonly wallMillis: number;
  /** see `Clock`; 1 unless given */
  readonly timeScale?: number | undefined;
}

/** The clocks now. */
export interface ClockReading {
  readonly bootId: string;
  readonly monotonicSeconds: number;
  readonly wallMillis: number;
}

/**
 * Seconds of the run that have passed by now.
 *
 * On the same boot the monotonic clock tells, which no one can set. On another boot it began anew: there the wall clock tells how long nothing
 * ran; one that was set back since adds nothing, and what had passed by the last note stays passed.
 */
export function elapsedSince(record: ClockRecord, now: ClockReading): number {
  const { timeScale = 1 } = record;
  const sameBoot = record.bootId !== "" && record.bootId === now.bootId;
  const elapsed = sameBoot
    ? now.monotonicSeconds / timeScale - record.monotonicStart
    : record.elapsedSeconds + Math.max(0, now.wallMillis - record.wallMillis) / 1000 / timeScale;
  return Math.max(record.elapsedSeconds, elapsed);
}

/**
 * As `elapsedSince`, for a run that counts only the time in which a process of it is there: not the pause between the last note and this process.
 *
 * @param processSeconds since this process started
 */
export function workedSince({ elapsedSeconds, timeScale = 1 }: ClockRecord, processSeconds: number): number {
  return elapsedSeconds + processSeconds / timeScale;
}
