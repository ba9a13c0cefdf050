/** tfjs's record of what a gradient will need: it has one at a time, and frees it where a gradient ends as it should. */
import * as tf from "@tensorflow/tfjs-core";

/** Frees what the gradient under way has kept, after an error has ended it. */
export function freeTape(): void {
  const { state } = tf.engine();
  for (const { saved } of state.activeTape ?? []) tf.dispose(saved ?? []);
  state.activeTape = null as never; // as tfjs has it between gradients
}

/** Computes a gradient within the backward pass of another, whose tape it would wipe out. */
export function onTapeOfItsOwn<R>(run: () => R): R {
  const { state } = tf.engine();
  const outer = state.activeTape;
  try {
    return run();
  } catch (error) {
    freeTape();
    throw error;
  } finally {
    state.activeTape = outer;
  }
}
