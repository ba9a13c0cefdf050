/** Tries an engine in a process of its own, so that one that crashes or hangs costs a sentence. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf } from "../errors.ts";
import { workerEnvironment } from "./choose.ts";
import type { TensorFlowLocation } from "./locate-tensorflow.ts";
import { lastLines, runTool } from "./run-tool.ts";
import type { EngineName } from "./select.ts";

/** What the process prints as its last line. */
export type ProbeAnswer =
  | {
      readonly works: true;
      /** the engine in words */
      readonly description: string;
      /** TensorFlow's version */
      readonly version?: string | undefined;
      /** the engine computes on a GPU */
      readonly usesGpu: boolean;
      /** matrix-product speed, in 10^9 operations a second, where it was asked for */
      readonly gflops?: number | undefined;
      /** whether compiled steps run, or why not; where the speed was asked for */
      readonly compiles?: true | string | undefined;
      /** whether attention by cuDNN runs, or why not; where it was asked for */
      readonly attention?: true | string | undefined;
    }
  | { readonly works: false /** one sentence */; readonly why: string };

/** An answer, and what TensorFlow logged about GPUs on the way. */
export type ProbeResult = ProbeAnswer & { readonly gpuLog: readonly string[] };

const TIMEOUT_SECONDS = 240; // a cold disk, a library of 1.3 GB and the start of CUDA

/**
 * Starts the engine in a child process, multiplies two matrices there, and compares the product.
 *
 * @param location what to load for TensorFlow; undefined for the wasm engine
 * @param more     `speed`: also measure the speed and try to compile, about a second more; `attention`: also try attention by cuDNN, which may crash
 */
export async function probeEngine(
  engine: EngineName,
  location: TensorFlowLocation | undefined,
  more?: "speed" | "attention",
): Promise<ProbeResult> {
  const args = [fileURLToPath(import.meta.url), "probe", "--engine", engine];
  if (location) args.push("--binding", location.binding);
  if (more) args.push(`--${more}`);
  const environment: Record<string, string> = workerEnvironment({ engine, location, reason: "probe" });
  const child = await runTool(process.execPath, args, {
    environment: { ...environment, TF_CPP_MIN_LOG_LEVEL: "0" },
    timeoutMillis: TIMEOUT_SECONDS * 1000,
  });
  const gpuLog = gpuLines(child.stderr);
  if (child.timedOut) return { works: false, why: `did not answer within ${TIMEOUT_SECONDS} s`, gpuLog };
  if (child.signal) return { works: false, why: crashReason(child.signal, location), gpuLog };
  try {
    const answer = JSON.parse(lastLines(child.stdout, 1)) as ProbeAnswer;
    if (answer.works || !location) return { ...answer, gpuLog };
    const advice = loadAdvice(answer.why, location);
    return { works: false, why: advice === "" ? answer.why : `${answer.why} (${advice})`, gpuLog };
  } catch (error) {
    const said = lastLines(child.stderr, 1) || messageOf(error);
    return { works: false, why: `ended with status ${child.status}: ${said}`, gpuLog };
  }
}

function crashReason(signal: NodeJS.Signals, location: TensorFlowLocation | undefined): string {
  const where = location ? ` with the library in ${location.libraryFolder}` : "";
  if (signal === "SIGILL") return `ended by SIGILL${where}: it uses instructions that this processor lacks (TensorFlow's wheels need AVX)`;
  if (signal === "SIGKILL") return `ended by SIGKILL${where}: out of memory, most likely`;
  return `ended by ${signal}${where}`;
}

/** What TensorFlow logged of CUDA, GPUs and libraries that it could not open, without time stamps and repetitions. */
function gpuLines(stderr: string): string[] {
  const lines = stderr
    .split("\n")
    .filter((line) => /^(\d{4}-\d\d-\d\d .*?: [WE] |[WE]\d{4} )/.test(line) && /cuda|gpu|dlopen|driver/i.test(line))
    .map((line) => line.replace(/^.*?\.cc:\d+\]\s*/, "").trim());
  return [...new Set(lines)].slice(0, 5);
}

/** What the dynamic linker's words mean here; empty where they say it all. */
function loadAdvice(why: string, location: TensorFlowLocation): string {
  const missing = /([\w.+-]+\.so[\w.]*): cannot open shared object file/.exec(why)?.[1];
  if (missing) return `${missing} is not in ${location.libraryFolder}, LD_LIBRARY_PATH or the system's folders`;
  const version = /version `([^']+)' not found/.exec(why)?.[1];
  if (version)
    return `this system's ${version.split("_")[0]} is older than ${version.split("_")[1]}, which ${dirname(location.binding)} asks for`;
  if (/undefined symbol/.test(why)) return "the library is of another TensorFlow than the binding was built for";
  if (/invalid ELF header|file too short|wrong ELF class/.test(why)) return "a file is damaged or of another kind of machine";
  return "";
}
