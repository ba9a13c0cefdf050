/**
 * The encoder: puzzle embeddings out of demonstration pairs, so that a task never seen has a row before the first gradient step.
 *
 * Every pair goes through blocks like the trunk's, a token for each cell (embedding of its input's token + embedding of its output's) behind as many
 * learned slots as the trunk has prefix positions: attention stays within a pair. A pair becomes one vector (mean of the slots + a product of the mean
 * of its cells), the vectors of a task's pairs go through one more block without positions, and their mean through a linear layer to the row. So the
 * order of the pairs makes no difference. Ours; SPEC section 6 (ETRM) asks for it.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Random } from "../random.ts";
import { block } from "./block.ts";
import { headSize, type ModelConfig } from "./config.ts";
import { type EncoderConfig, encoderLayout, PAIR_LAYERS, SINGLE_PARAMETERS } from "./encoder-config.ts";
import { fillTruncatedNormal } from "./init.ts";
import { linear } from "./linear.ts";
import { type BlockTensors, parameterCount } from "./parameters.ts";
import { addRmsNorm } from "./rms-norm.ts";
import type { RotaryTables } from "./rotary.ts";

/** What the encoder is given: R rows to make of at most K pairs each, N pairs in all; some of these N may be none. */
export interface EncoderInputs {
  /** int32 [N, S] */
  readonly inputs: tf.Tensor2D;
  readonly outputs: tf.Tensor2D;
  /** float32 [N, S]: 1 / number of a pair's cells on its grids or their borders there, 0 elsewhere */
  readonly cellShare: tf.Tensor2D;
  /** float32 [R * K, N]: 1 where the N-th pair is that of a row and place, 0 elsewhere */
  readonly places: tf.Tensor2D;
  /** float32 [R, K]: 1 / number of the row's pairs, 0 where there is no pair */
  readonly pairShare: tf.Tensor2D;
}

/** Rotary tables. They must outlive a gradient's forward pass, so they are not made in it. */
export interface EncoderTables {
  /** the trunk's, prefix first */
  readonly cells: RotaryTables;
  /** of K positions, none of which turns anything */
  readonly pairs: RotaryTables;
}

/** Tables that leave K positions as they are; the caller owns them. */
export function unmoved(pairs: number, size: number): RotaryTables {
  return { cos: tf.ones([pairs, size]), sin: tf.zeros([pairs, size]) };
}

/** Start values: as the trunk's, but for the last layer, which gives `row` whatever the demonstrations. @param row float32[E] */
export function initEncoder(model: ModelConfig, encoder: EncoderConfig, row: Float32Array, random: Random): Float32Array {
  const layout = encoderLayout(model, encoder);
  const weights = new Float32Array(parameterCount(layout));
  for (const { name, shape, offset, size } of layout) {
    if (name === "encoder.out.weight") continue;
    if (name === "encoder.out.bias") weights.set(row, offset);
    else fillTruncatedNormal(weights.subarray(offset, offset + size), 1 / Math.sqrt(shape[1]!), random.fork(name));
  }
  return weights;
}

/**
 * float32 [R, E]: the rows of R tasks' demonstrations; the caller owns them, and calls it inside `tf.tidy`.
 *
 * @param leaves the parameters in the order of `encoderLayout`
 */
export function encodeRows(
  model: ModelConfig,
  leaves: readonly tf.Tensor[],
  { inputs, outputs, cellShare, places, pairShare }: EncoderInputs,
  tables: EncoderTables,
): tf.Tensor2D {
  const { hiddenSize: D, vocabularySize: V, prefixLength: P, numHeads: heads, rmsNormEps: eps } = model;
  const [embedTokens, slots, noPair, pool, out, bias] = leaves as tf.Tensor2D[];
  const blocks = blocksOf(leaves.slice(SINGLE_PARAMETERS));
  const [R, K] = pairShare.shape;
  const [N, S] = inputs.shape;
  const T = P + S;
  // One product for both tokens of a cell: those of outputs have the second half of the table.
  const flat = (tokens: tf.Tensor2D): tf.Tensor1D => tf.reshape(tokens, [N * S]);
  const chosen = tf.add(tf.oneHot(flat(inputs), 2 * V), tf.oneHot(tf.add(flat(outputs), tf.scalar(V, "int32")), 2 * V)) as tf.Tensor2D;
  const cells = tf.reshape(tf.matMul(chosen, embedTokens!), [N, S, D]);
  const begin = tf.mul(tf.ones([N, 1, 1]), tf.reshape(slots!, [1, P, D]));
  let states: tf.Tensor2D = tf.reshape(tf.mul(tf.concat([begin, cells], 1), Math.sqrt(D)), [N * T, D]);
  const shape = { batch: N, positions: T, heads, headSize: headSize(model) };
  for (const weights of blocks.slice(0, -PAIR_LAYERS)) states = block(states, weights, shape, tables.cells, eps);
  const byPair: tf.Tensor3D = tf.reshape(states, [N, T, D]);
  const slotMean = tf.mean(tf.slice3d(byPair, [0, 0, 0], [N, P, D]), 1) as tf.Tensor2D;
  const cellMean = tf.reshape(tf.matMul(tf.reshape(cellShare, [N, 1, S]), tf.slice3d(byPair, [0, P, 0], [N, S, D])), [N, D]) as tf.Tensor2D;
  const pairVectors = addRmsNorm(slotMean, linear(cellMean, pool!), eps);
  const missing = tf.sub(1, tf.sign(tf.reshape(pairShare, [R * K, 1])));
  let vectors: tf.Tensor2D = tf.add(tf.matMul(places, pairVectors), tf.mul(noPair!, missing));
  const among = { ...shape, batch: R, positions: K };
  for (const weights of blocks.slice(-PAIR_LAYERS)) vectors = block(vectors, weights, among, tables.pairs, eps);
  const mean = tf.reshape(tf.matMul(tf.reshape(pairShare, [R, 1, K]), tf.reshape(vectors, [R, K, D])), [R, D]) as tf.Tensor2D;
  return tf.add(linear(mean, out!), bias!);
}

function blocksOf(leaves: readonly tf.Tensor[]): BlockTensors[] {
  return Array.from({ length: leaves.length / 4 }, (_, i) => {
    const [qkv, attentionOut, gateUp, down] = leaves.slice(4 * i, 4 * i + 4) as tf.Tensor2D[];
    return { qkv: qkv!, attentionOut: attentionOut!, gateUp: gateUp!, down: down! };
  });
}
