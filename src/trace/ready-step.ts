/** A step as whoever runs it sees it, compiled or not. */
import type * as tf from "@tensorflow/tfjs-core";

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
export const opByOp: MakeReady = (_name, step) => ({ run: step, dispose: () => {} });
