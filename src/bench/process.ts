/** Runs a benchmark in a process of its own, whose peak memory is that of the benchmark alone. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type EngineName, startEngine } from "../backend/select.ts";
import { UserError } from "../errors.ts";
import { createRandom } from "../random.ts";
import { type Compilation, stepRunner } from "../trace/compilation.ts";
import { countSteps } from "./count-steps.ts";
import type { Work } from "./project.ts";
import { actStepWork, optimizerStepWork, roofline as projectRoofline, type RooflineReport, type RooflineRequest } from "./roofline.ts";
import { BENCH_PRESETS, type BenchResult, benchModel, benchTrainStep } from "./train-step.ts";

/** Status of a process that ended with a `UserError`. */
const USER_ERROR = 1;

export interface BenchRequest {
  readonly preset: string;
  readonly engine: EngineName;
  readonly threads: number | undefined;
  readonly steps: number;
  readonly seed: string;
  readonly compilation: Compilation;
  /** also count the steps' work, and project that of the full-size model */
  readonly roofline: RooflineRequest | undefined;
}

export interface BenchReport extends BenchResult {
  readonly preset: string;
  readonly engine: EngineName;
  readonly compiled: boolean;
  /** how steps ran, in words */
  readonly running: string;
  /** why something ran slower than it could */
  readonly warnings: readonly string[];
  /** the preset's steps as counted from their traces, and what of the machine's speed they reached */
  readonly counted?: { readonly trainStep: CountedStep; readonly actStep: CountedStep };
  readonly roofline?: RooflineReport;
}

/** A step's counted work beside its measured median. */
export interface CountedStep {
  readonly flops: number;
  readonly bytes: number;
  /** of the speed of this machine's largest matrix product */
  readonly shareOfMatmulSpeed: number;
  readonly gigabytesPerSecond: number;
}

/**
 * Does the work in a new process.
 *
 * @throws UserError where that process gives one, with its message
 */
export function runBench(request: BenchRequest, environment: Record<string, string>): Promise<BenchReport> {
  return inNewProcess<BenchReport>(["--inside", JSON.stringify(request)], environment);
}

/**
 * Projects steps in a new process; runs none.
 *
 * @throws UserError as above
 */
export function runRoofline(request: RooflineRequest, environment: Record<string, string>): Promise<RooflineReport> {
  return inNewProcess<RooflineReport>(["--project", JSON.stringify(request)], environment);
}

/** The same in this process. */
export async function runRooflineHere(request: RooflineRequest): Promise<RooflineReport> {
  await startEngine("tensorflow", { threads: 1 });
  return projectRoofline(request);
}

async function inNewProcess<Result>(options: readonly string[], environment: Record<string, string>): Promise<Result> {
  const args = ["bench", ...options];
  const env = { ...process.env, ...environment };
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), ...args], { env }).catch((error) => {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code !== USER_ERROR) throw error;
    throw new UserError(stderr!.trimEnd().split("\n").at(-1)!, { cause: error });
  });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Result;
}

/** Does the work in this process. */
export async function runBenchHere({ preset, engine, threads, steps, seed, compilation, roofline }: BenchRequest): Promise<BenchReport> {
  await startEngine(engine, { threads });
  const warnings: string[] = [];
  const { makeReady, compiled, precision, fusedAttention, description } = stepRunner(engine, compilation, (sentence) =>
    warnings.push(sentence),
  );
  const shape = BENCH_PRESETS[preset]!;
  const result = await benchTrainStep(shape, steps, createRandom(seed), makeReady);
  const report = { preset, engine, compiled, running: description, warnings, ...result };
  if (!roofline) return report;
  const { canvas, batch: rows } = shape;
  const counts = countSteps({ model: benchModel(shape), canvas, rows, precision, recompute: false, fusedAttention });
  const beside = ({ flops, bytes }: Work, seconds: number): CountedStep => ({
    flops,
    bytes,
    shareOfMatmulSpeed: flops / seconds / (result.matmulGflops * 1e9),
    gigabytesPerSecond: bytes / seconds / 1e9,
  });
  const counted = {
    trainStep: beside(optimizerStepWork(counts, 1, 1), result.secondsPerTrainStep.median),
    actStep: beside(actStepWork(counts, 1), result.secondsPerActStep.median),
  };
  return { ...report, counted, roofline: projectRoofline(roofline) };
}
