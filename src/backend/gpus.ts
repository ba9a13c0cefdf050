/** How many GPUs the driver shows, and what memory they have; asks no tensor library. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";

/** Lists GPUs, one line each; throws where it can't tell. */
export type GpuProbe = () => string[];

/** The driver's own list. */
const driverProbe: GpuProbe = () =>
  execFileSync("nvidia-smi", ["-L"], { encoding: "utf8", timeout: 10_000, stdio: ["ignore", "pipe", "ignore"] })
    .split("\n")
    .filter((line) => line.startsWith("GPU "));

/** The kernel driver's folder, for images without nvidia-smi. */
const procProbe: GpuProbe = () => readdirSync("/proc/driver/nvidia/gpus");

/** Number of GPUs, 0 where no probe finds any; CUDA_VISIBLE_DEVICES limits it as it limits CUDA. */
export function countGpus(probes: readonly GpuProbe[] = [driverProbe, procProbe], visible = process.env.CUDA_VISIBLE_DEVICES): number {
  for (const probe of probes) {
    try {
      const found = probe().length;
      if (found > 0)
        return visible === undefined
          ? found
          : Math.min(found, visible.split(",").filter((id) => id.trim() !== "" && id.trim() !== "-1").length);
    } catch {} // this way of asking isn't there; the next one may be
  }
  return 0;
}

/** What CUDA calls the compute capability of each GPU, such as 8.9; throws where it can't tell. */
const driverCapabilityProbe = (): number[] => numbersOf("compute_cap");

/** The least compute capability of the driver's GPUs; undefined where it doesn't tell. */
export function leastCapability(probe: () => number[] = driverCapabilityProbe): number | undefined {
  try {
    const known = probe().filter((capability) => capability > 0);
    return known.length > 0 ? Math.min(...known) : undefined;
  } catch {
    return undefined; // not told
  }
}

/** A number that nvidia-smi knows of each GPU. */
function numbersOf(property: string): number[] {
  return execFileSync("nvidia-smi", [`--query-gpu=${property}`, "--format=csv,noheader,nounits"], {
    encoding: "utf8",
    timeout: 10_000,
    stdio: ["ignore", "pipe", "ignore"],
  })
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(Number);
}

/** Bytes of memory of each GPU in the driver's order; throws where it can't tell. */
export type GpuMemoryProbe = () => number[];

const driverMemoryProbe: GpuMemoryProbe = () => numbersOf("memory.total").map((mebibytes) => mebibytes * 2 ** 20);

/**
 * Memory of so many GPUs as there are to be used: the smallest of those that the driver has, for each; undefined where it
 * doesn't tell (the kernel driver's folder, which images without nvidia-smi have, knows nothing of it).
 */
export function gpuMemory(count: number, probe: GpuMemoryProbe = driverMemoryProbe): (number | undefined)[] {
  let smallest: number | undefined;
  try {
    const known = probe().filter((bytes) => bytes > 0);
    if (known.length > 0) smallest = Math.min(...known);
  } catch {} // not told
  return Array.from({ length: count }, () => smallest);
}
