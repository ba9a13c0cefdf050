/** The folder of a run: what was asked for, how far it has come, its votes and snapshots; for whoever looks on, and for `--resume`. */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import * as z from "zod";
import { TASKS_FILE } from "../arc/run-tasks-file.ts";
import type { Task } from "../arc/task.ts";
import { type Clock, monotonicSeconds } from "../budget/clock.ts";
import { type ClockRecord, elapsedSince, workedSince } from "../budget/elapsed.ts";
import { InputError, messageOf, UserError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { bootId, endLeftBehind, markedProcesses, takeLock } from "../files/processes.ts";
import { LEARNING_FILE } from "../metrics/learning-file.ts";
import { readVoteLog, type VoteEntry, VoteLog } from "../predict/vote-log-file.ts";
import { clockSchema, RECORD_FILE, type RunNotes, RunRecord, readRunRecord } from "./run-record-file.ts";

const CONFIG_FILE = "config.json";
const VOTES_FILE = "votes.bin";
/** See `metrics/metrics-file.ts`. */
const METRICS = ["metrics.jsonl", "tensorboard", LEARNING_FILE];
const SNAPSHOT_FOLDER = "snapshot";
export const EVENTS_FILE = "events.jsonl";
/** A run's own, but for its submission, its log and its page, which take the place of those before. */
const OWN_FILES = [CONFIG_FILE, RECORD_FILE, VOTES_FILE, SNAPSHOT_FOLDER, "candidates.json", ...METRICS];
/** An unfinished run in whose folder another one has begun. */
const ASIDE_FOLDER = "previous";
/** All that a run leaves in its folder, but for its submission. */
export const RUN_FILES: readonly string[] = [...OWN_FILES, EVENTS_FILE, TASKS_FILE, "report.html"];
const LOCK_FILE = "run.lock";
/** Tells in a worker's environment whose it is. */
const FOLDER_VARIABLE = "TRM_RUN_DIR";

const configSchema = z.looseObject({
  format: z.literal("trm-run-config"),
  formatVersion: z.literal(1),
  /** the clock when the run began */
  began: clockSchema,
  /** options as they were given, paths made absolute */
  arguments: z.record(z.string(), z.unknown()),
  /** resolved settings, each with where it is from */
  settings: z.record(z.string(), z.object({ value: z.union([z.string(), z.number(), z.boolean()]), origin: z.string() })),
  /** of the tasks worked on, in their order */
  tasksSha256: z.string(),
});

/** What a run was asked to do, and what that came to. */
export type RunConfig = z.infer<typeof configSchema>;

/** What a run keeps while it goes; without a folder, nothing outlives the process. */
export interface RunState {
  readonly record: RunRecord;
  readonly votes: VoteLog | undefined;
  /** folder of the training's curves */
  readonly metrics: string | undefined;
  /** folder for snapshots; a temporary one is made where there is none */
  readonly snapshots: string | undefined;
  /** votes of earlier processes of the run; none where it has just begun */
  readonly earlier: readonly VoteEntry[] | undefined;
}

/** A run's state where it has no folder. */
export function unkeptState(clock: Clock): RunState {
  return {
    record: new RunRecord(undefined, clock, () => {}),
    votes: undefined,
    metrics: undefined,
    snapshots: undefined,
    earlier: undefined,
  };
}

/** An earlier process of a run, as its folder tells of it. */
export interface EarlierRun {
  readonly config: RunConfig;
  readonly notes: RunNotes | undefined;
  /** seconds of the run that have passed by now */
  readonly elapsedSeconds: number;
}

/** A run's folder, held by this process alone. */
export class RunFolder {
  readonly path: string;
  /** the run that is to be taken up, where one had begun */
  readonly earlier: EarlierRun | undefined;
  readonly #release: () => void;

  private constructor(path: string, earlier: EarlierRun | undefined, release: () => void) {
    this.path = path;
    this.earlier = earlier;
    this.#release = release;
  }

  /**
   * Opens a folder, or makes it.
   *
   * @param resume whether the run that it holds is to be taken up
   * @throws UserError where another run uses it, or where the config of the run to take up can't be read; what the file system throws
   */
  static open(path: string, resume: boolean): RunFolder {
    mkdirSync(path, { recursive: true });
    const { release } = takeLock(join(path, LOCK_FILE), `the run folder ${path}`);
    try {
      return new RunFolder(path, resume ? readEarlier(path) : undefined, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Notes that a new run begins. What one that has not come to its end has left is set aside; anything else is forgotten.
   *
   * @returns where an unfinished run lies now, if there was one
   */
  begin(config: Omit<RunConfig, "format" | "formatVersion" | "began">, clock: Clock): string | undefined {
    const aside = this.#setAside();
    for (const name of OWN_FILES) rmSync(join(this.path, name), { recursive: true, force: true });
    const { processStart, timeScale } = clock;
    const began = { bootId: bootId(), monotonicStart: processStart, elapsedSeconds: clock.now(), wallMillis: Date.now(), timeScale };
    const whole = { format: "trm-run-config", formatVersion: 1, began, ...config };
    writeFileAtomically(join(this.path, CONFIG_FILE), `${JSON.stringify(whole, null, 2)}\n`);
    return aside;
  }

  #setAside(): string | undefined {
    const record = readRunRecord(join(this.path, RECORD_FILE), () => 0);
    if (!record || !["train", "predict"].includes(record.notes.phase)) return undefined; // nothing that would cost more than minutes
    let aside = "";
    for (let number = 1; aside === "" || existsSync(aside); number++) aside = join(this.path, `${ASIDE_FOLDER}-${number}`);
    mkdirSync(aside);
    const at = (folder: string, name: string): string => join(folder, name);
    // First what stays here too, which may find no room; the config, without which it could not be taken up, last.
    try {
      for (const name of ["submission.json", EVENTS_FILE, TASKS_FILE])
        if (existsSync(at(this.path, name))) copyFileSync(at(this.path, name), at(aside, name));
    } catch (error) {
      rmSync(aside, { recursive: true, force: true });
      throw error;
    }
    for (const name of OWN_FILES.toReversed()) if (existsSync(at(this.path, name))) renameSync(at(this.path, name), at(aside, name));
    return aside;
  }

  /**
   * What the run keeps from now on, and what an earlier process of it has kept.
   *
   * @param refused is told where the file system refuses
   */
  state(clock: Clock, refused: (text: string) => void): RunState {
    // A worker that was stopped when its parent died can't have noticed; one that had just been started is not among the notes.
    endLeftBehind([...(this.earlier?.notes?.processes ?? []), ...markedProcesses(FOLDER_VARIABLE, resolve(this.path))]);
    const votes = join(this.path, VOTES_FILE);
    const earlier = this.earlier && readVoteLog(votes);
    const record = join(this.path, RECORD_FILE);
    return {
      record: new RunRecord(record, clock, (error) => refused(`${record}: ${messageOf(error)}`), this.earlier?.notes),
      votes: new VoteLog(votes, refused),
      metrics: this.path,
      snapshots: join(this.path, SNAPSHOT_FOLDER),
      earlier,
    };
  }

  /** What the run's workers have in their environment, to be found by. */
  get mark(): Record<string, string> {
    return { [FOLDER_VARIABLE]: resolve(this.path) };
  }

  /** Leaves the folder to others. */
  close(): void {
    this.#release();
  }
}

/** Tells one list of tasks from another. */
export function tasksSha256(tasks: readonly Task[]): string {
  const hash = createHash("sha256");
  for (const { id, train, test } of tasks) {
    hash.update(`${JSON.stringify(id)} ${train.length} ${test.length}\n`);
    for (const grid of [...train.flatMap(({ input, output }) => [input, output]), ...test.map(({ input }) => input)])
      hash.update(`${grid.rows} ${grid.cols}\n`).update(grid.cells);
  }
  return hash.digest("hex");
}

/** @throws UserError where the run was of other tasks */
export function refuseOtherTasks({ config }: EarlierRun, tasks: readonly Task[], path: string): void {
  if (config.tasksSha256 === tasksSha256(tasks)) return;
  throw new UserError(`--resume: ${path} does not hold the tasks that the run began with; start a new run`);
}

function readEarlier(path: string): EarlierRun | undefined {
  const where = join(path, CONFIG_FILE);
  let text: string;
  try {
    text = readFileSync(where, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  let config: RunConfig;
  try {
    config = configSchema.parse(JSON.parse(text));
  } catch (error) {
    const what = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw new InputError(where, [`is not the config of a run that can be taken up again: ${what}`]);
  }
  const now = { bootId: bootId(), monotonicSeconds: monotonicSeconds(), wallMillis: Date.now() };
  const elapsed = (noted: ClockRecord): number =>
    config.arguments.freePauses === true ? workedSince(noted, performance.now() / 1000) : elapsedSince(noted, now);
  const record = readRunRecord(join(path, RECORD_FILE), elapsed);
  return { config, notes: record?.notes, elapsedSeconds: record?.elapsedSeconds ?? elapsed(config.began) };
}
