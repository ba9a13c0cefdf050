/** `probe`, hidden: tries an engine in this process and prints the answer; `doctor` and `tensorflow` start it. */
import * as tf from "@tensorflow/tfjs-core";
import type { CommandModule } from "yargs";
import type { ProbeAnswer } from "../backend/engine-probe.ts";
import { type EngineName, startEngine } from "../backend/select.ts";
import { matrixProductSpeed } from "../bench/train-step.ts";
import { messageOf } from "../errors.ts";
import { compile } from "../trace/compile.ts";

interface ProbeArgs {
  engine: EngineName;
  binding: string | undefined;
  speed: boolean;
}

export const probeCommand: CommandModule<object, ProbeArgs> = {
  command: "probe",
  describe: false,
  builder: (y) =>
    y
      .option("engine", { choices: ["wasm", "tensorflow"] as const, demandOption: true })
      .option("binding", { type: "string" })
      .option("speed", { type: "boolean", default: false }),
  handler: async (args) => {
    const answer = await probe(args).catch((error: unknown): ProbeAnswer => ({ works: false, why: messageOf(error) }));
    console.log(JSON.stringify(answer));
  },
};

async function probe({ engine, binding, speed }: ProbeArgs): Promise<ProbeAnswer> {
  const { description } = await startEngine(engine, { binding });
  const product = tf.matMul(tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]), tf.tensor2d([7, 8, 9, 10, 11, 12], [3, 2]));
  const values = [...(await product.data())];
  if (values.join() !== "58,64,139,154") return { works: false, why: `it multiplies wrongly: ${values.join(", ")} for 58, 64, 139, 154` };
  const version = engine === "tensorflow" ? description.split(" ")[1] : undefined;
  const usesGpu = (tf.backend() as unknown as { isUsingGpuDevice?: boolean }).isUsingGpuDevice ?? false;
  if (!speed) return { works: true, description, version, usesGpu };
  const compiles = engine === "tensorflow" ? tryCompiling() : undefined;
  return { works: true, description, version, usesGpu, gflops: await matrixProductSpeed(512, 512, 512), compiles };
}

/** Whether a traced step runs as one TensorFlow function here. @returns true, or why not */
function tryCompiling(): true | string {
  try {
    const input = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    const step = compile(([x]) => [tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D)], [input]);
    const [product] = step.run([input]);
    const values = [...product!.dataSync()].join();
    return values === "7,10,15,22" ? true : `the compiled product is ${values}`;
  } catch (error) {
    return messageOf(error);
  }
}
