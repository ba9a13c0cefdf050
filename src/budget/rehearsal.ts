/** A rehearsal: the run as it would be on a machine that is not here, its workers asleep for as long as that machine would work. */

/** What things take on the machine that is rehearsed. All in seconds. */
export interface MachineTimes {
  /** the machine in words */
  readonly machine: string;
  /** from the start of a worker process until it knows its job and has the checkpoint */
  readonly startSeconds: number;
  /** compiling, before the first training step and before the first prediction */
  readonly compileSeconds: number;
  /** an optimizer step of all workers together */
  readonly stepSeconds: number;
  /** how many those are */
  readonly workers: number;
  /** one ACT step of one prediction on one worker */
  readonly actStepSeconds: number;
}

/** What a worker needs to know to sleep in another's place. */
export interface Rehearsal {
  /** real seconds that a second of the run takes */
  readonly timeScale: number;
  readonly times: MachineTimes;
}
