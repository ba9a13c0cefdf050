/** A worker's signs of life. A thread of their own sends them, so that a long step does not stop them and a stopped process does. */
import { Worker } from "node:worker_threads";

/** File descriptor of the pipe on which the parent listens for them. */
export const PULSE_PIPE = 4;
const PULSE_MILLIS = 500;

/** What a pulse tells: how much has been done so far, and whether the worker waits for other ranks. */
export interface Pulse {
  readonly count: number;
  readonly waiting: boolean;
}

/** The worker's end. */
export interface PulseSender {
  /** something was completed: a step, some predictions, a state restored */
  beat(): void;
  /** Awaits what other ranks must do first: a delay is not this one's. */
  waitForPeers<T>(wait: () => Promise<T>): Promise<T>;
}

/**
 * Sends a pulse every half second until the process ends, which it does at once where its parent is gone: a step may keep the main thread from
 * hearing of that for minutes.
 */
export function startPulse(): PulseSender {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  new Worker(THREAD, {
    eval: true,
    stdin: false,
    workerData: { shared, parent: process.ppid, pipe: PULSE_PIPE, millis: PULSE_MILLIS },
    resourceLimits: { maxOldGenerationSizeMb: 16 },
  }).unref();
  return {
    beat: () => void Atomics.add(shared, 0, 1),
    waitForPeers: async (wait) => {
      Atomics.add(shared, 1, 1);
      try {
        return await wait();
      } finally {
        Atomics.sub(shared, 1, 1);
        Atomics.add(shared, 0, 1);
      }
    },
  };
}

/** A pipe that is full, because the parent is stopped, or closed is nothing to end for: the parent's end shows in the process's parent. */
const THREAD = `
const { workerData: { shared, parent, pipe, millis } } = require("node:worker_threads");
const { writeSync } = require("node:fs");
const send = () => {
  if (process.ppid !== parent) process.kill(process.pid, "SIGKILL");
  try {
    writeSync(pipe, Atomics.load(shared, 0) + " " + Atomics.load(shared, 1) + "\\n");
  } catch {}
};
send(); // at once: a process that is stopped before its first pulse is missed much later
setInterval(send, millis);
`;

/** The pulses in what came through the pipe; @param rest what a chunk ended with in the middle of a pulse */
export function parsePulses(text: string, rest: string): { pulses: Pulse[]; rest: string } {
  const lines = (rest + text).split("\n");
  const open = lines.pop()!;
  const pulses = lines.map((line) => {
    const [count, waiting] = line.split(" ").map(Number);
    return { count: count!, waiting: waiting! > 0 };
  });
  return { pulses, rest: open };
}
