/** `probe`, hidden: tries an engine in this process and prints the answer; `doctor` and `tensorflow` start it. */
import * as tf from "@tensorflow/tfjs-core";
import type { CommandModule } from "yargs";
import type { ProbeAnswer } from "../backend/engine-probe.ts";
import { type EngineName, startEngine } from "../backend/select.ts";
import { matrixProductSpeed } from "../bench/train-step.ts";
import { messageOf } from "../errors.ts";
import { attend } from "../model/attention.ts";
import { rotaryTables } from "../model/rotary.ts";
import { compile } from "../trace/compile.ts";

interface ProbeArgs {
  engine: EngineName;
  binding: string | undefined;
  speed: boolean;
  attention: boolean;
}

export const probeCommand: CommandModule<object, ProbeArgs> = {
  command: "probe",
  describe: false,
  builder: (y) =>
    y
      .option("engine", { choices: ["wasm", "tensorflow"] as const, demandOption: true })
      .option("binding", { type: "string" })
      .option("speed", { type: "boolean", default: false })
      .option("attention", { type: "boolean", default: false }),
  handler: async (args) => {
    const answer = await probe(args).catch((error: unknown): ProbeAnswer => ({ works: false, why: messageOf(error) }));
    console.log(JSON.stringify(answer));
  },
};

async function probe({ engine, binding, speed, attention }: ProbeArgs): Promise<ProbeAnswer> {
  const { description } = await startEngine(engine, { binding });
  const product = tf.matMul(tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]), tf.tensor2d([7, 8, 9, 10, 11, 12], [3, 2]));
  const values = [...(await product.data())];
  if (values.join() !== "58,64,139,154") return { works: false, why: `it multiplies wrongly: ${values.join(", ")} for 58, 64, 139, 154` };
  const version = engine === "tensorflow" ? description.split(" ")[1] : undefined;
  const usesGpu = (tf.backend() as unknown as { isUsingGpuDevice?: boolean }).isUsingGpuDevice ?? false;
  if (attention) return { works: true, description, version, usesGpu, attention: tryAttention() };
  if (!speed) return { works: true, description, version, usesGpu };
  const compiles = engine === "tensorflow" ? tryCompiling() : undefined;
  return { works: true, description, version, usesGpu, gflops: await matrixProductSpeed(512, 512, 512), compiles };
}

/** In the shape of the full-size model, but for the batch: what is refused there shows here. */
const ATTENTION = { batch: 2, positions: 916, heads: 8, headSize: 64 };
/** Of the result, and of the gradient, from those in float32; rounding to bfloat16 comes to half a percent. */
const ATTENTION_TOLERANCE = 0.03;

/** Whether attention and its gradient by cuDNN run here, and give what they should. @returns true, or why not */
function tryAttention(): true | string {
  try {
    const { batch, positions, heads, headSize } = ATTENTION;
    const step = ([qkv, cos, sin]: tf.Tensor[]): tf.Tensor[] => {
      const attended = (x: tf.Tensor) => attend(x as tf.Tensor2D, ATTENTION, { cos: cos as tf.Tensor2D, sin: sin as tf.Tensor2D });
      return [attended(qkv!), tf.grad(attended)(qkv!)];
    };
    const places = Int32Array.from({ length: positions }, (_, i) => i);
    const { cos, sin } = rotaryTables(places, headSize, 10_000);
    const inputs = [tf.randomNormal([batch * positions, 3 * heads * headSize], 0, 1, "float32", 1), cos, sin];
    const fused = compile(step, inputs, { target: "xla", precision: "bfloat16", fusedAttention: true }).run(inputs);
    const off = Math.max(...step(inputs).map((exact, i) => distance(fused[i]!, exact)));
    return off < ATTENTION_TOLERANCE || `its results are off by ${(100 * off).toFixed(1)} %`;
  } catch (error) {
    return messageOf(error);
  }
}

/** Over the length of what is exact. */
function distance(given: tf.Tensor, exact: tf.Tensor): number {
  const length = (of: tf.Tensor): number => Math.sqrt(tf.sum(tf.square(of)).dataSync()[0]!);
  return length(tf.sub(given, exact)) / length(exact);
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
