/** Processes by more than their number, which is given out again, and the lock file that one of them holds. */
import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import * as z from "zod";
import { UserError } from "../errors.ts";

const identitySchema = z.object({ pid: z.int().min(1), started: z.string() });

/** A process: its number, and when it was started (on Linux in ticks since the boot, with the boot's own id). */
export type ProcessIdentity = z.infer<typeof identitySchema>;

/** The identity of a process that is there; undefined where there is none of that number, or only its remains. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  try {
    // pid (command) state ppid ...; the command may hold blanks and parentheses; the 20th field after it is the start
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return fields[0] === "Z" ? undefined : { pid, started: `${bootId()}:${fields[19]}` };
  } catch {
    return undefined;
  }
}

/** Whether this very process is still there. */
export function isThere({ pid, started }: ProcessIdentity): boolean {
  return identityOf(pid)?.started === started;
}

/** Processes that were started with this value of an environment variable, this one apart; none where the system does not tell. */
export function markedProcesses(variable: string, value: string): ProcessIdentity[] {
  const mark = `${variable}=${value}`;
  try {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
    return pids.filter((pid) => environmentOf(pid).includes(mark)).flatMap((pid) => identityOf(Number(pid)) ?? []);
  } catch {
    return [];
  }
}

function environmentOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return []; // it has ended since, or is another user's
  }
}

/** Ends processes that an earlier process has left behind, if they are still there. @returns those that were */
export function endLeftBehind(processes: readonly ProcessIdentity[]): ProcessIdentity[] {
  return processes.filter((process_) => {
    if (!isThere(process_)) return false;
    try {
      process.kill(process_.pid, "SIGKILL");
      return true;
    } catch {
      return false; // it has ended since, or is another user's now
    }
  });
}

/** The boot that this machine is up since; empty where the system does not tell. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/**
 * Takes a lock that the process holds until it ends or `release`s it. A lock whose process is gone is taken over.
 *
 * @param what what is locked, for the message
 * @throws UserError where another process holds it
 */
export function takeLock(path: string, what: string): { release(): void } {
  const mine = identityOf(process.pid) ?? { pid: process.pid, started: "" };
  const refuse = (holder: ProcessIdentity | undefined): void => {
    if (holder && holder.pid !== process.pid && isThere(holder))
      throw new UserError(`${what} is in use by process ${holder.pid}; wait for it to end, or choose another folder`);
  };
  const [written, removed] = [`${path}.${process.pid}.new`, `${path}.${process.pid}.old`];
  writeFileSync(written, `${JSON.stringify(mine)}\n`);
  try {
    while (!linked(written, path)) {
      refuse(readHolder(path));
      // Of several that would take it over, one gets hold of it by this; another one's new lock may be in its place by now.
      if (!moved(path, removed)) continue;
      const before = readHolder(removed);
      if (before && before.pid !== process.pid && isThere(before)) linked(removed, path);
      rmSync(removed, { force: true });
      refuse(before);
    }
  } finally {
    rmSync(written, { force: true });
  }
  return {
    release: () => {
      if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true });
    },
  };
}

/** Whether a process that is there holds the lock. */
export function isLocked(path: string): boolean {
  const holder = readHolder(path);
  return holder !== undefined && isThere(holder);
}

/** Gives a file a second name, with all that it holds from the first instant on. @returns false where that is taken */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    return copied(from, to); // a file system that has no links
  }
}

function copied(from: string, to: string): boolean {
  try {
    writeFileSync(to, readFileSync(from), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Renames a file. @returns false where there is none */
function moved(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

function readHolder(path: string): ProcessIdentity | undefined {
  try {
    return identitySchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined; // gone since, or never finished by a process that was killed
  }
}
