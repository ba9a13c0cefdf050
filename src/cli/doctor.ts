/** `doctor`: what this machine offers, which engines work, and why the others don't. */
import { join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { describeMachine, type EngineState, type GpuState, type Machine, type TensorFlowState, tryEngines } from "../backend/diagnosis.ts";
import { BINDING_FILE, bundleFolder, FOLDER_VARIABLE } from "../backend/locate-tensorflow.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import { messageOf } from "../errors.ts";
import { checkManifest, type ManifestCheck } from "../files/manifest.ts";

interface DoctorArgs {
  checkpoint: string | undefined;
  tfLib?: string | undefined;
  json?: boolean;
}

/** What was found out; also the result of `--json`. */
interface Diagnosis {
  readonly machine: Machine;
  readonly engines: { readonly wasm: EngineState; readonly tensorflow: TensorFlowState };
  /** the engine that `--engine auto` takes; null where none works */
  readonly engine: "tensorflow" | "wasm" | null;
  readonly gpus: GpuState;
  readonly checkpoint?: { readonly ok: boolean; readonly text: string };
  readonly bundle?: ManifestCheck;
}

export const doctorCommand: CommandModule<object, DoctorArgs> = {
  command: "doctor",
  describe: "Say what works here: engines, GPUs, library versions, memory, disk, checkpoint, bundle",
  builder: (y) =>
    y
      .option("checkpoint", { type: "string", describe: "checkpoint to check as well" })
      .option("tf-lib", { type: "string", describe: "folder of a TensorFlow library, or what `tensorflow --folder` filled" }),
  handler: async ({ checkpoint, tfLib, json }) => {
    const { wasm, tensorflow, gpus } = await tryEngines(tfLib);
    const bundle = await checkManifest(bundleFolder());
    const diagnosis: Diagnosis = {
      machine: describeMachine(),
      engines: { wasm, tensorflow },
      engine: tensorflow.works ? "tensorflow" : wasm.works ? "wasm" : null,
      gpus,
      ...(checkpoint !== undefined && { checkpoint: checkCheckpoint(checkpoint) }),
      ...(bundle && { bundle }),
    };
    console.log(json ? JSON.stringify(diagnosis) : describe(diagnosis));
    const broken = diagnosis.engine === null || diagnosis.checkpoint?.ok === false || (bundle?.problems.length ?? 0) > 0;
    if (broken) process.exitCode = 1;
  },
};

function checkCheckpoint(folder: string): { ok: boolean; text: string } {
  try {
    const { config, trunk } = loadCheckpoint(folder);
    const weights = [...trunk.values()].reduce((sum, { data }) => sum + data.length, 0);
    return { ok: true, text: `${folder}: hidden size ${config.model.hiddenSize}, ${weights} weights, all finite` };
  } catch (error) {
    return { ok: false, text: messageOf(error) };
  }
}

/** A line for each thing, its name in front. */
function describe({ machine, engines, engine, gpus, checkpoint, bundle }: Diagnosis): string {
  const { tensorflow } = engines;
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const lines: [string, string][] = [
    ["node", `${machine.node}, ${machine.platform}${machine.glibc ? `, glibc ${machine.glibc}` : ""}`],
    ["processor", `${machine.processor}, ${machine.cores} ${machine.cores === 1 ? "thread" : "threads"}`],
    ["memory", `${gib(machine.memory.availableBytes)} of ${gib(machine.memory.totalBytes)} available`],
    ["disk", machine.disks.map(({ path, freeBytes }) => `${gib(freeBytes)} free in ${path}`).join(", ")],
    ["wasm", describeEngine(engines.wasm)],
    ["TensorFlow", `${describeEngine(tensorflow)}${tensorflow.works ? ` on the ${tensorflow.usesGpu ? "GPU" : "CPU"}` : ""}`],
  ];
  if (tensorflow.binding) lines.push(["", `binding ${tensorflow.binding}`]);
  const named = process.env[FOLDER_VARIABLE];
  if (named)
    lines.push([
      "",
      tensorflow.binding === join(resolve(named), BINDING_FILE)
        ? `found by ${FOLDER_VARIABLE}`
        : `${FOLDER_VARIABLE}=${named} is not where it was found`,
    ]);
  if (tensorflow.libraryFolder) lines.push(["", `library ${tensorflow.libraryFolder}`]);
  if (tensorflow.compiles !== undefined) {
    lines.push(["", tensorflow.compiles === true ? "steps are compiled" : `steps run op by op: ${tensorflow.compiles}`]);
  }
  if (tensorflow.attention !== undefined) lines.push(["", describeAttention(tensorflow.attention)]);
  const cards = gpus.names.length > 0 ? ` (${gpus.names.join("; ")})` : "";
  const driver = gpus.driver ? `, driver ${gpus.driver}` : "";
  lines.push(["GPUs", gpus.count === 0 && gpus.names.length === 0 ? `none${driver}` : `${gpus.count}${cards}${driver}`]);
  if (gpus.why) lines.push(["", gpus.why]);
  if (checkpoint) lines.push(["checkpoint", `${checkpoint.ok ? "fine" : "cannot be used"}: ${checkpoint.text}`]);
  lines.push(["bundle", describeBundle(bundle)]);
  lines.push(["", engine === null ? "no engine works here: nothing can run" : `--engine auto takes ${engine}`]);
  return lines.map(([name, text]) => `${name.padEnd(11)} ${text.replaceAll("\n", `\n${" ".repeat(12)}`)}`).join("\n");
}

function describeEngine({ works, description, gflops, why }: EngineState): string {
  if (!works) return `does not work: ${why}`;
  return `works: ${description}${gflops === undefined ? "" : `, ${gflops.toFixed(1)} GFLOP/s`}`;
}

function describeAttention(attention: true | string): string {
  if (attention === true) return "attention by cuDNN works";
  return `attention by cuDNN does not work: ${attention}; runs compose it, slower and in more memory (--attention composed: without trying)`;
}

function describeBundle(bundle: ManifestCheck | undefined): string {
  if (!bundle) return "no manifest beside the script, nothing to compare with";
  if (bundle.problems.length === 0) return `whole, ${bundle.files} files as they were packed`;
  return `damaged:\n${bundle.problems.map((problem) => `- ${problem}`).join("\n")}`;
}
