/** The shape of the encoder that makes puzzle embeddings of demonstrations, and its parameters' names and places. */
import { innerSize, type ModelConfig } from "./config.ts";
import type { ParameterSpec } from "./parameters.ts";

/** The encoder's shape; width, heads, SwiGLU and positions are the trunk's. */
export interface EncoderConfig {
  /** blocks that a pair goes through */
  readonly layers: number;
  /** K: demonstrations that it sees at most */
  readonly pairs: number;
}

/** What is wrong with beginning at an encoder's rows where a checkpoint has none. */
export function noEncoder(checkpoint: string): string {
  return `${checkpoint}: has no encoder to begin puzzle rows with; \`trm pretrain --from ${checkpoint} --embedding both\` trains one beside it, or pass --start mean`;
}

/** Blocks among the pairs' vectors. */
export const PAIR_LAYERS = 1;
/** Parameters before those of the blocks. */
export const SINGLE_PARAMETERS = 6;

/** Every parameter in the order of the encoder's flat vector; see `parameterLayout`. Linear weights are [out, in]. */
export function encoderLayout(model: ModelConfig, { layers }: Pick<EncoderConfig, "layers">): ParameterSpec[] {
  const { hiddenSize: D, vocabularySize: V, prefixLength: P, puzzleEmbeddingSize: E } = model;
  const inner = innerSize(model);
  const blockOf = (at: string): [string, number[]][] => [
    [`${at}.self_attn.qkv_proj.weight`, [3 * D, D]],
    [`${at}.self_attn.o_proj.weight`, [D, D]],
    [`${at}.mlp.gate_up_proj.weight`, [2 * inner, D]],
    [`${at}.mlp.down_proj.weight`, [D, inner]],
  ];
  const shapes: [string, number[]][] = [
    ["encoder.embed_tokens.embedding_weight", [2 * V, D]], // of inputs, then of outputs
    ["encoder.slots", [P, D]],
    ["encoder.no_pair", [1, D]],
    ["encoder.pool.weight", [D, D]],
    ["encoder.out.weight", [E, D]],
    ["encoder.out.bias", [E]],
    ...Array.from({ length: layers }, (_, i) => blockOf(`encoder.layers.${i}`)).flat(),
    ...Array.from({ length: PAIR_LAYERS }, (_, i) => blockOf(`encoder.pair_layers.${i}`)).flat(),
  ];
  let offset = 0;
  return shapes.map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const spec = { name, shape, offset, size };
    offset += size;
    return spec;
  });
}

/** Numbers in the encoder. */
export function encoderSize(model: ModelConfig, encoder: Pick<EncoderConfig, "layers">): number {
  return encoderLayout(model, encoder).reduce((sum, { size }) => sum + size, 0);
}
