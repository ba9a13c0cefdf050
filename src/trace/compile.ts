/** Compiles a pure function of tensors: traces it once, then runs it as one TensorFlow function. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import { makeProcessFolder } from "../files/process-folder.ts";
import { OWN_KERNEL_PREFIX } from "../model/own-kernel.ts";
import { countWork, type WorkCounts } from "./counts.ts";
import { type EmitOptions, emit, MODEL_TAG } from "./emit.ts";
import { FUSED_ATTENTION_KERNELS } from "./fused-attention.ts";
import { type DType, type Graph, printType, type ValueType } from "./graph.ts";
import { simplify } from "./simplify.ts";
import { trace } from "./tracer.ts";

/**
 * How to compile. The target is by default XLA on a GPU, where joining small operations saves trips through memory, and
 * TensorFlow's graph on a CPU, whose oneDNN products are faster than XLA's there and which needs no seconds to compile.
 */
export type CompileOptions = Partial<EmitOptions> & {
  /** attention in cuDNN's own kernels, see `fused-attention.ts`: with XLA on a GPU, in bfloat16 */
  readonly fusedAttention?: boolean;
};

/** A function that was compiled for inputs of certain shapes. */
export interface CompiledStep {
  /** what it does; `printGraph` makes it readable */
  readonly graph: Graph;
  readonly counts: WorkCounts;
  /**
   * Runs it. The first run takes seconds: only then are the shapes compiled.
   *
   * @param inputs of the dtypes and shapes it was compiled for; they stay alive
   * @returns      the results, owned by the caller
   * @throws Error where an input has another dtype or shape
   */
  run(inputs: readonly tf.Tensor[]): tf.Tensor[];
  /** Frees the compiled function; it can't be run any more. */
  dispose(): void;
}

/**
 * Traces and loads a function; runs nothing of it.
 *
 * @param step     pure: reads its inputs only (see `trace`)
 * @param examples tensors, or their types, of the dtypes and shapes it will be run with
 * @throws UnsupportedOp for an operation that can't be traced
 */
export function compile(
  step: (inputs: tf.Tensor[]) => readonly tf.Tensor[],
  examples: readonly (tf.Tensor | ValueType)[],
  { target, precision = "float32", fusedAttention = false }: CompileOptions = {},
): CompiledStep {
  const backend = tf.findBackend("tensorflow") as unknown as NodeJSKernelBackend | null;
  if (!backend) throw new Error("compiling needs the TensorFlow engine, which was not started");
  const types = examples.map(({ dtype, shape }): ValueType => ({ dtype: dtype as DType, shape: [...shape] }));
  const options = { target: target ?? (backend.isUsingGpuDevice ? "xla" : "graph"), precision } as const;
  if (fusedAttention && (options.target !== "xla" || precision !== "bfloat16")) throw new Error("fused attention needs XLA and bfloat16");
  const graph = simplify(trace(step, types, (kernel) => !mayUse(kernel, options), fusedAttention ? FUSED_ATTENTION_KERNELS : []));
  const { bytes, inputNames, outputNames } = emit(graph, options);
  const model = load(backend, bytes);
  const feeds = inputNames.map((name) => ({ name }));
  const fetches = [...outputNames];
  return {
    graph,
    counts: countWork(graph),
    run(inputs) {
      checkTypes(inputs, types);
      return backend.runSavedModel(model, inputs as never, feeds as never, fetches) as unknown as tf.Tensor[];
    },
    dispose: () => backend.deleteSavedModel(model),
  };
}

/** Our own kernels are the processor's, which XLA can't compile. They compute in float32 also where products are bfloat16: attention is faster so than composed of those. */
function mayUse(kernel: string, { target }: EmitOptions): boolean {
  return target === "graph" || !kernel.startsWith(OWN_KERNEL_PREFIX);
}

/** TensorFlow reads models from folders only. */
function load(backend: NodeJSKernelBackend, bytes: Uint8Array): number {
  const folder = makeProcessFolder();
  try {
    writeFileSync(join(folder, "saved_model.pb"), bytes);
    return backend.loadSavedModelMetaGraph(folder, MODEL_TAG);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function checkTypes(inputs: readonly tf.Tensor[], types: readonly ValueType[]): void {
  const print = (list: readonly (tf.Tensor | ValueType)[]): string[] =>
    list.map(({ dtype, shape }) => printType({ dtype: dtype as DType, shape }));
  const [given, expected] = [print(inputs), print(types)];
  const wrong = expected.findIndex((type, i) => type !== given[i]);
  if (given.length !== expected.length) throw new Error(`the compiled step takes ${expected.length} inputs, not ${given.length}`);
  if (wrong >= 0) throw new Error(`input ${wrong} of the compiled step is ${given[wrong]}; it was compiled for ${expected[wrong]}`);
}
