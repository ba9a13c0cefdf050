/** Counts the work of a training step and of an ACT step from their traces; computes nothing at that size. */
import type * as tf from "@tensorflow/tfjs-core";
import { headSize, type ModelConfig } from "../model/config.ts";
import { OWN_KERNEL_PREFIX } from "../model/own-kernel.ts";
import { parameterCount, parameterLayout } from "../model/parameters.ts";
import { ADAM_ATAN2_DEFAULTS } from "../optim/adam-atan2.ts";
import { withBfloat16Products } from "../trace/bfloat16.ts";
import { countWork, type WorkCounts } from "../trace/counts.ts";
import { FUSED_ATTENTION_KERNELS } from "../trace/fused-attention.ts";
import type { DType, ValueType } from "../trace/graph.ts";
import { opByOp } from "../trace/ready-step.ts";
import { simplify } from "../trace/simplify.ts";
import { trace } from "../trace/tracer.ts";
import { ReplicaSteps } from "../train/steps.ts";

/** What goes through the model together. */
export interface Workload {
  readonly model: ModelConfig;
  /** cells a side */
  readonly canvas: number;
  readonly rows: number;
  readonly precision: "float32" | "bfloat16";
  /** blocks are computed again for their gradient */
  readonly recompute: boolean;
  /** by cuDNN, in bfloat16 on a GPU; composed unless given */
  readonly fusedAttention?: boolean;
}

/** The steps that a replica runs. */
export interface StepCounts {
  /** numbers in the trunk */
  readonly parameters: number;
  readonly gradient: WorkCounts;
  /** AdamATan2 and the average, once an optimizer step */
  readonly update: WorkCounts;
  /** one ACT step of a prediction */
  readonly evaluation: WorkCounts;
}

type Results = Readonly<Record<string, tf.Tensor | undefined>>;

/**
 * Counts composed operations, as XLA joins them; kernels of our own are the processor's alone.
 *
 * @throws Error where the TensorFlow engine was not started: the trace is made of its kernels' calls
 */
export function countSteps({ model, canvas, rows, precision, recompute, fusedAttention = false }: Workload): StepCounts {
  const layout = parameterLayout(model);
  const settings = { config: model, recompute, layout, adam: ADAM_ATAN2_DEFAULTS, lossScale: 1 / rows };
  const steps = new ReplicaSteps(settings, opByOp);
  const parameters = parameterCount(layout);
  const also = fusedAttention ? FUSED_ATTENTION_KERNELS : [];
  const count = <N extends string>(types: Readonly<Record<N, ValueType>>, step: (inputs: Record<N, tf.Tensor>) => Results): WorkCounts => {
    const names = Object.keys(types) as N[];
    const traced = (tensors: tf.Tensor[]): tf.Tensor[] => {
      const inputs = Object.fromEntries(names.map((name, i) => [name, tensors[i]!])) as Record<N, tf.Tensor>;
      return Object.values(step(inputs)).filter((result) => result !== undefined);
    };
    const graph = simplify(trace(traced, Object.values(types), (kernel) => kernel.startsWith(OWN_KERNEL_PREFIX), also));
    return countWork(precision === "bfloat16" ? withBfloat16Products(graph) : graph);
  };
  const weights = float(parameters);
  const inputs = inputTypes(model, canvas, rows);
  return {
    parameters,
    gradient: count({ weights, ...inputs, ...targetTypes(canvas, rows) }, ({ weights, ...rest }) =>
      steps.gradient(weights as tf.Tensor1D, false, actInputs(rest), rest as never, context(rest)),
    ),
    update: count({ weights, firstMoment: weights, secondMoment: weights, average: weights, sum: weights }, ({ sum, ...state }) =>
      steps.update(state as never, sum as tf.Tensor1D, { decay: 1, stepSize: 1e-4, secondScale: 1, emaDecay: 0.999 }),
    ),
    evaluation: count({ weights, ...inputs }, ({ weights, ...rest }) =>
      steps.evaluation(weights as tf.Tensor1D, actInputs(rest), context(rest)),
    ),
  };

  function actInputs({ zH, zL, ...rest }: Record<keyof typeof inputs, tf.Tensor>) {
    return { latents: { zH, zL }, ...rest } as unknown as Parameters<ReplicaSteps["evaluation"]>[1];
  }
  function context({ hInit, lInit, cos, sin }: Record<keyof typeof inputs, tf.Tensor>) {
    return { config: model, buffers: { hInit, lInit }, rotary: { cos, sin } } as unknown as Parameters<ReplicaSteps["evaluation"]>[2];
  }
}

function typed(dtype: DType, ...shape: number[]): ValueType {
  return { dtype, shape };
}

function float(...shape: number[]): ValueType {
  return typed("float32", ...shape);
}

function inputTypes(model: ModelConfig, canvas: number, rows: number) {
  const { hiddenSize, prefixLength, puzzleEmbeddingSize } = model;
  const positions = prefixLength + canvas ** 2;
  const [latent, start, table] = [float(rows * positions, hiddenSize), float(hiddenSize), float(positions, headSize(model))];
  return {
    zH: latent,
    zL: latent,
    tokens: typed("int32", rows, canvas ** 2),
    puzzleRows: float(rows, puzzleEmbeddingSize),
    fresh: float(rows, 1),
    hInit: start,
    lInit: start,
    cos: table,
    sin: table,
  };
}

function targetTypes(canvas: number, rows: number) {
  return { labels: typed("int32", rows, canvas ** 2), asked: float(rows, canvas ** 2), perToken: float(rows) };
}
