/** How far a run has come, kept in its folder: what `--resume` goes on from. */
import { readFileSync } from "node:fs";
import * as z from "zod";
import type { Clock } from "../budget/clock.ts";
import type { ClockRecord } from "../budget/elapsed.ts";
import type { Plan } from "../budget/planner.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { bootId } from "../files/processes.ts";
import type { ChosenStarts } from "./latent-search.ts";
import type { CurvePoint } from "./learning-curve.ts";
import type { LeftOutScore } from "./left-out.ts";

export const RECORD_FILE = "run.json";

const planSchema = z.object({
  trainSeconds: z.number(),
  predictSeconds: z.number(),
  predictAllowance: z.number(),
  /** none in a run that was begun before plans had it: as if there were nothing but the last round */
  roundAllowance: z.number().default(Number.MAX_VALUE),
  rounds: z.number(),
  actSteps: z.number(),
  interims: z.object({ count: z.number(), rounds: z.number(), seconds: z.number() }),
});

const leftOutSchema = z.object({
  step: z.number(),
  pairs: z.number(),
  predictions: z.number(),
  exact: z.number(),
  lmLoss: z.number(),
  "pass@2": z.number(),
  oracle: z.number(),
  halting: z
    .object({
      slope: z.number(),
      offset: z.number(),
      predictions: z.number(),
      right: z.number(),
      lossBefore: z.number(),
      lossAfter: z.number(),
      auc: z.number(),
    })
    .optional(),
});

/** See `ClockRecord`. */
export const clockSchema = z.object({
  bootId: z.string(),
  monotonicStart: z.number(),
  elapsedSeconds: z.number(),
  wallMillis: z.number(),
  timeScale: z.number().positive().optional(),
});

const recordSchema = z.object({
  format: z.literal("trm-run"),
  formatVersion: z.literal(1),
  clock: clockSchema,
  /** what is being done; `done`: nothing more */
  phase: z.enum(["start", "train", "predict", "done"]),
  /** of a run that is done: it trained as planned and every test input has the votes that it could have */
  complete: z.boolean().optional(),
  /** seconds that a prediction takes on one worker, once measured */
  perPrediction: z.number().optional(),
  /** the plan once it was made, and the second of the run in which the training began */
  plan: planSchema.optional(),
  trainBegan: z.number().optional(),
  /** optimizer steps made */
  steps: z.number(),
  /** interim predictions made */
  interims: z.number(),
  /** scores on the way, of a dry run */
  curve: z.array(z.object({ step: z.number(), seconds: z.number(), score: z.record(z.string(), z.number()) })).optional(),
  /** scores on demonstrations that were held back */
  leftOut: z.array(leftOutSchema).optional(),
  /** what a latent search has chosen */
  chosenStarts: z
    .object({
      step: z.number(),
      starts: z.array(z.string()),
      chosen: z.array(z.int().min(0)),
      losses: z.array(z.array(z.number().nullable())),
    })
    .optional(),
  /** factors of the learning rates, by worker */
  rateScales: z.array(z.number()),
  /** worker processes that the run has */
  workers: z.number().optional(),
  /** those that are there at the moment */
  processes: z.array(z.object({ pid: z.number(), started: z.string() })),
});
type Record_ = z.infer<typeof recordSchema>;

/** What a run notes of itself; the clock is seen to. */
export type RunNotes = Omit<Record_, "format" | "formatVersion" | "clock" | "plan" | "curve" | "leftOut" | "chosenStarts"> & {
  readonly chosenStarts?: ChosenStarts | undefined;
  readonly plan?: Plan | undefined;
  readonly curve?: readonly CurvePoint[] | undefined;
  readonly leftOut?: readonly LeftOutScore[] | undefined;
};

/** Elapsed time is noted at least this often. */
const NOTE_SECONDS = 5;

/** Notes of a run, in a file where it has a folder. */
export class RunRecord {
  readonly #path: string | undefined;
  readonly #clock: Clock;
  readonly #refused: (error: unknown) => void;
  #notes: RunNotes;
  #writtenAt = Number.NEGATIVE_INFINITY;

  /**
   * @param path    undefined: nothing is kept
   * @param notes   from an earlier process of the run
   * @param refused is told where the file system refuses
   */
  constructor(path: string | undefined, clock: Clock, refused: (error: unknown) => void, notes?: RunNotes) {
    this.#path = path;
    this.#clock = clock;
    this.#refused = refused;
    this.#notes = notes ?? { phase: "start", steps: 0, interims: 0, rateScales: [], processes: [] };
  }

  get notes(): RunNotes {
    return this.#notes;
  }

  /** Notes something, at once. */
  note(notes: Partial<RunNotes>): void {
    this.#notes = { ...this.#notes, ...notes };
    this.#write();
  }

  /** Notes the processes that are there, and the time, where they have changed or the last note is old. */
  tick(processes: RunNotes["processes"]): void {
    const same = JSON.stringify(processes) === JSON.stringify(this.#notes.processes);
    if (!same || this.#clock.now() - this.#writtenAt >= NOTE_SECONDS) this.note({ processes });
  }

  #write(): void {
    if (this.#path === undefined) return;
    const elapsedSeconds = this.#clock.now();
    const clock = {
      bootId: bootId(),
      monotonicStart: this.#clock.processStart,
      elapsedSeconds,
      wallMillis: Date.now(),
      timeScale: this.#clock.timeScale,
    };
    this.#writtenAt = elapsedSeconds;
    try {
      writeFileAtomically(this.#path, `${JSON.stringify({ format: "trm-run", formatVersion: 1, clock, ...this.#notes })}\n`);
    } catch (error) {
      this.#refused(error);
    }
  }
}

/**
 * What an earlier process noted, and how many seconds of the run have passed; undefined where nothing was noted, or nothing that can be read.
 *
 * @param elapsed seconds of the run that have passed, by what was noted of its clock
 */
export function readRunRecord(
  path: string,
  elapsed: (record: ClockRecord) => number,
): { notes: RunNotes; elapsedSeconds: number } | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  try {
    const { format: _, formatVersion: __, clock, ...notes } = recordSchema.parse(JSON.parse(text));
    return { notes, elapsedSeconds: elapsed(clock) };
  } catch {
    return undefined; // damaged: the run begins anew, within what its caller says of the time
  }
}
