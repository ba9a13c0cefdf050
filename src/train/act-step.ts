/** One supervised pass over the recursion, with or without gradients. Pure: tensors in, tensors out, so that an engine may compile it. */
import * as tf from "@tensorflow/tfjs-core";
import { Q_LOSS_WEIGHT, rowLosses, type Targets } from "../loss/act-loss.ts";
import type { ModelConfig } from "../model/config.ts";
import type { Assemble } from "../model/lora.ts";
import { type Buffers, joinParameters, nameParameters } from "../model/parameters.ts";
import { cyclesWithoutGradient, hCycle, type Latents } from "../model/recursion.ts";
import type { RotaryTables } from "../model/rotary.ts";
import { attentionShape, inputEmbeddings, type ModelInputs, networkOf, qLogits, resetLatents, tokenLogits } from "../model/trm.ts";

/** What does not change from step to step. */
export interface ActContext {
  readonly config: ModelConfig;
  readonly buffers: Buffers;
  readonly rotary: RotaryTables;
  /** blocks are computed again for their gradient, which takes a sixth more time and a fraction of the memory */
  readonly recompute?: boolean | undefined;
}

/** What a pass starts from. */
export interface ActInputs extends ModelInputs {
  /** float32 [B, 1]: 1 where a row begins a new sample */
  readonly fresh: tf.Tensor2D;
  readonly latents: Latents;
}

/** What a training pass gives; the caller owns all of it. */
export type GradientStep = {
  /** float32 [N]: gradient of (sum of row losses) * lossScale in the order of what is trained; empty ([0]) where the trunk is frozen */
  readonly trunkGradient: tf.Tensor1D;
  /**
   * float32 [B, 5 + E]: lmLoss, qHaltLoss, accuracy, exact, qHaltLogit, then the gradient of the row's own copy of
   * its puzzle embedding. One tensor, since each read-back costs a round trip.
   */
  readonly rows: tf.Tensor2D;
  /** the new carry, detached */
  readonly zH: tf.Tensor2D;
  readonly zL: tf.Tensor2D;
};

/** Columns before the gradient in `GradientStep.rows`. */
export const ROW_STATISTICS = 5;

/**
 * Forward and backward of one ACT step.
 *
 * @param trainable what is trained: the trunk's parameters in layout order, or whatever `assemble` makes them of
 * @param lossScale 1 / global batch size, so that slices' gradients sum to the whole batch's
 * @param frozen    true: only the puzzle rows get a gradient
 * @param assemble  the trunk's parameters from what is trained; see `model/lora.ts`
 * Source: TRM trm.py `ACTV1_Inner.forward`, losses.py, pretrain.py `train_batch`
 */
export function gradientStep(
  { config, buffers, rotary, recompute }: ActContext,
  trainable: readonly tf.Tensor[],
  inputs: ActInputs,
  targets: Targets,
  lossScale: number,
  frozen = false,
  assemble: Assemble = (leaves) => leaves,
): GradientStep {
  return tf.tidy(() => {
    const [batch, canvasTokens] = inputs.tokens.shape;
    const shape = attentionShape(config, batch, canvasTokens);
    const constant = nameParameters(assemble(trainable));
    const start = resetLatents(inputs.latents, inputs.fresh, buffers);
    const entering = cyclesWithoutGradient(
      networkOf(config, constant, shape, rotary),
      inputEmbeddings(config, constant, inputs),
      start,
      config.hCycles,
      config.lCycles,
    );
    let statistics: tf.Tensor2D | undefined;
    let latents: Latents | undefined;
    const loss = (puzzleRows: tf.Tensor, ...parameters: tf.Tensor[]): tf.Scalar => {
      const trunk = frozen ? constant : nameParameters(assemble(parameters));
      const x = inputEmbeddings(config, trunk, { tokens: inputs.tokens, puzzleRows: puzzleRows as tf.Tensor2D });
      const network = networkOf(config, trunk, shape, rotary, recompute ? { learned: !frozen } : undefined);
      const next = hCycle(network, x, entering, config.lCycles);
      const q = tf.reshape(tf.slice2d(qLogits(config, trunk, next.zH, batch), [0, 0], [batch, 1]), [batch]) as tf.Tensor1D;
      const losses = rowLosses(tokenLogits(config, trunk, next.zH, batch), q, targets);
      latents = { zH: tf.keep(next.zH), zL: tf.keep(next.zL) };
      statistics = tf.keep(tf.stack([losses.lmLoss, losses.qHaltLoss, losses.accuracy, losses.exact, q], 1) as tf.Tensor2D);
      return tf.mul(tf.sum(tf.add(losses.lmLoss, tf.mul(losses.qHaltLoss, Q_LOSS_WEIGHT))), lossScale);
    };
    try {
      const [rowGradient, ...gradients] = tf.grads(loss as (...args: tf.Tensor[]) => tf.Scalar)(
        frozen ? [inputs.puzzleRows] : [inputs.puzzleRows, ...trainable],
      );
      const rows = tf.concat2d([statistics!, rowGradient as tf.Tensor2D], 1);
      // `keep` held them against the gradient scope; cloned, they belong to this scope, whose caller owns them.
      const { zH, zL } = latents!;
      return { trunkGradient: frozen ? tf.tensor1d([]) : joinParameters(gradients), rows, zH: tf.clone(zH), zL: tf.clone(zL) };
    } finally {
      tf.dispose([statistics ?? [], latents ?? []] as tf.Tensor[]);
    }
  });
}

/** What an evaluation pass gives; the caller owns all of it. */
export type EvaluationStep = {
  readonly zH: tf.Tensor2D;
  readonly zL: tf.Tensor2D;
};

/** One ACT step without gradients. Source: TRM trm.py, eval mode */
export function evaluationStep({ config, buffers, rotary }: ActContext, leaves: readonly tf.Tensor[], inputs: ActInputs): EvaluationStep {
  return tf.tidy(() => {
    const trunk = nameParameters(leaves);
    const network = networkOf(config, trunk, attentionShape(config, inputs.tokens.shape[0], inputs.tokens.shape[1]), rotary);
    const x = inputEmbeddings(config, trunk, inputs);
    const entering = cyclesWithoutGradient(network, x, resetLatents(inputs.latents, inputs.fresh, buffers), config.hCycles, config.lCycles);
    return hCycle(network, x, entering, config.lCycles);
  });
}

/** float32 [B, S, V] token logits and float32 [B, 2] halting logits of states; the caller owns both. */
export function readOut(
  { config }: ActContext,
  leaves: readonly tf.Tensor[],
  zH: tf.Tensor2D,
  batch: number,
): { logits: tf.Tensor3D; q: tf.Tensor2D } {
  return tf.tidy(() => {
    const trunk = nameParameters(leaves);
    return { logits: tokenLogits(config, trunk, zH, batch), q: qLogits(config, trunk, zH, batch) };
  });
}
