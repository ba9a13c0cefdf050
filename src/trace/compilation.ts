/** How steps of a job are to be run: what a user may choose, and what that comes to on the engine that was started. */
import * as tf from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import type { EngineName } from "../backend/select.ts";
import { UserError } from "../errors.ts";
import { AttentionTrial, type FirstRun, jit } from "./jit.ts";
import { type MakeReady, opByOp } from "./ready-step.ts";

/** `auto`: XLA on a GPU, TensorFlow's graph on a CPU, op by op on wasm. */
export const COMPILE_MODES = ["auto", "xla", "graph", "off"] as const;
export type CompileMode = (typeof COMPILE_MODES)[number];

/** Of matrix products and attention; everything else is float32. `auto`: bf16 on a GPU that has it, float32 elsewhere. */
export const PRECISIONS = ["auto", "float32", "bf16"] as const;
export type Precision = (typeof PRECISIONS)[number];

/** `auto`: by cuDNN on a GPU where steps run by XLA in bf16, composed elsewhere; `fused`: by cuDNN; `composed`: never by it. */
export const ATTENTION_MODES = ["auto", "fused", "composed"] as const;
export type AttentionMode = (typeof ATTENTION_MODES)[number];

export interface Compilation {
  readonly compile: CompileMode;
  readonly precision: Precision;
  /** `auto` unless given */
  readonly attention?: AttentionMode | undefined;
}

/** GPUs of a lower compute capability have neither attention by cuDNN nor arithmetic in bf16. */
const LEAST_CAPABILITY = 8;

/**
 * The attention to plan and work with on GPUs that are known this far.
 *
 * @param capability least compute capability among them; undefined where it is not known
 */
export function attentionOn(asked: AttentionMode = "auto", capability: number | undefined): AttentionMode {
  return asked === "auto" && capability !== undefined && capability < LEAST_CAPABILITY ? "composed" : asked;
}

/** The precision to plan and work with on such GPUs. */
export function precisionOn(asked: Precision, capability: number | undefined): Precision {
  return asked === "auto" && capability !== undefined && capability < LEAST_CAPABILITY ? "float32" : asked;
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
  /** attention by cuDNN is tried */
  readonly fusedAttention: boolean;
  readonly description: string;
}

const OP_BY_OP = {
  makeReady: opByOp,
  compiled: false,
  precision: "float32",
  fusedAttention: false,
  description: "op by op, float32",
} as const;

/**
 * What was chosen, on the engine that this process started.
 *
 * @param warn     is told why something runs slower than it could
 * @param tell     is told before and after each first run of a step, which may end the process
 * @param mayRestart see `JitOptions`
 * @throws UserError where the engine can't do what was asked for by name
 */
export function stepRunner(
  engine: EngineName,
  { compile, precision, attention = "auto" }: Compilation,
  warn: (sentence: string) => void,
  tell?: (run: FirstRun) => void,
  mayRestart = false,
): StepRunner {
  if (engine === "wasm") {
    if (compile !== "auto" && compile !== "off")
      throw new UserError(`--compile ${compile}: the wasm engine runs op by op; pass --engine tensorflow`);
    if (precision === "bf16") throw new UserError("--precision bf16: the wasm engine computes in float32; pass --engine tensorflow");
    if (attention === "fused") throw new UserError("--attention fused: the wasm engine has no cuDNN; pass --engine tensorflow");
    return OP_BY_OP;
  }
  if (attention === "fused" && (compile === "off" || compile === "graph"))
    throw new UserError(`--attention fused needs XLA; leave --compile ${compile} out`);
  if (attention === "fused" && precision === "float32")
    throw new UserError("--attention fused computes in bf16; leave --precision float32 out");
  if (compile === "off") {
    if (precision === "bf16") throw new UserError("--precision bf16 needs compiled steps; leave --compile off out");
    return OP_BY_OP;
  }
  const onGpu = (tf.findBackend("tensorflow") as unknown as NodeJSKernelBackend).isUsingGpuDevice;
  const target = compile === "auto" ? (onGpu ? "xla" : "graph") : compile;
  const inBfloat16 = precision === "bf16" || (precision === "auto" && onGpu);
  const fusedAttention = attention !== "composed" && (onGpu || attention === "fused") && target === "xla" && inBfloat16;
  if (attention === "fused" && !fusedAttention) warn("--attention fused: the engine computes on the CPU; attention is composed");
  const trial = new AttentionTrial(tell);
  const options = {
    target,
    precision: inBfloat16 ? "bfloat16" : "float32",
    fusedAttention,
    trial,
    warn,
    mayRestart,
  } as const;
  return {
    makeReady: (name, step) => jit(name, step, options),
    compiled: true,
    precision: options.precision,
    fusedAttention,
    description: `compiled (${target === "xla" ? "XLA" : "TensorFlow graph"}), ${inBfloat16 ? "bf16 products" : "float32"}${fusedAttention ? ", attention by cuDNN" : ""}`,
  };
}
