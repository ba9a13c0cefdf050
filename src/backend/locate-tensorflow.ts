/** Finds the two things that the TensorFlow engine needs: tfjs-node-gpu's binding, and a TensorFlow library to link it to. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { readBindingRecord } from "./binding-record.ts";

/** The native addon, the one file that the bundle needs beside itself for this engine. */
export const BINDING_FILE = "tfjs_binding.node";

/** File whose presence makes a folder a TensorFlow library's. */
export const LIBRARY_FILE = "libtensorflow_cc.so.2";

/** Folder that `npm run tensorflow` fills. */
export const TENSORFLOW_FOLDER = ".tensorflow";

/** Environment variable with the folder that `tensorflow --folder` filled; the parent sets it for its workers. */
export const FOLDER_VARIABLE = "TRM_TENSORFLOW";

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
 * The library is the one that the user names; else the one beside the bundle (`tf/`), the one that the binding was built
 * against, the downloaded one, python3's own, the first of these that is there. A folder that `tensorflow --folder` filled
 * names both.
 *
 * @param tfLib folder of a library, or such a folder, where the user names one
 */
export function locateTensorFlow(tfLib?: string): TensorFlowSearch {
  const bindings = bindingPlaces(tfLib);
  const binding = bindings.find((path) => existsSync(path));
  const folders = tfLib ? namedLibraryPlaces(tfLib) : libraryPlaces();
  const libraryFolder = folders.find(isLibraryFolder) ?? (tfLib ? undefined : pythonsTensorFlow());
  if (binding && libraryFolder) return { found: { binding, libraryFolder } };
  const missing: string[] = [];
  if (!binding) missing.push(`${BINDING_FILE} (looked at: ${bindings.join(", ")})`);
  if (!libraryFolder)
    missing.push(
      `TensorFlow library (looked for ${LIBRARY_FILE} in: ${folders.join(", ")}${tfLib ? "" : ", python3's tensorflow package"})`,
    );
  return { found: undefined, missing };
}

/** Where the addon may lie: in the folder named by the user or in TRM_TENSORFLOW, beside the bundle, or where `npm run tensorflow` puts it. */
export function bindingPlaces(tfLib?: string): string[] {
  const named = [...(tfLib ? [resolve(tfLib)] : []), ...variableFolder()];
  return [...new Set([...named, bundleFolder(), ...checkoutFolders()].map((folder) => join(folder, BINDING_FILE)))];
}

/** Folder of the running script. */
export function bundleFolder(): string {
  return dirname(fileURLToPath(import.meta.url));
}

/** Checkouts that a user may mean: the one that the bundle lies in, the one worked in. */
export function possibleRoots(): string[] {
  return [...new Set([join(bundleFolder(), ".."), process.cwd()])];
}

/** Where in a folder that the user names the library may lie: in it, in the package folder in it, where a binding in it was built against, in a folder of ours. */
export function namedLibraryPlaces(tfLib: string): string[] {
  return [...new Set([tfLib, join(tfLib, "tensorflow"), ...placesOfFolder(tfLib)])];
}

export function isLibraryFolder(folder: string): boolean {
  return existsSync(join(folder, LIBRARY_FILE));
}

/** Folder of the tensorflow package that python3 would import, where it holds the library; found without importing it. */
export function pythonsTensorFlow(): string | undefined {
  const code = "import importlib.util as u; s = u.find_spec('tensorflow'); print(s.submodule_search_locations[0] if s else '')";
  try {
    const out = execFileSync("python3", ["-c", code], { encoding: "utf8", timeout: 60_000, stdio: ["ignore", "pipe", "ignore"] })
      .trim()
      .split("\n") // whatever else python3 prints as it starts comes before
      .at(-1)!;
    return out !== "" && isLibraryFolder(out) ? out : undefined;
  } catch {
    return undefined; // no python3 here: one place less to look at
  }
}

/** What to tell a user whose binding lies in a folder that other commands don't look into by themselves; undefined where they do. */
export function findingAdvice(folder: string): string | undefined {
  const [binding, usual] = [join(folder, BINDING_FILE), bindingPlaces()];
  if (usual.find((place) => existsSync(place)) === binding) return undefined;
  return `other commands find it with --tf-lib ${folder}, or with ${FOLDER_VARIABLE}=${folder} in their environment`;
}

function variableFolder(): string[] {
  const folder = process.env[FOLDER_VARIABLE];
  return folder ? [resolve(folder)] : [];
}

function checkoutFolders(): string[] {
  return possibleRoots().map((root) => join(root, TENSORFLOW_FOLDER));
}

/** The library that a folder's binding was built against, and the one downloaded into it. */
function placesOfFolder(folder: string): string[] {
  const built = readBindingRecord(folder)?.library.folder;
  return [...(built === undefined ? [] : [built]), join(folder, "python", "tensorflow")];
}

function libraryPlaces(): string[] {
  const named = variableFolder().flatMap(namedLibraryPlaces);
  return [...new Set([...named, join(bundleFolder(), "tf"), ...checkoutFolders().flatMap(placesOfFolder)])];
}
