/** Which parameters a model has, under which names and in which shapes. */
import { innerSize, type ModelConfig } from "../model/config.ts";
import { type EncoderConfig, encoderLayout } from "../model/encoder-config.ts";

/** A parameter in host memory. */
export interface Tensor {
  readonly shape: readonly number[];
  /** row-major */
  readonly data: Float32Array;
}

/**
 * Name -> shape of every trunk parameter, in the order of the official state dict. Linear weights are [out, in].
 * `H_init` and `L_init` are among them though they are never trained; the puzzle embedding is not.
 */
export function expectedShapes(model: ModelConfig): Map<string, readonly number[]> {
  const { hiddenSize, lLayers, vocabularySize } = model;
  const inner = innerSize(model);
  const shapes = new Map<string, readonly number[]>([
    ["H_init", [hiddenSize]],
    ["L_init", [hiddenSize]],
    ["embed_tokens.embedding_weight", [vocabularySize, hiddenSize]],
    ["lm_head.weight", [vocabularySize, hiddenSize]],
    ["q_head.weight", [2, hiddenSize]],
    ["q_head.bias", [2]],
  ]);
  for (let i = 0; i < lLayers; i++) {
    const layer = `L_level.layers.${i}`;
    shapes.set(`${layer}.self_attn.qkv_proj.weight`, [3 * hiddenSize, hiddenSize]);
    shapes.set(`${layer}.self_attn.o_proj.weight`, [hiddenSize, hiddenSize]);
    shapes.set(`${layer}.mlp.gate_up_proj.weight`, [2 * inner, hiddenSize]);
    shapes.set(`${layer}.mlp.down_proj.weight`, [hiddenSize, inner]);
  }
  return shapes;
}

/** Name -> shape of every parameter of an encoder; none without one. */
export function encoderShapes(model: ModelConfig, encoder: EncoderConfig | undefined): Map<string, readonly number[]> {
  return new Map(encoder && encoderLayout(model, encoder).map(({ name, shape }) => [name, shape]));
}

/** What keeps `tensors` from being a model's parameters: wrong shapes, missing and unknown names, numbers that are not finite. */
export function shapeProblems(tensors: ReadonlyMap<string, Tensor>, expected: ReadonlyMap<string, readonly number[]>): string[] {
  const problems: string[] = [];
  for (const [name, shape] of expected) {
    const tensor = tensors.get(name);
    if (!tensor) problems.push(`tensor ${name} ${format(shape)} is missing`);
    else if (format(tensor.shape) !== format(shape)) problems.push(`tensor ${name} is ${format(tensor.shape)}, must be ${format(shape)}`);
    else if (tensor.data.length !== sizeOf(shape)) problems.push(`tensor ${name} ${format(shape)} holds ${tensor.data.length} numbers`);
  }
  for (const [name, { shape }] of tensors) {
    if (!expected.has(name)) problems.push(`tensor ${name} ${format(shape)} is not a parameter of this model`);
  }
  return problems;
}

/** One sentence for each tensor that holds NaN or an infinity. */
export function notFiniteProblems(tensors: ReadonlyMap<string, Tensor>): string[] {
  return [...tensors].flatMap(([name, { data }]) => {
    const at = firstNotFinite(data);
    return at < 0 ? [] : [`tensor ${name} holds ${data[at]} at ${at}; weights must be finite numbers`];
  });
}

/** Index of the first NaN or infinity; -1 where all numbers are finite. */
export function firstNotFinite(data: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i]! * 0; // 0 unless one of them is not finite: no branch in the loop
  return sum === 0 ? -1 : data.findIndex((value) => !Number.isFinite(value));
}

function format(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
