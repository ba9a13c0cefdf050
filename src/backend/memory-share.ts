/** What of a machine's memory a worker may take. */
import { totalmem } from "node:os";
import type { EngineName } from "./select.ts";

/** Of the machine's memory, or a container's limit, for all workers together. */
const SHARE_OF_RAM = 0.5;
/** Of a GPU's memory. */
const SHARE_OF_GPU = 0.9;
/** Of a GPU whose driver doesn't tell: what the smallest one in the competition has. */
const UNKNOWN_GPU_BYTES = 15e9;
/** WebAssembly can have 4 GiB, of which a good part goes to gaps; and larger parts of a batch are no faster on it. */
const MOST_ON_WASM = 1.5e9;

/** What shares the memory. */
export interface Sharers {
  readonly engine: EngineName;
  readonly workers: number;
  /** bytes of each GPU that the workers are spread over, undefined where the driver doesn't tell; empty where they use none */
  readonly gpus: readonly (number | undefined)[];
}

/** Bytes for each worker: of its GPU's memory where it has one, else of the machine's. */
export function memoryShare({ engine, workers, gpus }: Sharers, ramBytes = usableMemory()): number {
  if (gpus.length > 0) {
    const smallest = Math.min(...gpus.map((bytes) => bytes ?? UNKNOWN_GPU_BYTES));
    return (SHARE_OF_GPU * smallest) / Math.ceil(workers / gpus.length);
  }
  const share = (SHARE_OF_RAM * ramBytes) / workers;
  return engine === "wasm" ? Math.min(MOST_ON_WASM, share) : share;
}

/** The machine's memory, or the limit of the container that the process is in. */
function usableMemory(): number {
  const limit = (process as { constrainedMemory?: () => number | undefined }).constrainedMemory?.();
  return limit !== undefined && limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
