/** Runs a benchmark in a process of its own, whose peak memory is that of the benchmark alone. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type EngineName, startEngine } from "../backend/select.ts";
import { createRandom } from "../random.ts";
import { type Compilation, stepRunner } from "../trace/compilation.ts";
import { BENCH_PRESETS, type BenchResult, benchTrainStep } from "./train-step.ts";

export interface BenchRequest {
  readonly preset: string;
  readonly engine: EngineName;
  readonly threads: number | undefined;
  readonly steps: number;
  readonly seed: string;
  readonly compilation: Compilation;
  /** this is the process of its own */
  readonly inside: boolean;
}

export interface BenchReport extends BenchResult {
  readonly preset: string;
  readonly engine: EngineName;
  readonly compiled: boolean;
  /** how steps ran, in words */
  readonly running: string;
  /** why something ran slower than it could */
  readonly warnings: readonly string[];
}

/** Starts the process, or, inside it, does the work. */
export async function runBenchWorker(request: BenchRequest, environment: Record<string, string>): Promise<BenchReport> {
  const { preset, engine, threads, steps, seed, compilation } = request;
  if (request.inside) {
    await startEngine(engine, { threads });
    const warnings: string[] = [];
    const { makeReady, compiled, description } = stepRunner(engine, compilation, (sentence) => warnings.push(sentence));
    const result = await benchTrainStep(BENCH_PRESETS[preset]!, steps, createRandom(seed), makeReady);
    return { preset, engine, compiled, running: description, warnings, ...result };
  }
  const args = ["bench", "--inside", "--preset", preset, "--engine", engine, "--steps", String(steps), "--seed", seed];
  args.push("--compile", compilation.compile, "--precision", compilation.precision);
  if (threads !== undefined) args.push("--threads", String(threads));
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), ...args], {
    env: { ...process.env, ...environment },
  });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as BenchReport;
}
