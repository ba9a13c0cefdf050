/** How steps will run on an engine, told before it is started, and what that means for memory. */
import { hasVectorInstructions } from "../backend/processor.ts";
import type { EngineName } from "../backend/select.ts";
import type { Means } from "../budget/memory.ts";
import type { Compilation } from "./compilation.ts";

/** @param onGpu whether the engine computes on a GPU */
export function meansOf(engine: EngineName, { compile, precision, attention }: Compilation, onGpu: boolean): Means {
  const steps = engine === "wasm" || compile === "off" ? "op by op" : compile === "auto" ? (onGpu ? "xla" : "graph") : compile;
  const ownKernels = engine === "wasm" || (!onGpu && steps !== "xla" && hasVectorInstructions());
  const fusedAttention = onGpu && steps === "xla" && precision !== "float32" && attention !== "composed";
  return { engine, steps, device: onGpu ? "gpu" : "cpu", ownKernels, fusedAttention };
}
