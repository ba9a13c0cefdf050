/** Processes and random numbers, as the fault trials need them. */
import { readdirSync, readFileSync } from "node:fs";

export const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(0, seconds)));

/** Does tasks 0..count-1, at most so many at a time, each begun in order. */
export async function atMost(atOnce, count, task) {
  let next = 0;
  const lane = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, lane));
}

/** A number that an option gives. @throws Error where it gives none, or one that is not at least `least` */
export function wholeNumber(option, text, least) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < least) throw new Error(`${option} ${text}: expected a whole number from ${least} up`);
  return number;
}

/** A stream of numbers in [0, 1) for a seed (mulberry32). */
export function randomOf(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  next();
  return {
    between: (from, to) => from + next() * (to - from),
    int: (from, to) => from + Math.floor(next() * (to - from + 1)),
    pick: (items) => items[Math.floor(next() * items.length)],
    chance: (share) => next() < share,
  };
}

const processes = () => readdirSync("/proc").filter((name) => /^\d+$/.test(name));

/** State and parent of a process; undefined where there is none. */
function statOf(pid) {
  try {
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

/** Children of a process that are workers of a run and no zombies. */
export function workersOf(pid) {
  return processes()
    .filter((name) => {
      const stat = statOf(name);
      if (stat?.parent !== pid || stat.state === "Z") return false;
      try {
        return readFileSync(`/proc/${name}/cmdline`, "utf8").includes("\0worker\0");
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Processes with this in their environment, zombies left out. */
export function processesWith(text) {
  return processes()
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/environ`, "utf8").includes(text) && statOf(name)?.state !== "Z";
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Seconds for which a process's first thread was ready to run and no processor was free; 0 where there is no such process, or the system does not tell. */
export function secondsWaited(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[1]) / 1e9;
  } catch {
    return 0;
  }
}

/** Sends a signal. @returns false where the process has ended since */
export function signal(pid, name) {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}
