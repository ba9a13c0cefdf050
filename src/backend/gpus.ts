/** How many GPUs the driver shows, and what memory they have; asks no tensor library. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { runTool } from "./run-tool.ts";

/** Lists GPUs, one line each; throws where it can't tell. */
export type GpuProbe = () => string[];

/** A first answer over several GPUs, whose driver has to wake up, can take long. */
const TIMEOUT_MILLIS = 30_000;

/** The driver's own list. */
const driverProbe: GpuProbe = () =>
  execFileSync("nvidia-smi", ["-L"], { encoding: "utf8", timeout: TIMEOUT_MILLIS, stdio: ["ignore", "pipe", "ignore"] })
    .split("\n")
    .filter((line) => line.startsWith("GPU "));

/** The kernel driver's folder, for images without nvidia-smi. */
const procProbe: GpuProbe = () => readdirSync("/proc/driver/nvidia/gpus");

/** The devices, for containers that are shown neither. */
const deviceProbe: GpuProbe = () => readdirSync("/dev").filter((name) => /^nvidia\d+$/.test(name));

/**
 * What CUDA_VISIBLE_DEVICES may name, one GPU each: the entries that it has already (indexes or UUIDs of GPUs that others leave to this process), else 0,
 * 1, ...; none where no probe finds a GPU.
 */
export function gpuIds(
  probes: readonly GpuProbe[] = [driverProbe, procProbe, deviceProbe],
  visible = process.env.CUDA_VISIBLE_DEVICES,
): string[] {
  for (const probe of probes) {
    try {
      const found = probe().length;
      if (found === 0) continue;
      if (visible === undefined) return Array.from({ length: found }, (_, i) => String(i));
      const listed = visible.split(",").map((id) => id.trim());
      const end = listed.findIndex((id) => id === "" || id === "-1"); // CUDA sees nothing from there on
      return listed.slice(0, end === -1 ? found : Math.min(end, found));
    } catch {} // this way of asking isn't there; the next one may be
  }
  return [];
}

/** Number of GPUs, 0 where no probe finds any; CUDA_VISIBLE_DEVICES limits it as it limits CUDA. */
export function countGpus(probes?: readonly GpuProbe[], visible?: string): number {
  return gpuIds(probes, visible).length;
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

/** Arguments for which nvidia-smi tells numbers of each GPU that CUDA_VISIBLE_DEVICES leaves to this process, a line each. */
function queryOf(properties: string): string[] {
  const visible = process.env.CUDA_VISIBLE_DEVICES?.trim();
  return [`--query-gpu=${properties}`, "--format=csv,noheader,nounits", ...(visible ? [`--id=${visible}`] : [])];
}

/** A number that nvidia-smi knows of each GPU that CUDA_VISIBLE_DEVICES leaves to this process. */
function numbersOf(property: string): number[] {
  return execFileSync("nvidia-smi", queryOf(property), {
    encoding: "utf8",
    timeout: TIMEOUT_MILLIS,
    stdio: ["ignore", "pipe", "ignore"],
  })
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(Number);
}

/** Mebibytes that are in use, and that there are, of each GPU in the driver's order. */
export type GpuUseProbe = () => Promise<readonly (readonly [number, number])[]>;

const driverUseProbe: GpuUseProbe = async () => {
  const { stdout } = await runTool("nvidia-smi", queryOf("memory.used,memory.total"), { timeoutMillis: TIMEOUT_MILLIS });
  const lines = stdout.split("\n").filter((line) => line.includes(","));
  return lines.map((line) => line.split(",").map(Number) as [number, number]);
};

/** What memory of the GPUs is in use, by this process or others, in words; undefined where the driver doesn't tell. */
export async function gpuMemoryInUse(probe: GpuUseProbe = driverUseProbe): Promise<string | undefined> {
  const inUse = (await probe()).filter(([used, total]) => used >= 0 && total > 0);
  if (inUse.length === 0) return undefined;
  const gib = (mebibytes: number): string => (mebibytes / 1024).toFixed(1);
  return inUse.map(([used, total], i) => `${i}: ${gib(used)} of ${gib(total)} GiB`).join("; ");
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
