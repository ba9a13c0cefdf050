/** How steps of a job are to be run: what a user may choose, and what that comes to on the engine that was started. */
import * as tf from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import type { EngineName } from "../backend/select.ts";
import { UserError } from "../errors.ts";
import { jit } from "./jit.ts";
import { type MakeReady, opByOp } from "./ready-step.ts";

/** `auto`: XLA on a GPU, TensorFlow's graph on a CPU, op by op on wasm. */
export const COMPILE_MODES = ["auto", "xla", "graph", "off"] as const;
export type CompileMode = (typeof COMPILE_MODES)[number];

/** Of matrix products and attention; everything else is float32. `auto`: bf16 on a GPU, float32 elsewhere. */
export const PRECISIONS = ["auto", "float32", "bf16"] as const;
export type Precision = (typeof PRECISIONS)[number];

export interface Compilation {
  readonly compile: CompileMode;
  readonly precision: Precision;
}

/** Whether XLA may be what compiles, as far as a process can tell that starts no engine. */
export function mayUseXla({ compile }: Pick<Compilation, "compile">, gpus: number): boolean {
  return compile === "xla" || (compile === "auto" && gpus > 0);
}

/** How steps run here, and that in words for the log. */
export interface StepRunner {
  readonly makeReady: MakeReady;
  readonly compiled: boolean;
  /** of matrix products */
  readonly precision: "float32" | "bfloat16";
  readonly description: string;
}

/**
 * What was chosen, on the engine that this process started.
 *
 * @param warn is told why something runs slower than it could
 * @throws UserError where the engine can't do what was asked for by name
 */
export function stepRunner(engine: EngineName, { compile, precision }: Compilation, warn: (sentence: string) => void): StepRunner {
  if (engine === "wasm") {
    if (compile !== "auto" && compile !== "off")
      throw new UserError(`--compile ${compile}: the wasm engine runs op by op; pass --engine tensorflow`);
    if (precision === "bf16") throw new UserError("--precision bf16: the wasm engine computes in float32; pass --engine tensorflow");
    return { makeReady: opByOp, compiled: false, precision: "float32", description: "op by op, float32" };
  }
  if (compile === "off") {
    if (precision === "bf16") throw new UserError("--precision bf16 needs compiled steps; leave --compile off out");
    return { makeReady: opByOp, compiled: false, precision: "float32", description: "op by op, float32" };
  }
  const onGpu = (tf.findBackend("tensorflow") as unknown as NodeJSKernelBackend).isUsingGpuDevice;
  const target = compile === "auto" ? (onGpu ? "xla" : "graph") : compile;
  const inBfloat16 = precision === "bf16" || (precision === "auto" && onGpu);
  const fusedAttention = onGpu && target === "xla" && inBfloat16;
  const options = { target, precision: inBfloat16 ? "bfloat16" : "float32", fusedAttention, warn } as const;
  return {
    makeReady: (name, step) => jit(name, step, options),
    compiled: true,
    precision: options.precision,
    description: `compiled (${target === "xla" ? "XLA" : "TensorFlow graph"}), ${inBfloat16 ? "bf16 products" : "float32"}${fusedAttention ? ", attention by cuDNN" : ""}`,
  };
}
