/** What the tests of real processes share: a folder of their own, a toy checkpoint in it, and how a process ended. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after } from "node:test";

export const BUNDLE = resolve("submission/trm.mjs");
export const SAMPLE = resolve("submission/sample-challenges.json");
export const SAMPLE_SOLUTIONS = resolve("submission/sample-solutions.json");

/** This test file's own folder, gone when its tests are over. */
export const folder = mkdtempSync(join(tmpdir(), "trm-cli-"));
/** Where its processes put what is temporary; empty again when all of them have ended in order. */
export const scratch = join(folder, "tmp");
mkdirSync(scratch);
process.env.XDG_CACHE_HOME = join(folder, "cache"); // what is started here keeps nothing in the user's own
after(() => rmSync(folder, { recursive: true, force: true }));
for (const [signal, number] of [
  ["SIGTERM", 15],
  ["SIGINT", 2],
] as const) {
  // The one who runs the tests has no more time for them: nothing stays behind.
  process.once(signal, () => {
    for (const pid of processesHere()) process.kill(pid, "SIGKILL");
    rmSync(folder, { recursive: true, force: true });
    process.exit(128 + number);
  });
}

/** How a process ended. */
export interface Ended {
  /** exit status as a shell has it: 128 + n where signal n ended it */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** wall clock from its start, seen from outside */
  readonly seconds: number;
}

/** A process under way. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** resolves when standard error has said this */
  said(pattern: RegExp): Promise<void>;
}

const SIGNAL_NUMBERS: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** Starts `trm` with these arguments. */
export function start(...args: string[]): Running {
  const began = performance.now();
  const child = spawn(process.execPath, [BUNDLE, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: scratch },
  });
  let stdout = "";
  let stderr = "";
  const waiting: { pattern: RegExp; resolve: () => void }[] = [];
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    for (const { pattern, resolve } of waiting) if (pattern.test(stderr)) resolve();
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => {
      const status = code ?? 128 + (SIGNAL_NUMBERS[signal!] ?? 0);
      resolve({ status, stdout, stderr, seconds: (performance.now() - began) / 1000 });
    });
  });
  const said = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      if (pattern.test(stderr)) return resolve();
      waiting.push({ pattern, resolve });
      ended.then(() => reject(new Error(`ended without saying ${pattern}:\n${stderr}`)));
    });
  return { child, ended, said };
}

/** Runs `trm` to its end. */
export function trm(...args: string[]): Promise<Ended> {
  return start(...args).ended;
}

/** The JSON object on the last line of standard output. @throws where the process did not end with status 0 */
export function lastLine({ status, stdout, stderr }: Ended): Record<string, unknown> {
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
}

/** Writes a file below the folder. @returns its path */
export function put(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** Settings that make a training step and a round of votes a matter of milliseconds. */
export const QUICK = ["--engine", "wasm", "--batch-size", "8", "--train-variants", "3", "--vote-variants", "2"];

let made: Promise<{ checkpoint: string; seconds: number }> | undefined;

function make(): Promise<{ checkpoint: string; seconds: number }> {
  made ??= (async () => {
    const checkpoint = join(folder, "toy");
    const options = "--steps 2 --hidden-size 16 --num-heads 2 --batch-size 4 --rules-per-kind 1 --engine wasm";
    const { status, stderr, seconds } = await trm("pretrain", ...options.split(" "), "--out", checkpoint);
    assert.equal(status, 0, stderr);
    return { checkpoint, seconds };
  })();
  return made;
}

/** A checkpoint of a tiny model that knows nothing; made once. @returns its folder */
export async function toyCheckpoint(): Promise<string> {
  return (await make()).checkpoint;
}

/** Whole seconds in which a run surely gets as far as training, on this machine and as busy as it is: 8 or so on a quiet one. */
export async function roomySeconds(): Promise<number> {
  return Math.ceil(4 + 2 * (await make()).seconds);
}

/** Seconds that a run may take beyond a budget in which it can hardly start: a second, and what a short process takes here, as busy as the machine is. */
export async function slackSeconds(): Promise<number> {
  return 1 + (await make()).seconds;
}

/** A run that needs nothing more: sample tasks, toy checkpoint, a submission of its own in folder `name`. */
export async function runArguments(name: string, budget: string, challenges = SAMPLE): Promise<{ args: string[]; out: string }> {
  const out = join(folder, name, "submission.json");
  const args = ["run", "--challenges", challenges, "--checkpoint", await toyCheckpoint(), "--out", out, "--budget", budget, ...QUICK];
  return { args, out };
}

/** Asserts that `validate` takes a submission. */
export async function assertValid(submission: string, challenges = SAMPLE): Promise<void> {
  const { status, stderr } = await trm("validate", submission, "--challenges", challenges);
  assert.equal(status, 0, stderr);
}

/** Keys of a JSON object in the file's order, which `JSON.parse` does not keep for ids of digits. */
export function keysInOrder(text: string): string[] {
  return [...text.matchAll(/^\{?"([^"]+)": \[/gm)].map(([, id]) => id!);
}

/** Processes whose parent is `pid`, from /proc. */
export function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // pid (command) state ppid ...; the command may hold blanks and parentheses
        const [, parent] = readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1)!.split(" ");
        return Number(parent) === pid ? [Number(name)] : [];
      } catch {
        return []; // it has ended since
      }
    });
}

/** Processes that this file's tests have started, by the folder in their environment. */
export function processesHere(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return readFileSync(`/proc/${name}/environ`, "utf8").includes(`TMPDIR=${scratch}`) ? [Number(name)] : [];
      } catch {
        return [];
      }
    });
}

/** Whether a process is there and is no zombie. */
export function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)![0] !== "Z";
  } catch {
    return false;
  }
}

/** Asserts that these processes are gone within some seconds. */
export async function assertGone(pids: readonly number[], seconds: number): Promise<void> {
  const until = performance.now() + 1000 * seconds;
  while (pids.some(isAlive) && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(pids.filter(isAlive), [], `still there after ${seconds} s`);
}

/** Peak resident memory of a process in bytes, from outside. */
export function peakBytes(pid: number): number {
  return 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
}

/** A file of tasks of 30 x 30 cells whose answer is the input with two colours exchanged. */
export function largeTasks(count: number): string {
  const grid = (seed: number, swap: boolean): number[][] =>
    Array.from({ length: 30 }, (_, r) =>
      Array.from({ length: 30 }, (_, c) => {
        const color = (r * r + seed * c + ((r * c) >> 2)) % 10;
        return swap && color < 2 ? 1 - color : color;
      }),
    );
  const pair = (seed: number): object => ({ input: grid(seed, false), output: grid(seed, true) });
  const tasks = Array.from({ length: count }, (_, i) => [
    `large${i}`,
    { train: [pair(3 * i + 1), pair(3 * i + 2)], test: [{ input: grid(3 * i + 3, false) }] },
  ]);
  return put("large.json", JSON.stringify(Object.fromEntries(tasks)));
}
