/** Low-rank adapters: the trunk's linear weights stay fixed, and each learns a correction of a few columns and rows. */
import * as tf from "@tensorflow/tfjs-core";
import type { Random } from "../random.ts";
import { type ParameterSpec, parameterCount } from "./parameters.ts";

export interface LoraSettings {
  /** columns of B, rows of A */
  readonly rank: number;
  /** the correction counts alpha / rank times */
  readonly alpha: number;
}

/** Source: the fork of TRM's code that the TTA paper's LoRA runs used */
export const LORA_DEFAULTS: LoraSettings = { rank: 1, alpha: 16 };

/** From what is trained to what the model is made of: the trunk's parameters in layout order. */
export type Assemble = (trainable: readonly tf.Tensor[]) => readonly tf.Tensor[];

const EMBEDDING = "embed_tokens.embedding_weight";

/** Whether a parameter is a linear layer's weight, which gets an adapter. */
function isLinear({ name, shape }: ParameterSpec): boolean {
  return shape.length === 2 && name !== EMBEDDING;
}

/**
 * What is trained in place of the trunk, in the order of its own flat vector: the token embedding as a whole, then for every
 * linear layer (lm_head and q_head included) A [rank, in] and B [out, rank]. The bias of q_head is fixed.
 *
 * @param trunk the trunk's layout
 * Source: the fork of TRM's code, `CastedLinear` with `lora_rank` (names `<layer>._lora_A`, `<layer>._lora_B`)
 */
export function loraLayout(trunk: readonly ParameterSpec[], { rank }: LoraSettings): ParameterSpec[] {
  const shapes = trunk.flatMap((spec): [string, number[]][] => {
    if (spec.name === EMBEDDING) return [[spec.name, [...spec.shape]]];
    if (!isLinear(spec)) return [];
    const layer = spec.name.replace(/\.weight$/, "");
    const [out, width] = spec.shape as [number, number];
    return [
      [`${layer}._lora_A`, [rank, width]],
      [`${layer}._lora_B`, [out, rank]],
    ];
  });
  let offset = 0;
  return shapes.map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const spec = { name, shape, offset, size };
    offset += size;
    return spec;
  });
}

/**
 * Start of what is trained: the trunk's token embedding, A uniform in +-1/sqrt(in), B zero, so that the adapted model
 * begins as the model it adapts.
 *
 * @param weights the trunk's flat vector
 * @returns       float32 flat vector in the order of `loraLayout`
 */
export function initLora(weights: Float32Array, trunk: readonly ParameterSpec[], settings: LoraSettings, random: Random): Float32Array {
  const layout = loraLayout(trunk, settings);
  const flat = new Float32Array(parameterCount(layout));
  for (const { name, shape, offset, size } of layout) {
    if (name === EMBEDDING) {
      const from = trunk.find((spec) => spec.name === EMBEDDING)!.offset;
      flat.set(weights.subarray(from, from + size), offset);
    } else if (name.endsWith("_A")) {
      const draw = random.fork(name);
      const bound = 1 / Math.sqrt(shape[1]!);
      for (let i = offset; i < offset + size; i++) flat[i] = (2 * draw.uniform() - 1) * bound;
    }
  }
  return flat;
}

/**
 * W + (alpha / rank) B A for every linear layer.
 *
 * y = W x + s B (A x) of the fork is computed as (W + s B A) x: one product more a step instead of two more a layer and
 * pass, and a gradient in A and B through the weight's own.
 *
 * @param frozen the trunk's parameters in layout order; they must outlive the function that is returned
 * @returns      a differentiable function of the tensors in the order of `loraLayout`; what stays as it was is passed
 *               through, so not all tensors of its result are new: call it inside `tf.tidy`
 */
export function loraAssemble(frozen: readonly tf.Tensor[], trunk: readonly ParameterSpec[], { rank, alpha }: LoraSettings): Assemble {
  return (trainable) => {
    let at = 0;
    return trunk.map((spec, i) => {
      if (spec.name === EMBEDDING) return trainable[at++]!;
      if (!isLinear(spec)) return frozen[i]!;
      const [a, b] = [trainable[at++] as tf.Tensor2D, trainable[at++] as tf.Tensor2D];
      return tf.add(frozen[i]!, tf.mul(tf.matMul(b, a), alpha / rank));
    });
  };
}

/**
 * The trunk with its adapters worked in, as a checkpoint keeps it.
 *
 * @param weights float32 flat vector of the trunk that was adapted
 * @param adapters float32 flat vector in the order of `loraLayout`
 * @returns        float32 flat vector in the trunk's order; sums in float64
 */
export function mergeLora(
  weights: Float32Array,
  adapters: Float32Array,
  trunk: readonly ParameterSpec[],
  settings: LoraSettings,
): Float32Array {
  const merged = weights.slice();
  const { rank, alpha } = settings;
  const parts = loraLayout(trunk, settings).map(({ offset, size }) => adapters.subarray(offset, offset + size));
  let at = 0;
  for (const spec of trunk) {
    if (spec.name === EMBEDDING) {
      merged.set(parts[at++]!, spec.offset);
      continue;
    }
    if (!isLinear(spec)) continue;
    const [a, b] = [parts[at++]!, parts[at++]!];
    const [out, width] = spec.shape as [number, number];
    for (let row = 0; row < out; row++) {
      for (let col = 0; col < width; col++) {
        let sum = 0;
        for (let k = 0; k < rank; k++) sum += b[row * rank + k]! * a[k * width + col]!;
        merged[spec.offset + row * width + col]! += (alpha / rank) * sum;
      }
    }
  }
  return merged;
}
