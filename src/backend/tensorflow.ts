/** The TensorFlow engine: tfjs-node-gpu's own binding and backend on a TensorFlow library found elsewhere. */
import { existsSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import "@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js";
import { messageOf, UserError } from "../errors.ts";
import { BINDING_FILE, bindingPlaces } from "./locate-tensorflow.ts";
import { registerNativeKernels } from "./native-kernels.ts";

/**
 * Loads the addon into this process and registers the backend `tensorflow`.
 *
 * The process must have been started with the library's folder in LD_LIBRARY_PATH (the parent of the workers does that).
 *
 * @returns a sentence for the log
 * @throws UserError where the addon or its library is missing
 */
export function loadTensorFlow({ binding: wanted }: { binding?: string | undefined }): string {
  const path = wanted ?? bindingPlaces().find((place) => existsSync(place));
  if (!path) throw new UserError(`no ${BINDING_FILE} for --engine tensorflow; run \`npm run tensorflow\` or pass --engine wasm`);
  const addon: { exports: Record<string, unknown> } = { exports: {} };
  try {
    process.dlopen(addon, path);
  } catch (error) {
    throw new UserError(`${path} cannot be loaded: ${messageOf(error)}; run \`npm run tensorflow\` again or pass --engine wasm`, {
      cause: error,
    });
  }
  const { TF_Version: version = "of unknown version" } = addon.exports as { TF_Version?: string };
  if (!tf.findBackend("tensorflow")) {
    tf.registerBackend("tensorflow", () => new NodeJSKernelBackend(addon.exports as never, "tensorflow") as unknown as tf.KernelBackend, 3);
  }
  const backend = tf.findBackend("tensorflow") as unknown as NodeJSKernelBackend;
  const own = !backend.isUsingGpuDevice && registerNativeKernels(backend);
  return `TensorFlow ${version}${own ? " with own kernels" : ""}`;
}
