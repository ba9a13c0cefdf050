/** What the phases of a run share. */
import type { Clock } from "../budget/clock.ts";
import type { EventLog } from "../events.ts";
import type { PredictionItem } from "../parallel/job.ts";
import type { Answers } from "./answers.ts";
import type { LearningNotes } from "./learning.ts";
import type { LearningCurve } from "./learning-curve.ts";
import type { RunProgress } from "./progress.ts";
import type { RunRequest } from "./request.ts";
import type { RunRecord } from "./run-record-file.ts";
import type { Setup } from "./setup.ts";

/** A run as its phases see it. Instants are seconds on the machine's monotonic clock. */
export interface RunContext {
  readonly request: RunRequest;
  readonly setup: Setup;
  readonly clock: Clock;
  readonly log: EventLog;
  readonly answers: Answers;
  readonly curve: LearningCurve;
  /** none where nothing is kept, or nothing is computed */
  readonly learning: LearningNotes | undefined;
  readonly progress: RunProgress;
  /** how far the run has come, in this process or an earlier one */
  readonly record: RunRecord;
  /** every test input under the original variant */
  readonly items: readonly PredictionItem[];
  /** instant by which work must be over */
  readonly deadline: number;
  now(): number;
  /** a signal or the deadline has ended the run */
  stopped(): boolean;
}
