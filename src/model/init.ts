/** Starting values of a trunk that has learned nothing. */
import type { Random } from "../random.ts";
import type { ModelConfig } from "./config.ts";
import { parameterCount, parameterLayout } from "./parameters.ts";

/** Start of the halting head's bias: rows don't halt before they have learned to. Source: TRM trm.py */
const Q_BIAS_START = -5;

/** float32 start values on the host. */
export interface InitialTrunk {
  /** flat vector in layout order */
  readonly weights: Float32Array;
  /** [D] */
  readonly hInit: Float32Array;
  /** [D] */
  readonly lInit: Float32Array;
}

/**
 * Weights truncated normal with standard deviation 1/sqrt(in) (token embedding: 1/sqrt(D)), start states with 1,
 * halting head weight 0 and bias -5. Source: TRM models/common.py `trunc_normal_init_`, models/layers.py.
 */
export function initTrunk(config: ModelConfig, random: Random): InitialTrunk {
  const layout = parameterLayout(config);
  const weights = new Float32Array(parameterCount(layout));
  for (const { name, shape, offset, size } of layout) {
    if (name === "q_head.weight") continue;
    if (name === "q_head.bias") weights.fill(Q_BIAS_START, offset, offset + size);
    else fillTruncatedNormal(weights.subarray(offset, offset + size), 1 / Math.sqrt(shape[1]!), random.fork(name));
  }
  const state = (name: string): Float32Array => {
    const values = new Float32Array(config.hiddenSize);
    fillTruncatedNormal(values, 1, random.fork(name));
    return values;
  };
  return { weights, hInit: state("H_init"), lInit: state("L_init") };
}

/** Standard deviation of a standard normal cut at +-2. */
const TRUNCATED_DEVIATION = 0.8796256610342398;

/** Draws of a normal cut at twice its standard deviation, which is `deviation` after the cut. */
export function fillTruncatedNormal(out: Float32Array, deviation: number, random: Random): void {
  for (let i = 0; i < out.length; i++) {
    let draw = random.normal();
    while (Math.abs(draw) > 2) draw = random.normal();
    out[i] = (draw / TRUNCATED_DEVIATION) * deviation;
  }
}
