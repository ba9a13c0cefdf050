/** The trunk's parameters: their official names, their shapes, and where each lies in one flat vector. */
import * as tf from "@tensorflow/tfjs-core";
import { innerSize, type ModelConfig } from "./config.ts";

/** Where one parameter lies in the flat vector. */
export interface ParameterSpec {
  /** official name, e.g. `L_level.layers.0.mlp.down_proj.weight` */
  readonly name: string;
  readonly shape: readonly number[];
  /** first element in the flat vector */
  readonly offset: number;
  readonly size: number;
}

/**
 * Every trained parameter of the trunk, in the order of the flat vector. One vector makes the optimizer a dozen
 * operations whatever the depth, and an exchange between workers one message.
 *
 * Linear weights are [out, in]. `H_init` and `L_init` are not here: they are constants (see `Buffers`).
 * Source: TRM models/recursive_reasoning/trm.py, models/layers.py
 */
export function parameterLayout(config: ModelConfig): ParameterSpec[] {
  const { hiddenSize: D, vocabularySize: V } = config;
  const inner = innerSize(config);
  const shapes: [string, number[]][] = [
    ["embed_tokens.embedding_weight", [V, D]],
    ["lm_head.weight", [V, D]],
    ["q_head.weight", [2, D]],
    ["q_head.bias", [2]],
  ];
  for (let layer = 0; layer < config.lLayers; layer++) {
    const at = `L_level.layers.${layer}`;
    shapes.push([`${at}.self_attn.qkv_proj.weight`, [3 * D, D]]);
    shapes.push([`${at}.self_attn.o_proj.weight`, [D, D]]);
    shapes.push([`${at}.mlp.gate_up_proj.weight`, [2 * inner, D]]);
    shapes.push([`${at}.mlp.down_proj.weight`, [D, inner]]);
  }
  let offset = 0;
  return shapes.map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const spec = { name, shape, offset, size };
    offset += size;
    return spec;
  });
}

/** Length of the flat vector. */
export function parameterCount(layout: readonly ParameterSpec[]): number {
  const last = layout[layout.length - 1];
  return last ? last.offset + last.size : 0;
}

/** The parameters as the model uses them. */
export interface TrunkTensors {
  readonly embedTokens: tf.Tensor2D;
  readonly lmHead: tf.Tensor2D;
  readonly qHeadWeight: tf.Tensor2D;
  readonly qHeadBias: tf.Tensor1D;
  readonly blocks: readonly BlockTensors[];
}

/** The four weights of one block. */
export interface BlockTensors {
  readonly qkv: tf.Tensor2D;
  readonly attentionOut: tf.Tensor2D;
  readonly gateUp: tf.Tensor2D;
  readonly down: tf.Tensor2D;
}

/** Start states, the same at every position: float32 [D]. Never trained, never averaged. */
export interface Buffers {
  readonly hInit: tf.Tensor1D;
  readonly lInit: tf.Tensor1D;
}

/** One tensor per parameter, cut from the flat vector; the caller owns them. */
export function sliceParameters(flat: tf.Tensor1D, layout: readonly ParameterSpec[]): tf.Tensor[] {
  return layout.map(({ offset, size, shape }) => tf.tidy(() => tf.reshape(tf.slice1d(flat, offset, size), shape as number[])));
}

/** The flat vector of a list of tensors in layout order; the caller owns it. */
export function joinParameters(tensors: readonly tf.Tensor[]): tf.Tensor1D {
  return tf.tidy(() => tf.concat1d(tensors.map((t) => tf.reshape(t, [-1]) as tf.Tensor1D)));
}

/** Gives each tensor of a layout-ordered list its place in the model; nothing is copied. */
export function nameParameters(leaves: readonly tf.Tensor[]): TrunkTensors {
  const [embedTokens, lmHead, qHeadWeight, qHeadBias, ...rest] = leaves;
  const blocks: BlockTensors[] = [];
  for (let i = 0; i < rest.length; i += 4) {
    const [qkv, attentionOut, gateUp, down] = rest.slice(i, i + 4) as tf.Tensor2D[];
    blocks.push({ qkv: qkv!, attentionOut: attentionOut!, gateUp: gateUp!, down: down! });
  }
  return {
    embedTokens: embedTokens as tf.Tensor2D,
    lmHead: lmHead as tf.Tensor2D,
    qHeadWeight: qHeadWeight as tf.Tensor2D,
    qHeadBias: qHeadBias as tf.Tensor1D,
    blocks,
  };
}

/** The flat vector from named arrays, as a checkpoint has them. Shapes are checked where the checkpoint is read. */
export function flattenParameters(named: ReadonlyMap<string, { data: Float32Array }>, layout: readonly ParameterSpec[]): Float32Array {
  const flat = new Float32Array(parameterCount(layout));
  for (const { name, offset, size } of layout) {
    const data = named.get(name)?.data;
    if (data?.length !== size) throw new Error(`parameter ${name} has ${data?.length ?? "no"} numbers, the layout wants ${size}`);
    flat.set(data, offset);
  }
  return flat;
}

/** Named views of the flat vector's parts, for a checkpoint. */
export function nameFlat(flat: Float32Array, layout: readonly ParameterSpec[]): Map<string, { shape: number[]; data: Float32Array }> {
  return new Map(layout.map(({ name, shape, offset, size }) => [name, { shape: [...shape], data: flat.subarray(offset, offset + size) }]));
}
