/**
 * tfjs's core as tfjs-node-gpu's ES5 classes need it. build.mjs hands this to everything that imports `@tensorflow/tfjs`.
 *
 * An ES5 class calls its base class as a function, which the core's real class refuses.
 */
import { KernelBackend as RealKernelBackend } from "@tensorflow/tfjs-core";

export * from "@tensorflow/tfjs-core";

/** Stands in for the abstract base class, which has no state to set up. */
export function KernelBackend(this: unknown): unknown {
  return this;
}
KernelBackend.prototype = RealKernelBackend.prototype;
