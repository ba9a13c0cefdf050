/** Finds the two things that the TensorFlow engine needs: tfjs-node-gpu's binding, and a TensorFlow library to link it to. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The native addon, the one file that the bundle needs beside itself for this engine. */
export const BINDING_FILE = "tfjs_binding.node";

/** File whose presence makes a folder a TensorFlow library's. */
export const LIBRARY_FILE = "libtensorflow_cc.so.2";

/** Folder that `npm run tensorflow` fills. */
export const TENSORFLOW_FOLDER = ".tensorflow";

export interface TensorFlowLocation {
  readonly binding: string;
  /** goes into LD_LIBRARY_PATH of the processes that load the binding */
  readonly libraryFolder: string;
}

/** What was found, or for each missing piece the places that were looked at. */
export type TensorFlowSearch = { readonly found: TensorFlowLocation } | { readonly found: undefined; readonly missing: readonly string[] };

/**
 * Looks for binding and library; loads and runs nothing of them.
 *
 * @param tfLib folder of a library, where the user names one
 */
export function locateTensorFlow(tfLib?: string): TensorFlowSearch {
  const bindings = bindingPlaces();
  const binding = bindings.find((path) => existsSync(path));
  const beside = dirname(fileURLToPath(import.meta.url));
  const folders = tfLib
    ? [tfLib, join(tfLib, "tensorflow")]
    : [join(beside, "tf"), ...[join(beside, ".."), process.cwd()].map((root) => join(root, TENSORFLOW_FOLDER, "python", "tensorflow"))];
  const isLibrary = (folder: string): boolean => existsSync(join(folder, LIBRARY_FILE));
  const libraryFolder =
    folders.find(isLibrary) ?? (tfLib ? undefined : [pythonsTensorFlow()].find((folder) => folder !== undefined && isLibrary(folder)));
  if (binding && libraryFolder) return { found: { binding, libraryFolder } };
  const missing: string[] = [];
  if (!binding) missing.push(`${BINDING_FILE} (looked at: ${bindings.join(", ")})`);
  if (!libraryFolder)
    missing.push(
      `a TensorFlow library (looked for ${LIBRARY_FILE} in: ${folders.join(", ")}${tfLib ? "" : ", python3's tensorflow package"})`,
    );
  return { found: undefined, missing };
}

/** Where the addon may lie: beside the bundle, or in the folder that `npm run tensorflow` fills. */
export function bindingPlaces(): string[] {
  const beside = dirname(fileURLToPath(import.meta.url));
  const places = [
    join(beside, BINDING_FILE),
    ...[join(beside, ".."), process.cwd()].map((root) => join(root, TENSORFLOW_FOLDER, BINDING_FILE)),
  ];
  return [...new Set(places)];
}

/** Folder of the tensorflow package that python3 would import; found without importing it. */
function pythonsTensorFlow(): string | undefined {
  const code = "import importlib.util as u; s = u.find_spec('tensorflow'); print(s.submodule_search_locations[0] if s else '')";
  try {
    const out = execFileSync("python3", ["-c", code], { encoding: "utf8", timeout: 20_000, stdio: ["ignore", "pipe", "ignore"] }).trim();
    return out === "" ? undefined : out;
  } catch {
    return undefined; // no python3 here: one place less to look at
  }
}
