/** What `doctor` finds out: machine, engines, GPUs. Tries each engine in a child process and loads none here. */
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, freemem, tmpdir, totalmem } from "node:os";
import { freeBytes } from "./download-tensorflow.ts";
import { type ProbeResult, probeEngine } from "./engine-probe.ts";
import { countGpus } from "./gpus.ts";
import { bindingPlaces, locateTensorFlow, type TensorFlowLocation } from "./locate-tensorflow.ts";
import { runTool } from "./run-tool.ts";

export interface Machine {
  /** such as "v20.20.2" */
  readonly node: string;
  /** such as "linux x64" */
  readonly platform: string;
  /** version of the C library; undefined where it's another one or not Linux */
  readonly glibc: string | undefined;
  readonly processor: string;
  /** threads that this process may run at once */
  readonly cores: number;
  readonly memory: { readonly availableBytes: number; readonly totalBytes: number };
  readonly disks: readonly { readonly path: string; readonly freeBytes: number }[];
}

/** An engine that was tried. */
export interface EngineState {
  readonly works: boolean;
  readonly description?: string | undefined;
  readonly gflops?: number | undefined;
  /** why it doesn't work, in a sentence */
  readonly why?: string | undefined;
}

export interface TensorFlowState extends EngineState {
  /** the addon, where there is one */
  readonly binding?: string | undefined;
  readonly libraryFolder?: string | undefined;
  readonly version?: string | undefined;
  readonly usesGpu?: boolean | undefined;
  /** whether steps are compiled, or why not */
  readonly compiles?: true | string | undefined;
  /** whether attention by cuDNN runs, or why not; where the engine computes on a GPU */
  readonly attention?: true | string | undefined;
}

export interface GpuState {
  /** those that CUDA_VISIBLE_DEVICES leaves */
  readonly count: number;
  /** the driver's words, one for each card */
  readonly names: readonly string[];
  readonly driver?: string | undefined;
  /** why TensorFlow doesn't use those that are there */
  readonly why?: string | undefined;
}

/** Describes the machine, as far as it bears on a run. */
export function describeMachine(): Machine {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    glibc: report?.header?.glibcVersionRuntime,
    processor: cpus()[0]?.model.trim() || "unknown processor",
    cores: availableParallelism(),
    memory: { availableBytes: availableMemory(), totalBytes: totalmem() },
    disks: [...new Set([process.cwd(), tmpdir()])].map((path) => ({ path, freeBytes: freeBytes(path) })),
  };
}

/** Tries the engines one after the other, so that they don't take each other's time. */
export async function tryEngines(tfLib: string | undefined): Promise<{ wasm: EngineState; tensorflow: TensorFlowState; gpus: GpuState }> {
  const wasm = await probeEngine("wasm", undefined, "speed");
  const search = locateTensorFlow(tfLib);
  if (!search.found) {
    const binding = bindingPlaces(tfLib).find((path) => existsSync(path));
    const why = `no ${search.missing.join("; no ")}; \`npm run tensorflow\` gets it`;
    return { wasm: stateOf(wasm), tensorflow: { works: false, binding, why }, gpus: await describeGpus(undefined) };
  }
  const probe = await probeEngine("tensorflow", search.found, "speed");
  const attention = probe.works && probe.usesGpu ? await attentionOf(search.found) : undefined;
  const extra = probe.works ? { version: probe.version, usesGpu: probe.usesGpu, compiles: probe.compiles, attention } : {};
  return { wasm: stateOf(wasm), tensorflow: { ...stateOf(probe), ...search.found, ...extra }, gpus: await describeGpus(probe) };
}

/** In a process of its own: one that crashes over it says nothing of the engine. */
async function attentionOf(location: TensorFlowLocation): Promise<true | string> {
  const probe = await probeEngine("tensorflow", location, "attention");
  return probe.works ? (probe.attention ?? "not tried") : probe.why;
}

function stateOf(probe: ProbeResult): EngineState {
  return probe.works ? { works: true, description: probe.description, gflops: probe.gflops } : { works: false, why: probe.why };
}

/** The cards there are, and, where TensorFlow computes on none of them, why. */
async function describeGpus(probe: ProbeResult | undefined): Promise<GpuState> {
  const listed = await runTool("nvidia-smi", ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"], {
    timeoutMillis: 10_000,
  });
  const rows = listed.status === 0 ? listed.stdout.split("\n").filter((line) => line.trim() !== "") : [];
  const cards = rows.map((row) => row.split(",").map((part) => part.trim()));
  const state = { count: countGpus(), names: cards.map(([name, memory]) => `${name}, ${memory}`), driver: cards[0]?.[2] ?? kernelDriver() };
  if (!probe?.works || probe.usesGpu) return state;
  if (state.count === 0) {
    const hidden = cards.length > 0 ? `CUDA_VISIBLE_DEVICES=${process.env.CUDA_VISIBLE_DEVICES} leaves none of them` : undefined;
    return hidden === undefined ? state : { ...state, why: hidden };
  }
  const logged = probe.gpuLog.length > 0 ? ` TensorFlow said: ${probe.gpuLog.join(" / ")}` : "";
  return {
    ...state,
    why: `TensorFlow ${probe.version} computes on the CPU all the same: a CPU library, or CUDA's libraries are not in its reach; point --tf-lib at the folder of a GPU TensorFlow.${logged}`,
  };
}

/** The driver's version from its kernel module, for images without nvidia-smi. */
function kernelDriver(): string | undefined {
  try {
    return /Kernel Module\s+(?:for \S+\s+)?([\d.]+)/.exec(readFileSync("/proc/driver/nvidia/version", "utf8"))?.[1];
  } catch {
    return undefined; // no driver
  }
}

/** Bytes that programs may still take; a container's limit counts. */
function availableMemory(): number {
  const limited = (process as { availableMemory?: () => number }).availableMemory?.();
  return limited !== undefined && limited > 0 ? Math.min(limited, totalmem()) : freemem();
}
