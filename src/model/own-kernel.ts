/** Fused kernels that an engine may have; where it has none, the caller composes the operation from tfjs's. */
import * as tf from "@tensorflow/tfjs-core";

/** Names of the fused kernels start with this in tfjs's registry. */
export const OWN_KERNEL_PREFIX = "Trm";

/** Whether the current engine has a fused kernel of that name. */
export function hasOwnKernel(name: string): boolean {
  return tf.getKernel(OWN_KERNEL_PREFIX + name, tf.getBackend()) !== undefined;
}

/** Runs the engine's own kernel, or gives undefined where the current backend has none of that name. */
export function ownKernel(name: string, inputs: tf.NamedTensorMap, attributes: Record<string, number>): tf.Tensor[] | undefined {
  if (!hasOwnKernel(name)) return undefined;
  const result = tf.engine().runKernel(OWN_KERNEL_PREFIX + name, inputs, attributes) as tf.Tensor | tf.Tensor[];
  return Array.isArray(result) ? result : [result];
}
