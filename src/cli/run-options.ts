/** What the options of `run` mean. */
import { join } from "node:path";
import { candidatesPath } from "../adapt/answers.ts";
import type { CanvasChoice } from "../adapt/request.ts";
import { RUN_FILES } from "../adapt/run-folder.ts";
import { type Task, withoutAnswers } from "../arc/task.ts";
import { parseDuration } from "../budget/duration.ts";
import type { Recipe } from "../config/recipe.ts";
import { nearest } from "../config/resolve.ts";
import { wholeNumber } from "../config/whole-number.ts";
import { fitsCanvas } from "../data/training-tasks.ts";
import { UserError } from "../errors.ts";
import { refuseClash } from "../files/distinct-paths.ts";
import { answersToKeep } from "../predict/candidate-file.ts";
import type { Shard } from "../vote/parts.ts";
import { type MemoryWishes, memoryWishes } from "./memory-flags.ts";
import type { RunArgs } from "./run-args.ts";

/** Seconds that had passed before the process started. */
export function spentSeconds(startedAt: string | undefined): number {
  if (startedAt === undefined) return 0;
  if (/^\d{9,}(\.\d+)?$/.test(startedAt)) {
    const spent = Date.now() / 1000 - Number(startedAt) - performance.now() / 1000;
    if (spent < -60) throw new UserError(`--started-at ${startedAt}: lies in the future; expected Unix time in seconds, not milliseconds`);
    return Math.max(0, spent);
  }
  return parseDuration(startedAt, "--started-at");
}

/** What `--canvas` says of itself. */
export const CANVAS_HELP =
  "canvas side in cells: auto (as small as the tasks allow), grouped (of several sizes, so that a large task does not make the small ones dear) or 1..30";

/** @throws UserError where it is none of these */
export function parseCanvas(text: string): CanvasChoice {
  if (text === "auto" || text === "grouped") return text;
  const side = Number(text);
  if (!(Number.isInteger(side) && side >= 1 && side <= 30))
    throw new UserError(`--canvas ${text}: expected auto, grouped or a whole number in 1..30`);
  return side;
}

/** More processes than this on one machine share too little work each. */
export const MAX_WORKERS = 4;

export const WORKERS_HELP = `processes: auto (one a GPU, else one a core, at most ${MAX_WORKERS}) or a number; never more than there are GPUs`;

/** @returns undefined for auto @throws UserError where it is neither auto nor a number */
export function parseWorkers(text: string): number | undefined {
  if (text === "auto") return undefined;
  const count = Number(text);
  if (!(Number.isInteger(count) && count >= 1 && count <= 64))
    throw new UserError(`--workers ${text}: expected auto or a whole number in 1..64`);
  return count;
}

/**
 * Worker processes for these devices: one a GPU, else one a core; never more than there are GPUs, since two would fight for one's memory.
 *
 * @param asked number asked for, if any
 * @param gpus  0 where the engine uses none
 */
export function workersFor(asked: number | undefined, gpus: number, cores: number): number {
  if (gpus > 0) return Math.min(asked ?? gpus, gpus);
  return asked ?? Math.min(MAX_WORKERS, cores);
}

/** Variables that say which shard a process is, and the option of the job that sets them. */
const SHARD_VARIABLES = [
  ["SLURM_ARRAY_TASK_ID", (last: number) => `sbatch --array=0-${last}`],
  ["JOB_COMPLETION_INDEX", (last: number) => `completionMode: Indexed, completions: ${last + 1}`],
] as const;

/**
 * Which share of the tasks: `0/4` to `3/4`, or `auto/4` for the index that Slurm or Kubernetes tells an array job's process.
 *
 * @throws UserError where it is neither, or where the environment has no index, or one out of range
 */
export function parseShard(text: string, environment: Readonly<Record<string, string | undefined>>): Shard {
  const [, at, of] = /^(auto|\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  const count = Number(of);
  if (at === undefined || !(count >= 1)) throw new UserError(`--shard ${text}: expected index/count from 0/4 to 3/4, or auto/4`);
  const inRange = (index: number): boolean => index >= 0 && index < count;
  if (at !== "auto") {
    if (!inRange(Number(at)))
      throw new UserError(`--shard ${text}: the first of ${count} shards is 0/${count}, the last ${count - 1}/${count}`);
    return { index: Number(at), count };
  }
  const [name, howTo] = SHARD_VARIABLES.find(([variable]) => environment[variable]) ?? [];
  if (name === undefined)
    throw new UserError(`--shard ${text}: neither ${SHARD_VARIABLES.map(([variable]) => variable).join(" nor ")} is set; give an index`);
  const value = environment[name]!;
  if (!/^\d{1,6}$/.test(value) || !inRange(Number(value)))
    throw new UserError(`--shard ${text}: ${name} is ${value}; expected 0 to ${count - 1} (${howTo!(count - 1)})`);
  return { index: Number(value), count };
}

/** The tasks to work on. @throws UserError for ids that there are not */
export function chooseTasks(
  tasks: readonly Task[],
  { tasks: wanted, limit }: { readonly tasks: string | undefined; readonly limit: number | undefined },
): readonly Task[] {
  wholeNumber("--limit", limit, 1);
  let chosen = tasks;
  if (wanted !== undefined) {
    const ids = wanted.split(",").map((id) => id.trim());
    const known = tasks.map(({ id }) => id);
    const unknown = ids.filter((id) => !known.includes(id));
    if (unknown.length > 0) throw new UserError(`--tasks: no task ${unknown.join(", ")}; ${nearest(unknown[0]!, known)}`);
    chosen = tasks.filter(({ id }) => ids.includes(id));
  }
  return limit === undefined ? chosen : chosen.slice(0, limit);
}

/**
 * The tasks whose demonstrations and test inputs fit a canvas that was asked for; `tell` hears of the others.
 *
 * @throws UserError where none does
 */
export function fittingTasks(tasks: readonly Task[], canvas: CanvasChoice, tell: (text: string) => void): readonly Task[] {
  if (typeof canvas !== "number") return tasks;
  const fitting = tasks.filter((task) => fitsCanvas(withoutAnswers(task), canvas));
  if (fitting.length === 0 && tasks.length > 0)
    throw new UserError(`--canvas ${canvas}: every task has a larger grid; --canvas auto takes what the tasks need`);
  if (fitting.length < tasks.length)
    tell(
      `${tasks.length - fitting.length} of ${tasks.length} tasks have grids of more than ${canvas} cells a side (--canvas): they keep fallback answers`,
    );
  return fitting;
}

/**
 * What options that don't depend on any file come to.
 *
 * @throws UserError for what can't be, alone or with the settings
 */
export function checkedOptions(
  args: Pick<RunArgs, "canvas" | "steps" | "workers" | "keepAnswers" | "leaveOut" | "microBatch" | "recompute">,
  { haltingPairs, method }: Recipe,
): { canvas: CanvasChoice; askedWorkers: number | undefined; wishes: MemoryWishes; keepAnswers: number } {
  const canvas = parseCanvas(args.canvas);
  wholeNumber("--steps", args.steps, 0);
  const askedWorkers = parseWorkers(args.workers);
  const wishes = memoryWishes(args);
  const keepAnswers = answersToKeep(args.keepAnswers);
  wholeNumber("--leave-out", args.leaveOut, 0);
  if (haltingPairs !== "trained" && !args.leaveOut)
    throw new UserError(`--halting-pairs ${haltingPairs} needs pairs that are held back: give --leave-out 1, or more`);
  if (haltingPairs === "taught" && ["none", "embeddings", "latent-search"].includes(method))
    throw new UserError(
      `--halting-pairs taught trains the halting head, which --method ${method} leaves as it is; held-out fits what it says`,
    );
  return { canvas, askedWorkers, wishes, keepAnswers };
}

/** @throws UserError where the submission would be written over another file of the run, or one of them over what it reads */
export function refuseClashes({ challenges, solutions, config, timeScale }: RunArgs, out: string, runDir: string | undefined): void {
  const inputs = [
    ["--challenges", challenges],
    ["--solutions", solutions],
    ["--config", config],
  ] as const;
  const paths = runDir === undefined ? [candidatesPath(out, timeScale !== undefined)] : RUN_FILES.map((name) => join(runDir, name));
  const own = paths.map((path) => ["a file of the run", path] as const);
  refuseClash(own, inputs);
  refuseClash([["--out", out]], [...inputs, ...own]);
}
