/** How many GPUs the driver shows; asks no tensor library. */
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
