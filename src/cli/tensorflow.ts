/** `tensorflow`: makes the TensorFlow engine ready. */

import { dirname } from "node:path";
import type { CommandModule } from "yargs";
import { findingAdvice } from "../backend/locate-tensorflow.ts";
import { prepareTensorFlow } from "../backend/prepare-tensorflow.ts";

interface TensorFlowArgs {
  tfLib?: string | undefined;
  folder: string | undefined;
  local: boolean;
  json?: boolean;
}

export const tensorflowCommand: CommandModule<object, TensorFlowArgs> = {
  command: "tensorflow",
  describe: "Make the TensorFlow engine ready: find or download the library, build the binding, prove that it works",
  builder: (y) =>
    y
      .option("tf-lib", { type: "string", describe: "folder of a TensorFlow library (default: python3's, else a downloaded one)" })
      .option("folder", {
        type: "string",
        describe: "where binding and download go (default: TRM_TENSORFLOW, else .tensorflow of the checkout)",
      })
      .option("local", { type: "boolean", default: false, describe: "don't ask that the competition image can load the binding" }),
  handler: async ({ tfLib, folder, local, json }) => {
    const began = performance.now();
    const prepared = await prepareTensorFlow({ tfLib, folder, localOnly: local }, (text) => console.error(text));
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    const advice = findingAdvice(dirname(prepared.binding));
    if (json) return console.log(JSON.stringify({ ...prepared, seconds, ...(advice !== undefined && { advice }) }));
    const what = prepared.did.length === 0 ? "nothing to do" : prepared.did.join(", ");
    const where = prepared.usesGpu ? "GPU" : "CPU";
    console.log(`TensorFlow ${prepared.version} works on the ${where}, ${prepared.gflops.toFixed(1)} GFLOP/s; ${what}; ${seconds} s`);
    if (advice !== undefined) console.log(advice);
  },
};
