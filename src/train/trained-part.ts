/** What the optimizer moves: the trunk as a whole, or low-rank adapters on a trunk that stays as it is. */
import * as tf from "@tensorflow/tfjs-core";
import { type Assemble, initLora, type LoraSettings, loraAssemble, loraLayout } from "../model/lora.ts";
import { joinParameters, type ParameterSpec, sliceParameters } from "../model/parameters.ts";
import type { Random } from "../random.ts";

/** A part of the model that has a flat vector of its own, with moments and an average. */
export interface TrainedPart {
  /** of that vector */
  readonly layout: readonly ParameterSpec[];
  /** float32 [N]: where training begins. @param trunk flat vector of the trunk that is adapted */
  begin(trunk: Float32Array, random: Random): Float32Array;
  /** What its steps take beside that vector, the same in all of them; the caller owns it. */
  fixed(trunk: Float32Array): tf.Tensor[];
  /** From the tensors of that vector to the trunk's, both in layout order. @param fixed must outlive what is returned */
  assemble(fixed: readonly tf.Tensor[]): Assemble;
}

/** All of the trunk learns. */
export function wholeTrunk(layout: readonly ParameterSpec[]): TrainedPart {
  return { layout, begin: (trunk) => trunk, fixed: () => [], assemble: () => (leaves) => leaves };
}

/** Adapters learn, see `model/lora.ts`; the trunk under them is an input that no step changes. */
export function adapters(layout: readonly ParameterSpec[], settings: LoraSettings): TrainedPart {
  return {
    layout: loraLayout(layout, settings),
    begin: (trunk, random) => initLora(trunk, layout, settings, random),
    fixed: (trunk) => [tf.tensor1d(trunk)],
    assemble: ([base]) => loraAssemble(sliceParameters(base as tf.Tensor1D, layout), layout, settings),
  };
}

/** The part that is trained: adapters where they are wanted. */
export function trainedPart(layout: readonly ParameterSpec[], lora: LoraSettings | undefined): TrainedPart {
  return lora ? adapters(layout, lora) : wholeTrunk(layout);
}

/** float32 [N]: the trunk's flat vector from that of the part; call it inside `tf.tidy`, for it leaves tensors behind. */
export function trunkOfPart(part: TrainedPart, vector: tf.Tensor1D, fixed: readonly tf.Tensor[]): tf.Tensor1D {
  return joinParameters(part.assemble(fixed)(sliceParameters(vector, part.layout)) as tf.Tensor[]);
}
