/** The official small model of the fixtures, as our model code wants it. */
import * as tf from "@tensorflow/tfjs-core";
import { type EngineName, startEngine } from "../../src/backend/select.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { flattenParameters, type ParameterSpec, parameterLayout, sliceParameters } from "../../src/model/parameters.ts";
import { rotaryTables } from "../../src/model/rotary.ts";
import type { ActContext } from "../../src/train/act-step.ts";
import { Npz } from "./npz.ts";

/** Engine under test: wasm unless TRM_TEST_ENGINE names another. */
export const ENGINE_UNDER_TEST = (process.env.TRM_TEST_ENGINE ?? "wasm") as EngineName;

export const SMALL_CONFIG: ModelConfig = {
  hiddenSize: 64,
  numHeads: 4,
  expansion: 4,
  innerMultiple: 256,
  lLayers: 2,
  hCycles: 3,
  lCycles: 4,
  haltMaxSteps: 4,
  prefixLength: 16,
  vocabularySize: 12,
  puzzleEmbeddingSize: 64,
  ropeTheta: 10000,
  rmsNormEps: 1e-5,
};

/** Sizes of the fixtures: rows, canvas tokens, positions, width. */
export const [B, S, T, D, V] = [6, 100, 116, 64, 12];

export const PREFIX = "_orig_mod.model.inner.";

export interface SmallModel {
  readonly layout: ParameterSpec[];
  readonly flat: Float32Array;
  readonly leaves: tf.Tensor[];
  readonly context: ActContext;
  /** [9 * 64] */
  readonly puzzleTable: Float32Array;
}

/** Starts the engine under test and loads the weights of `model-small-weights`. */
export async function loadSmallModel(): Promise<SmallModel> {
  await startEngine(ENGINE_UNDER_TEST);
  const weights = new Npz("model-small-weights");
  const named = new Map(weights.names.map((name) => [name.replace(PREFIX, ""), { data: weights.floats(name) }]));
  const layout = parameterLayout(SMALL_CONFIG);
  const flat = flattenParameters(named, layout);
  const positions = Int32Array.from({ length: T }, (_, i) => i);
  return {
    layout,
    flat,
    leaves: sliceParameters(tf.tensor1d(flat), layout),
    context: {
      config: SMALL_CONFIG,
      buffers: { hInit: tf.tensor1d(named.get("H_init")!.data), lInit: tf.tensor1d(named.get("L_init")!.data) },
      rotary: rotaryTables(positions, 16, SMALL_CONFIG.ropeTheta),
    },
    puzzleTable: named.get("puzzle_emb.weights")!.data,
  };
}

/** Rows of the puzzle table for identifiers: float32 [B, 64]. */
export function puzzleRows(table: Float32Array, ids: ArrayLike<number>): tf.Tensor2D {
  const rows = new Float32Array(ids.length * D);
  for (let r = 0; r < ids.length; r++) rows.set(table.subarray(ids[r]! * D, (ids[r]! + 1) * D), r * D);
  return tf.tensor2d(rows, [ids.length, D]);
}
