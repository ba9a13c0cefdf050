/** Options that tell how a batch is cut to fit the memory. */
import type { Argv } from "yargs";
import { wholeNumber } from "../config/whole-number.ts";

const RECOMPUTE = ["auto", "on", "off"] as const;
export type Recompute = (typeof RECOMPUTE)[number];

export interface MemoryArgs {
  readonly microBatch: number | undefined;
  readonly recompute: Recompute;
}

/** What the user has decided; the rest is planned. */
export interface MemoryWishes {
  readonly microBatch: number | undefined;
  readonly recompute: boolean | undefined;
}

/** Adds `--micro-batch` and `--recompute`. */
export function withMemoryFlags<T>(y: Argv<T>): Argv<T> {
  y.option("micro-batch", {
    type: "number",
    describe: "rows that go through the model together in each worker [default: as many as its memory holds]",
  });
  y.option("recompute", {
    choices: RECOMPUTE,
    default: "auto" as const,
    describe: "compute blocks again for their gradient, for a sixth more time and less memory: auto (where the memory is short), on, off",
  });
  return y;
}

/** @throws UserError where `--micro-batch` is no number of rows */
export function memoryWishes({ microBatch, recompute }: MemoryArgs): MemoryWishes {
  wholeNumber("--micro-batch", microBatch, 1);
  return { microBatch, recompute: recompute === "auto" ? undefined : recompute === "on" };
}
