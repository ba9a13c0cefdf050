/** What the options of `run` mean. */
import type { Task } from "../arc/task.ts";
import { parseDuration } from "../budget/duration.ts";
import { nearest } from "../config/resolve.ts";
import { UserError } from "../errors.ts";

/** Seconds that had passed before the process started. */
export function spentSeconds(startedAt: string | undefined): number {
  if (startedAt === undefined) return 0;
  if (/^\d{9,}(\.\d+)?$/.test(startedAt)) return Math.max(0, Date.now() / 1000 - Number(startedAt) - performance.now() / 1000);
  return parseDuration(startedAt, "--started-at");
}

/** @throws UserError where it is neither */
export function parseCanvas(text: string): number | "auto" {
  if (text === "auto") return "auto";
  const side = Number(text);
  if (!(Number.isInteger(side) && side >= 1 && side <= 30))
    throw new UserError(`--canvas ${text}: expected auto or a whole number in 1..30`);
  return side;
}

/** More processes than this on one machine share too little work each. */
export const MAX_WORKERS = 4;

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

/** The tasks to work on. @throws UserError for ids that there are not */
export function chooseTasks(
  tasks: readonly Task[],
  { tasks: wanted, limit }: { readonly tasks: string | undefined; readonly limit: number | undefined },
): readonly Task[] {
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1))
    throw new UserError(`--limit ${limit}: expected a whole number from 1 up`);
  let chosen = tasks;
  if (wanted !== undefined) {
    const ids = wanted.split(",").map((id) => id.trim());
    const known = tasks.map(({ id }) => id);
    const unknown = ids.filter((id) => !known.includes(id));
    if (unknown.length > 0) throw new UserError(`--tasks: no task ${unknown.join(", ")}; ${nearest(unknown[0]!, known.slice(0, 20))}`);
    chosen = tasks.filter(({ id }) => ids.includes(id));
  }
  return limit === undefined ? chosen : chosen.slice(0, limit);
}
