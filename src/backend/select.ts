/** Chooses the engine that runs the model. The only place that sets a tfjs backend or one of its flags. */
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import * as tf from "@tensorflow/tfjs-core";
import { UserError } from "../errors.ts";
import { loadTensorFlow } from "./tensorflow.ts";
import { loadWasm } from "./wasm.ts";

export const ENGINES = ["auto", "tensorflow", "wasm"] as const;
export type EngineChoice = (typeof ENGINES)[number];
export type EngineName = Exclude<EngineChoice, "auto">;

/** The engine that was made ready, in words for the log. */
export interface Engine {
  readonly name: EngineName;
  readonly description: string;
  /** it computes on a GPU */
  readonly usesGpu: boolean;
}

/**
 * Makes an engine ready in this process. Called by workers and by `bench`, never by the parent of a run.
 *
 * @param options.binding the addon to load, where it is not the one in its usual place
 * @throws UserError where the engine asked for cannot be had
 */
export async function startEngine(
  name: EngineName,
  options: { tfLib?: string | undefined; threads?: number | undefined; binding?: string | undefined } = {},
): Promise<Engine> {
  const description = name === "wasm" ? await loadWasm() : loadTensorFlow(options);
  if (!(await tf.setBackend(name))) throw new UserError(`engine ${name} did not start`);
  await tf.ready();
  tf.env().set("CHECK_COMPUTATION_FOR_ERRORS", false); // loops check for NaN themselves, once a step
  return { name, description, usesGpu: (tf.backend() as { isUsingGpuDevice?: boolean }).isUsingGpuDevice ?? false };
}
