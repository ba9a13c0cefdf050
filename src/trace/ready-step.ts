/** A step as whoever runs it sees it, compiled or not. */
import type * as tf from "@tensorflow/tfjs-core";
import { messageOf } from "../errors.ts";
import { freeTape } from "../model/tape.ts";

/** A pure function of tensors: inputs stay alive, results belong to the caller. */
export type Step = (inputs: tf.Tensor[]) => tf.Tensor[];

/** A step made ready to be run again and again. */
export interface ReadyStep {
  run: Step;
  /** frees what making it ready took; `run` makes it ready anew */
  dispose(): void;
}

/** Makes steps ready; the name is for messages. */
export type MakeReady = (name: string, step: Step) => ReadyStep;

/** Every operation of the step by itself, as it comes. */
export const opByOp: MakeReady = (_name, step) => ({ run: (inputs) => asItComes(step, inputs), dispose: () => {} });

/** Runs a step op by op. Where an error ends it, nothing that it made is left in memory. */
export function asItComes(step: Step, inputs: tf.Tensor[]): tf.Tensor[] {
  try {
    return step(inputs);
  } catch (error) {
    freeTape();
    throw error;
  }
}

/** TensorFlow's, XLA's and CUDA's words for it. `Dst tensor`: what a GPU without room says of a tensor that comes from the host. */
const OUT_OF_MEMORY =
  /out of memory|OOM when allocating|RESOURCE_EXHAUSTED|Dst tensor is not initialized|CUDA_ERROR_OUT_OF_MEMORY|(CUBLAS|CUDNN)_STATUS_ALLOC_FAILED|Invalid TF_Status: 8\b/i;

/** Whether a step gave up for want of memory; fewer rows may help. */
export function isOutOfMemory(error: unknown): boolean {
  return OUT_OF_MEMORY.test(messageOf(error));
}
