/** Runs a benchmark in a process of its own, whose peak memory is that of the benchmark alone. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type EngineName, startEngine } from "../backend/select.ts";
import { createRandom } from "../random.ts";
import { BENCH_PRESETS, type BenchResult, benchTrainStep } from "./train-step.ts";

export interface BenchRequest {
  readonly preset: string;
  readonly engine: EngineName;
  readonly threads: number | undefined;
  readonly steps: number;
  readonly seed: string;
  /** this is the process of its own */
  readonly inside: boolean;
}

export interface BenchReport extends BenchResult {
  readonly preset: string;
  readonly engine: EngineName;
  readonly compiled: boolean;
}

/** Starts the process, or, inside it, does the work. */
export async function runBenchWorker(request: BenchRequest, environment: Record<string, string>): Promise<BenchReport> {
  const { preset, engine, threads, steps, seed } = request;
  if (request.inside) {
    await startEngine(engine, { threads });
    return { preset, engine, compiled: false, ...(await benchTrainStep(BENCH_PRESETS[preset]!, steps, createRandom(seed))) };
  }
  const args = ["bench", "--inside", "--preset", preset, "--engine", engine, "--steps", String(steps), "--seed", seed];
  if (threads !== undefined) args.push("--threads", String(threads));
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), ...args], {
    env: { ...process.env, ...environment },
  });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as BenchReport;
}
