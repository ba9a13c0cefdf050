/** What the processor can do, told without loading anything. */
import { readFileSync } from "node:fs";

/** AVX2 and fused multiply-add, without which the TensorFlow engine does without kernels of our own. False where Linux doesn't say. */
export function hasVectorInstructions(): boolean {
  if (process.env.TRM_NATIVE_KERNELS === "off") return false;
  try {
    const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
    return / avx2\b/.test(flags) && / fma\b/.test(flags);
  } catch {
    return false;
  }
}
