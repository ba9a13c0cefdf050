/** The two nested cycles of one ACT step. */
import * as tf from "@tensorflow/tfjs-core";

/** Answer state zH and latent state zL: float32 [B * T, D] each (the paper's y and z). */
export type Latents = {
  readonly zH: tf.Tensor2D;
  readonly zL: tf.Tensor2D;
};

/** The one network of both states: (state, what is added to it) -> new state, all [B * T, D]. */
export type Network = (state: tf.Tensor2D, injection: tf.Tensor2D) => tf.Tensor2D;

/**
 * One H cycle: refines the latent `lCycles` times, then the answer once.
 *
 * Owns    the two returned tensors; nothing passed in is disposed of
 * Source  TRM Fig. 3 `latent_recursion`; zH is the paper's y, zL its z (section 4.2)
 */
export function hCycle(network: Network, x: tf.Tensor2D, { zH, zL }: Latents, lCycles: number): Latents {
  const injected: tf.Tensor2D = tf.add(zH, x); // constant while the latent is refined
  let latent = zL;
  for (let i = 0; i < lCycles; i++) latent = network(latent, injected);
  return { zH: network(zH, latent), zL: latent };
}

/**
 * All H cycles but the last: they carry no gradient, so they run before the gradient scope opens.
 *
 * Source  TRM trm.py `TinyRecursiveReasoningModel_ACTV1_Inner.forward` (torch.no_grad part)
 */
export function cyclesWithoutGradient(network: Network, x: tf.Tensor2D, start: Latents, hCycles: number, lCycles: number): Latents {
  let latents = start;
  for (let i = 0; i < hCycles - 1; i++) {
    const previous = latents;
    latents = tf.tidy(() => hCycle(network, x, previous, lCycles));
    if (previous !== start) tf.dispose([previous.zH, previous.zL]);
  }
  return latents;
}
