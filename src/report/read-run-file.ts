/** Reads the folder of a run for its report: what is missing or damaged is noted, the rest is shown. Changes nothing there. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { readChallenges, readSolutions, readTextFile } from "../arc/challenges-file.ts";
import type { Grid } from "../arc/grid.ts";
import { checkGrid } from "../arc/grid-json.ts";
import { type RunTask, readRunTasks, TASKS_FILE } from "../arc/run-tasks-file.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import { messageOf, UserError } from "../errors.ts";
import { bootId, isLocked } from "../files/processes.ts";
import { type Learning, readLearning } from "../metrics/learning-file.ts";
import { readAnswers } from "../predict/candidate-file.ts";
import { eachVote, type VoteEntry } from "../predict/vote-log-file.ts";
import type { RankedAnswers } from "../vote/rank.ts";
import { parseRunEvents, type RunEvent } from "./run-events.ts";
import type { StageVotes } from "./stage-votes.ts";

/** Name of the page in a run's folder. */
export const REPORT_FILE = "report.html";

/** What the folder of a run holds. */
export interface ReadRun {
  readonly title: string;
  /** a process works on it now */
  readonly isRunning: boolean;
  readonly config: RunConfigRead;
  readonly events: readonly RunEvent[];
  /** lines of `metrics.jsonl` */
  readonly metrics: string;
  readonly learning: Learning;
  readonly tasks: readonly RunTask[];
  readonly submission: ReadonlyMap<string, readonly (readonly Grid[])[]>;
  readonly candidates: RankedAnswers;
  readonly solutions: Solutions | undefined;
  /** in order */
  readonly votes: readonly VoteEntry[];
  /** where `votes` are not those of the run: of its shards */
  readonly stageVotes?: ReadonlyMap<string, readonly StageVotes[]>;
  readonly notes: readonly string[];
}

/** Age of a run's last sign of life, from another machine, up to which it counts as under way. */
const ELSEWHERE_MILLIS = 60_000;

/** Of `config.json`, what a report shows. */
export interface RunConfigRead {
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly settings: Readonly<Record<string, { readonly value: unknown; readonly origin: string }>>;
  /** which version of the data it was */
  readonly tasksSha256?: string;
  /** Unix milliseconds */
  readonly beganAt: number | undefined;
}

/**
 * @param folder        of the run
 * @param solutionsPath asked for; without it the file that the run itself was given
 * @throws UserError where the folder holds no run, or where solutions that were asked for can't be read
 */
export function readRun(folder: string, solutionsPath?: string): ReadRun {
  const config = readConfig(folder);
  const notes: string[] = [];
  const reading = <T>(what: string, read: () => T, otherwise: T): T => {
    try {
      return read();
    } catch (error) {
      notes.push(`${what} can't be shown: ${messageOf(error)}`);
      return otherwise;
    }
  };
  const { challenges, solutions: given, out } = config.arguments;
  const tasks = reading("the tasks", () => readTasks(folder, challenges), []);
  const votes: VoteEntry[] = [];
  reading("all votes", () => eachVote(join(folder, "votes.bin"), (entry) => votes.push(entry)), undefined);
  const candidates = join(folder, "candidates.json");
  const optional = (name: string): string => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), "utf8") : "");
  const isRunning = isLocked(join(folder, "run.lock")) || goesOnElsewhere(folder);
  return {
    title: basename(resolve(folder)),
    isRunning,
    config,
    events: parseRunEvents(
      reading("earlier events", () => optional("events.jsonl.1"), "") + reading("the log", () => optional("events.jsonl"), ""),
    ),
    metrics: reading("the curves", () => optional("metrics.jsonl"), ""),
    learning: reading("how it learned", () => readLearning(folder), { training: [], leftOut: [] }),
    tasks,
    submission: reading("the submission", () => readSubmission(submissionPath(folder, out)), new Map()),
    candidates: reading("candidates", () => readCandidatesOf(candidates, votes.length > 0 && !isRunning), new Map()),
    solutions:
      solutionsPath === undefined
        ? reading("what is solved", () => solutionsOf(given, challenges), undefined)
        : readSolutions(solutionsPath),
    votes,
    notes,
  };
}

/** The candidates of a run; none before it has any. @throws UserError where they are gone */
function readCandidatesOf(path: string, mustBe: boolean): RankedAnswers {
  if (existsSync(path)) return readAnswers(path);
  if (mustBe) throw new UserError(`${path} is missing`);
  return new Map();
}

function readConfig(folder: string): RunConfigRead {
  const path = join(folder, "config.json");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw new UserError(`${path}: can't be read: ${messageOf(error)}`, { cause: error });
    const what = existsSync(folder) ? "holds no run (no config.json)" : "does not exist";
    throw new UserError(`${folder}: ${what}; pass the folder that was given to \`trm run --run-dir\``, { cause: error });
  }
  try {
    const { format, arguments: given, settings, began, tasksSha256 } = JSON.parse(text) as Record<string, unknown>;
    if (format !== "trm-run-config" || typeof given !== "object" || typeof settings !== "object")
      throw new Error("its format is not trm-run-config");
    const beganAt = (began as { wallMillis?: unknown } | undefined)?.wallMillis;
    return {
      arguments: (given ?? {}) as RunConfigRead["arguments"],
      settings: (settings ?? {}) as RunConfigRead["settings"],
      ...(typeof tasksSha256 === "string" && { tasksSha256 }),
      beganAt: typeof beganAt === "number" ? beganAt : undefined,
    };
  } catch (error) {
    throw new UserError(`${path}: is not the config of a run: ${messageOf(error)}`, { cause: error });
  }
}

/** The tasks as the run has kept them, else from the file that they were read from. */
function readTasks(folder: string, challenges: unknown): RunTask[] {
  const kept = join(folder, TASKS_FILE);
  if (existsSync(kept)) return readRunTasks(kept);
  if (typeof challenges !== "string") throw new UserError(`${kept}: does not exist`);
  return readChallenges(challenges).entries.map((entry) => ({ entry, chosen: "test" in entry }));
}

/** A run notes the time in its record every few seconds; one of another machine, or of another start of this one, can be known by that alone. */
function goesOnElsewhere(folder: string): boolean {
  try {
    const { phase, clock } = JSON.parse(readFileSync(join(folder, "run.json"), "utf8"));
    return phase !== "done" && clock.bootId !== bootId() && Date.now() - clock.wallMillis < ELSEWHERE_MILLIS;
  } catch {
    return false; // none yet, or it is being replaced
  }
}

/** The submission in the folder; where an older version has put none there, the one that the run was told to write. */
function submissionPath(folder: string, out: unknown): string {
  const inside = join(folder, "submission.json");
  return typeof out === "string" && !existsSync(inside) ? out : inside;
}

function readSubmission(path: string): Map<string, Grid[][]> {
  const value = JSON.parse(readTextFile(path)) as Record<string, unknown>;
  const attempts = (test: unknown): Grid[] =>
    ["attempt_1", "attempt_2"].flatMap((name) => checkGrid((test as Record<string, unknown> | null)?.[name], "", []) ?? []);
  return new Map(Object.entries(value).map(([id, tests]) => [id, Array.isArray(tests) ? tests.map(attempts) : []]));
}

/** Solutions that the run itself was given, if any: a file, or the folder of its tasks where that has them. */
function solutionsOf(given: unknown, challenges: unknown): Solutions | undefined {
  if (typeof given === "string") return readSolutions(given);
  if (typeof challenges === "string" && existsSync(challenges) && statSync(challenges).isDirectory())
    return readChallenges(challenges).solutions;
  return undefined;
}
