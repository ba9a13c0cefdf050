/** Decides, in the parent, which engine the workers use; loads none. */
import { dirname } from "node:path";
import { UserError } from "../errors.ts";
import { FOLDER_VARIABLE, locateTensorFlow, type TensorFlowLocation } from "./locate-tensorflow.ts";
import type { EngineChoice, EngineName } from "./select.ts";

export interface ChosenEngine {
  readonly engine: EngineName;
  readonly location: TensorFlowLocation | undefined;
  /** why, in words for the log */
  readonly reason: string;
}

/**
 * The engine asked for, or for `auto` TensorFlow where it is at hand.
 *
 * @throws UserError where TensorFlow was asked for by name and a piece of it is missing
 */
export function chooseEngine(choice: EngineChoice, tfLib?: string): ChosenEngine {
  if (choice === "wasm") return { engine: "wasm", location: undefined, reason: "asked for" };
  const search = locateTensorFlow(tfLib);
  if (search.found) return { engine: "tensorflow", location: search.found, reason: `library in ${search.found.libraryFolder}` };
  if (choice === "tensorflow") {
    throw new UserError(`--engine tensorflow: no ${search.missing.join("; no ")}; run \`npm run tensorflow\` or pass --engine wasm`);
  }
  return { engine: "wasm", location: undefined, reason: "TensorFlow is not at hand (`npm run tensorflow` gets it, some ten times faster)" };
}

/** Environment of a process that is to run the engine. */
export function workerEnvironment({ location }: ChosenEngine, threads?: number): Record<string, string> {
  if (!location) return {};
  const before = process.env.LD_LIBRARY_PATH;
  return {
    [FOLDER_VARIABLE]: dirname(location.binding),
    LD_LIBRARY_PATH: before ? `${location.libraryFolder}:${before}` : location.libraryFolder,
    TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? "2",
    TF_FORCE_GPU_ALLOW_GROWTH: "true",
    ...(threads !== undefined && {
      TF_NUM_INTRAOP_THREADS: String(threads),
      OMP_NUM_THREADS: String(threads),
      TF_NUM_INTEROP_THREADS: "1",
    }),
  };
}
