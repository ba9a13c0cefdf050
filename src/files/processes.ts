/** Processes by more than their number, which is given out again, and the lock file that one of them holds. */
import { existsSync, linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
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
 * The holder of a lock is the last of a line: who takes over from a process that is gone writes a file that is named after that
 * process, which only one can do, and then puts itself first in place of the line.
 *
 * @param what what is locked, for the message
 * @throws UserError where another process holds it
 */
export function takeLock(path: string, what: string): { release(): void } {
  const mine = identityOf(process.pid) ?? { pid: process.pid, started: "" };
  const written = `${path}.${process.pid}.new`;
  writeFileSync(written, `${JSON.stringify(mine)}\n`);
  try {
    for (let line = lineOf(path); !isSame(line.last, mine); line = lineOf(path)) {
      if (line.last && isThere(line.last))
        throw new UserError(`${what} is in use by process ${line.last.pid}; wait for it to end, or choose another folder`);
      if (!linked(written, line.next)) continue;
      // The line may have been replaced while it was read; then this place in it is nobody's.
      if (!isSame(lineOf(path).last, mine)) rmSync(line.next, { force: true });
      else if (line.next !== path) {
        renameSync(written, path);
        for (const file of [...line.files.slice(1), line.next]) rmSync(file, { force: true });
      }
    }
  } finally {
    rmSync(written, { force: true });
  }
  return {
    release: () => {
      if (isSame(lineOf(path).last, mine)) rmSync(path, { force: true });
    },
  };
}

/** Whether a process that is there holds the lock. */
export function isLocked(path: string): boolean {
  const { last } = lineOf(path);
  return last !== undefined && isThere(last);
}

/** Those that have taken a lock over from one another. */
interface LockLine {
  readonly files: readonly string[];
  /** the holder, if it is still there; undefined where there is none, or what it wrote can't be read */
  readonly last: ProcessIdentity | undefined;
  /** the file by which another one would follow */
  readonly next: string;
}

function lineOf(path: string): LockLine {
  const files: string[] = [];
  let [last, next]: [ProcessIdentity | undefined, string] = [undefined, path];
  while (existsSync(next)) {
    files.push(next);
    last = readHolder(next);
    next = `${path}.after-${last ? `${last.pid}-${last.started.replaceAll(":", "-")}` : `unreadable-${files.length}`}`;
  }
  return { files, last, next };
}

function isSame(one: ProcessIdentity | undefined, other: ProcessIdentity): boolean {
  return one?.pid === other.pid && one.started === other.started;
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

function readHolder(path: string): ProcessIdentity | undefined {
  try {
    return identitySchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined; // gone since, or never finished by a process that was killed
  }
}
