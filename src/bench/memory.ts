/** Peak memory of training and prediction, measured in a process of its own each. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type EngineName, startEngine } from "../backend/select.ts";
import { memoryDemand } from "../budget/memory.ts";
import type { Example } from "../encode/batch.ts";
import type { ModelConfig } from "../model/config.ts";
import { initTrunk } from "../model/init.ts";
import { PuzzleEmbedding } from "../model/puzzle-embedding.ts";
import { ADAM_ATAN2_DEFAULTS } from "../optim/adam-atan2.ts";
import { createRandom } from "../random.ts";
import { type Compilation, stepRunner } from "../trace/compilation.ts";
import { meansOf } from "../trace/means.ts";
import { Replica } from "../train/replica.ts";
import { benchModel } from "./train-step.ts";

/** What is measured once. */
export interface MemoryCase {
  readonly engine: EngineName;
  readonly compilation: Compilation;
  readonly kind: "training" | "prediction";
  readonly hiddenSize: number;
  readonly numHeads: number;
  /** cells a side */
  readonly canvas: number;
  /** rows of the batch, and how many of them go through the model together */
  readonly rows: number;
  readonly microBatch: number;
  readonly recompute: boolean;
  /** rows of the puzzle embedding that are held beside it all */
  readonly puzzleRows?: number;
  /** other sizes of the model than the official ones */
  readonly model?: Partial<ModelConfig>;
}

/** A case, what the model says of it, and what it took; bytes at the peak. */
export interface MemoryCheck {
  readonly measured: MemoryCase;
  readonly expectedBytes: number;
  readonly bytes: number;
}

const FLOAT32 = "float32" as const;

/** Small, middle and full size, many rows and few, every way of running steps. A minute each on two cores, less on more. */
export const MEMORY_CASES: readonly MemoryCase[] = [
  ...(["wasm", "off", "graph", "xla"] as const).flatMap((way) =>
    [false, true].map((recompute) => on(way, { hiddenSize: 128, numHeads: 4, canvas: 10, rows: 32, microBatch: 32, recompute })),
  ),
  on("graph", { hiddenSize: 192, numHeads: 6, canvas: 20, rows: 12, microBatch: 4 }),
  on("graph", { hiddenSize: 256, numHeads: 4, canvas: 15, rows: 8, microBatch: 8 }),
  on("graph", { hiddenSize: 512, numHeads: 8, canvas: 30, rows: 2, microBatch: 2 }),
  on("graph", { hiddenSize: 512, numHeads: 8, canvas: 30, rows: 2, microBatch: 2, recompute: true }),
  on("graph", { hiddenSize: 512, numHeads: 8, canvas: 30, rows: 2, microBatch: 2, kind: "prediction" }),
  on("graph", { hiddenSize: 512, numHeads: 8, canvas: 12, rows: 16, microBatch: 16, model: { lLayers: 1, lCycles: 6 } }),
  on("xla", { hiddenSize: 256, numHeads: 4, canvas: 15, rows: 8, microBatch: 8 }),
  on("xla", { hiddenSize: 512, numHeads: 8, canvas: 30, rows: 1, microBatch: 1 }),
  on("xla", { hiddenSize: 512, numHeads: 8, canvas: 30, rows: 1, microBatch: 1, recompute: true }),
  on("off", { hiddenSize: 256, numHeads: 4, canvas: 15, rows: 8, microBatch: 8 }),
  on("wasm", { hiddenSize: 256, numHeads: 4, canvas: 15, rows: 4, microBatch: 4 }),
  on("wasm", { hiddenSize: 256, numHeads: 4, canvas: 15, rows: 8, microBatch: 8, kind: "prediction" }),
];

function on(
  way: "wasm" | "off" | "graph" | "xla",
  sizes: Pick<MemoryCase, "hiddenSize" | "numHeads" | "canvas" | "rows" | "microBatch"> & Partial<MemoryCase>,
): MemoryCase {
  const engine = way === "wasm" ? "wasm" : "tensorflow";
  const compilation = { compile: way === "wasm" ? "off" : way, precision: FLOAT32 } as const;
  return { engine, compilation, kind: "training", recompute: false, ...sizes };
}

/** What the memory model says of a case on a processor. */
export function expectedMemory(measured: MemoryCase): number {
  const { engine, compilation, kind, recompute, canvas, rows, microBatch, puzzleRows = 0 } = measured;
  const model = modelOf(measured);
  const work = { model, positions: model.prefixLength + canvas ** 2, kind, recompute };
  const { fixedBytes, rowBytes, carriedBytes } = memoryDemand(work, meansOf(engine, compilation, false));
  return fixedBytes + microBatch * rowBytes + rows * carriedBytes + 4 * puzzleRows * model.puzzleEmbeddingSize;
}

function modelOf({ hiddenSize, numHeads, canvas, rows, model }: MemoryCase): ModelConfig {
  return { ...benchModel({ hiddenSize, numHeads, canvas, batch: rows }), ...model };
}

/** Runs a case in a process of its own. */
export async function checkMemory(measured: MemoryCase, environment: Record<string, string>): Promise<MemoryCheck> {
  const args = [fileURLToPath(import.meta.url), "bench", "--memory-case", JSON.stringify(measured)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...environment } });
  const { peakBytes } = JSON.parse(stdout.trim().split("\n").at(-1)!) as { peakBytes: number };
  return { measured, expectedBytes: expectedMemory(measured), bytes: peakBytes };
}

/** A line of the table. */
export function describeMemoryCheck({ measured, expectedBytes, bytes }: MemoryCheck): string {
  const { engine, compilation, kind, hiddenSize, canvas, rows, microBatch, recompute, puzzleRows, model } = measured;
  const way = engine === "wasm" ? "wasm" : compilation.compile === "off" ? "op by op" : compilation.compile;
  const batch = microBatch === rows ? String(rows) : `${rows} by ${microBatch}`;
  const other = Object.entries(model ?? {}).map(([name, value]) => `, ${name} ${value}`);
  const table = puzzleRows === undefined ? "" : `, ${puzzleRows} puzzle rows`;
  const what = `${kind}${recompute ? ", computed again" : ""}${table}${other.join("")}`;
  const megabytes = (value: number): string => `${(value / 1e6).toFixed(0)} MB`.padStart(8);
  const off = `${(100 * (expectedBytes / bytes - 1)).toFixed(0)} %`.padStart(6);
  return `${way.padEnd(9)} hidden ${hiddenSize}, canvas ${canvas}, rows ${batch.padEnd(8)} ${megabytes(expectedBytes)} expected ${megabytes(bytes)} measured ${off}  ${what}`;
}

/** The process of its own: three steps, or two predictions of two ACT steps. */
export async function runMemoryCase(measured: MemoryCase): Promise<{ peakBytes: number }> {
  const { engine, compilation, canvas, rows, microBatch, recompute } = measured;
  await startEngine(engine, {});
  const warn = (sentence: string): void => console.error(sentence);
  const { makeReady } = stepRunner(engine, compilation, warn);
  const model = modelOf(measured);
  const tokens = canvas ** 2;
  const positions = Int32Array.from({ length: model.prefixLength + tokens }, (_, i) => i);
  const random = createRandom("memory");
  const table = new PuzzleEmbedding(model.puzzleEmbeddingSize, (id, row) => row.fill(id));
  for (let id = 0; id < (measured.puzzleRows ?? 0); id++) table.row(id);
  const settings = {
    model,
    positions,
    globalBatch: rows,
    microBatch,
    recompute,
    adam: ADAM_ATAN2_DEFAULTS,
    puzzleWeightDecay: 0.1,
    explorationProbability: 0.1,
    haltMaxSteps: model.haltMaxSteps,
    makeReady,
    warn,
  };
  const replica = new Replica(settings, initTrunk(model, random.fork("trunk")), table, random);
  const example = (): Example => ({
    inputs: Int32Array.from({ length: tokens }, () => random.int(0, 11)),
    labels: Int32Array.from({ length: tokens }, () => random.int(1, 11)),
    puzzleId: random.int(1, 999),
  });
  const rates = { lrTrunk: 1e-4, lrPuzzle: 1e-2, emaDecay: 0.999, frozen: false };
  const examples = Array.from({ length: rows }, example);
  for (let i = 0; i < 3; i++) await (measured.kind === "training" ? replica.trainStep(example, rates) : replica.predict(examples, 2));
  replica.dispose();
  return { peakBytes: peakResidentBytes() };
}

/** Most resident memory that this process ever had, in bytes. Linux's own count. */
function peakResidentBytes(): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return line ? Number(line[1]) * 1024 : process.resourceUsage().maxRSS * 1024;
}
