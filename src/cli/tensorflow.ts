/** `tensorflow`: makes the TensorFlow engine ready. */

import { dirname } from "node:path";
import type { CommandModule } from "yargs";
import { countGpus } from "../backend/gpus.ts";
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
      .option("tf-lib", {
        type: "string",
        describe:
          "folder of a TensorFlow library, such as one for GPUs (default: the one used before, python3's, else a download of the one for processors, 0.3 GB)",
      })
      .option("folder", {
        type: "string",
        describe: "where binding and download go (default: TRM_TENSORFLOW, else .tensorflow of the checkout)",
      })
      .option("local", { type: "boolean", default: false, describe: "don't ask that the competition image can load the binding" }),
  handler: async ({ tfLib, folder, local, json }) => {
    const began = performance.now();
    const prepared = await prepareTensorFlow({ tfLib, folder, localOnly: local }, (text) => console.error(text));
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    const gpus = prepared.usesGpu ? 0 : countGpus();
    const advice = [
      findingAdvice(dirname(prepared.binding)),
      gpus > 0 ? `${gpus} GPUs lie idle: this TensorFlow is for processors; \`--tf-lib DIR\` takes one that was built for GPUs` : undefined,
    ].filter((text) => text !== undefined);
    if (json) return console.log(JSON.stringify({ ...prepared, seconds, ...(advice.length > 0 && { advice: advice.join("; ") }) }));
    const what = prepared.did.length === 0 ? "nothing to do" : prepared.did.join(", ");
    const where = prepared.usesGpu ? "GPU" : "CPU";
    console.log(`TensorFlow ${prepared.version} works on the ${where}, ${prepared.gflops.toFixed(1)} GFLOP/s; ${what}; ${seconds} s`);
    for (const text of advice) console.log(text);
  },
};
