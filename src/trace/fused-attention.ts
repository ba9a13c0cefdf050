/** Attention in one operation on a GPU: cuDNN's, which keeps scores out of memory, as the calls that XLA makes of it. */
import type * as tf from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import { OWN_KERNEL_PREFIX } from "../model/own-kernel.ts";
import type { DType, GraphNode, ValueType } from "./graph.ts";

/** Names of the operations in a graph, before they become calls. */
export const FUSED_ATTEND = `${OWN_KERNEL_PREFIX}FusedAttend`;
export const FUSED_ATTEND_GRAD = `${OWN_KERNEL_PREFIX}FusedAttendGrad`;

/** TensorFlow's operation for a call that XLA knows by name, and the names. */
const CALL = "XlaCustomCallV2";
const FORWARD_TARGET = "__cudnn$fmhaSoftmax";
const BACKWARD_TARGET = "__cudnn$fmhaSoftmaxBackward";

/**
 * Kernels that a trace may have beside the engine's.
 *
 * FusedAttend      q, k, v [B, T, heads, size] -> result [B, heads, T, size], logarithms of the rows' sums [B, heads, T]
 * FusedAttendGrad  q, k, v, statistics, dOut, out (both [B, T, heads, size]) -> dQ, dK, dV [B, heads, T, size]
 */
export const FUSED_ATTENTION_KERNELS: readonly Omit<tf.KernelConfig, "backendName">[] = [
  kernel(FUSED_ATTEND, ["q", "k", "v"], 2),
  kernel(FUSED_ATTEND_GRAD, ["q", "k", "v", "statistics", "dOut", "out"], 3),
];

function kernel(kernelName: string, names: readonly string[], outputs: number): Omit<tf.KernelConfig, "backendName"> {
  return {
    kernelName,
    kernelFunc: ({ inputs, backend }) => {
      const list = names.map((name) => inputs[name]!) as tf.Tensor[];
      return (backend as NodeJSKernelBackend).executeMultipleOutputs(kernelName, [], list, outputs);
    },
  };
}

export function isFusedAttention({ op }: GraphNode): boolean {
  return op === FUSED_ATTEND || op === FUSED_ATTEND_GRAD;
}

/** Products [T, T] x size of a head that it comes to, those done anew for the gradient not counted; 0 for another operation. */
export function fusedAttentionProducts({ op, attributes }: GraphNode): number {
  const { call_target_name: target } = attributes;
  const name = op === CALL && target && "text" in target ? target.text : op;
  if (name === FUSED_ATTEND || name === FORWARD_TARGET) return 2;
  return name === FUSED_ATTEND_GRAD || name === BACKWARD_TARGET ? 4 : 0;
}

/** XLA's call, and the types of its operands and results; behind the operation's own results there is its work space, whose size XLA finds out. */
export interface AttentionCall {
  readonly op: string;
  readonly attributes: GraphNode["attributes"];
  readonly operands: readonly DType[];
  readonly results: readonly ValueType[];
}

/** @param q type of the first operand: [B, T, heads, size] */
export function attentionCall({ op }: Pick<GraphNode, "op">, q: ValueType): AttentionCall {
  const [batch, positions, heads, size] = q.shape as [number, number, number, number];
  const backwards = op === FUSED_ATTEND_GRAD;
  const result: ValueType = { dtype: "bfloat16", shape: [batch, heads, positions, size] };
  const sums: ValueType = { dtype: "float32", shape: [batch, heads, positions] };
  const results: ValueType[] = [...(backwards ? [result, result, result] : [result, sums]), { dtype: "uint8", shape: [0] }];
  const operands: DType[] = ["bfloat16", "bfloat16", "bfloat16", ...(backwards ? (["float32", "bfloat16", "bfloat16"] as const) : [])];
  const attributes = {
    call_target_name: { text: backwards ? BACKWARD_TARGET : FORWARD_TARGET },
    backend_config: { text: JSON.stringify(backendConfig(backwards, [batch, heads, positions, positions], 1 / Math.sqrt(size))) },
    has_side_effect: { bool: false },
    operand_dtypes: { types: operands },
    result_dtypes: { types: results.map(({ dtype }) => dtype) },
    result_shapes: { shapes: results.map(({ shape }) => shape) },
  };
  return { op: CALL, attributes, operands, results };
}

/** What XLA's compiler wants to know (`CudnnfMHABackendConfig` in its backend_configs.proto, as JSON). Scores are [B, heads, T, T]. */
function backendConfig(backwards: boolean, scores: readonly number[], scale: number) {
  const forward = {
    bmm1_dot_dimension_numbers: product([3, 3], [0, 2], [0, 2]), // q, k -> scores
    bmm2_dot_dimension_numbers: product([3, 1], [0, 1], [0, 2]), // scores, v -> result
  };
  const gradient = {
    bmm1_grad_gemm1_dot_dimension_numbers: product([2, 1], [0, 1], [0, 2]), // dScores, q -> dK
    bmm1_grad_gemm2_dot_dimension_numbers: product([3, 1], [0, 1], [0, 2]), // dScores, k -> dQ
    bmm2_grad_gemm1_dot_dimension_numbers: product([2, 1], [0, 1], [0, 2]), // scores, dOut -> dV
    bmm2_grad_gemm2_dot_dimension_numbers: product([3, 3], [0, 2], [0, 2]), // dOut, v -> dScores
  };
  return {
    operation_queue_id: "0",
    cudnn_fmha_backend_config: {
      algorithm: {
        algo_id: "0",
        math_type: "TENSOR_OP_MATH",
        tuning_knobs: { 17: "1", 24: "0" },
        is_cudnn_frontend: true,
        workspace_size: "0",
      },
      fmha_scale: scale,
      intermediate_tensor_shape: {
        element_type: "BF16",
        dimensions: scores.map(String),
        tuple_shapes: [],
        layout: { minor_to_major: ["3", "2", "1", "0"] },
        is_dynamic_dimension: scores.map(() => false),
      },
      is_flash_attention: true,
      mask_type: "NO_MASK",
      ...(backwards ? gradient : forward),
      dropout_rate: 0,
      seed: 42,
      sliding_window_length: 0,
      max_seg_per_batch: 1,
      is_paged_attention: false,
    },
  };
}

/** Dimension numbers of one product: contracted dimension of left and right, batch dimensions of both. */
function product([left, right]: readonly [number, number], leftBatch: readonly number[], rightBatch: readonly number[]) {
  return {
    lhs_contracting_dimensions: [String(left)],
    rhs_contracting_dimensions: [String(right)],
    lhs_batch_dimensions: leftBatch.map(String),
    rhs_batch_dimensions: rightBatch.map(String),
  };
}
