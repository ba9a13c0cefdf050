/** The shape of a model: what fixes the sizes of its tensors and how often it recurs. */

export interface ModelConfig {
  /** D: width of a token's state */
  readonly hiddenSize: number;
  readonly numHeads: number;
  /** SwiGLU's inner width is about 2/3 of this times D */
  readonly expansion: number;
  /** the inner width is rounded up to a multiple of this (256 in the official code) */
  readonly innerMultiple: number;
  /** blocks in the one network that both latents share */
  readonly lLayers: number;
  /** answer updates per ACT step; only the last carries gradients */
  readonly hCycles: number;
  /** latent updates per answer update */
  readonly lCycles: number;
  /** ACT steps a row runs at most */
  readonly haltMaxSteps: number;
  /** P: positions before the canvas that hold the puzzle embedding */
  readonly prefixLength: number;
  readonly vocabularySize: number;
  /** E: length of a puzzle embedding, at most P * D */
  readonly puzzleEmbeddingSize: number;
  readonly ropeTheta: number;
  /**
   * 1 (official, the default): one rotary position counts through the flattened canvas. 2: half of a head's frequencies turn
   * with the row, half with the column, so that a step on the grid is the same rotation on any canvas.
   */
  readonly ropeAxes?: 1 | 2 | undefined;
  readonly rmsNormEps: number;
}

/** Inner width of SwiGLU. Source: TRM models/layers.py `SwiGLU` (Python's round: a half goes to the even neighbour). */
export function innerSize({
  expansion,
  hiddenSize,
  innerMultiple,
}: Pick<ModelConfig, "expansion" | "hiddenSize" | "innerMultiple">): number {
  const exact = (expansion * hiddenSize * 2) / 3;
  const rounded = Math.round(exact);
  const wanted = rounded - exact === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
  return Math.ceil(wanted / innerMultiple) * innerMultiple;
}

/** Numbers in the trunk; `parameterLayout` says where each lies. */
export function trunkSize(config: ModelConfig): number {
  const { hiddenSize: D, vocabularySize: V, lLayers } = config;
  return 2 * V * D + 2 * D + 2 + lLayers * (4 * D * D + 3 * D * innerSize(config));
}

/** Products of one pass of the network over a row of T positions: its weights at every position, attention's scores and sums for every pair of them. */
export function passCost(config: ModelConfig, positions: number): number {
  const { hiddenSize: D, lLayers } = config;
  return lLayers * positions * (4 * D * D + 3 * D * innerSize(config) + 2 * positions * D);
}

/** Numbers in the adapters of a rank; `loraLayout` says where each lies. */
export function adapterSize(config: ModelConfig, rank: number): number {
  const { hiddenSize: D, vocabularySize: V, lLayers } = config;
  return V * D + rank * (2 * D + V + 2 + lLayers * (8 * D + 3 * innerSize(config)));
}

/** Width of one attention head. */
export function headSize({ hiddenSize, numHeads }: ModelConfig): number {
  return hiddenSize / numHeads;
}
