/** Makes the TensorFlow engine ready: a library, the binding built against it, a proof that both work. What is there already stays. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { UserError } from "../errors.ts";
import { type BindingRecord, readBindingRecord, writeBindingRecord } from "./binding-record.ts";
import { type BindingSources, buildBinding, findBindingSources, refuseMissingCompiler } from "./build-binding.ts";
import { downloadTensorFlow } from "./download-tensorflow.ts";
import { probeEngine } from "./engine-probe.ts";
import {
  BINDING_FILE,
  FOLDER_VARIABLE,
  isLibraryFolder,
  LIBRARY_FILE,
  locateTensorFlow,
  namedLibraryPlaces,
  possibleRoots,
  pythonsTensorFlow,
  TENSORFLOW_FOLDER,
  type TensorFlowLocation,
} from "./locate-tensorflow.ts";

export interface PrepareOptions {
  /** folder of a library, where the user names one */
  readonly tfLib: string | undefined;
  /** where binding, record and download go; TRM_TENSORFLOW or `.tensorflow` of the checkout unless given */
  readonly folder: string | undefined;
  /** the binding need not load on the competition image */
  readonly localOnly: boolean;
}

export interface Prepared extends TensorFlowLocation {
  /** TensorFlow's version as the library tells it */
  readonly version: string;
  readonly usesGpu: boolean;
  /** matrix-product speed of the proof, in 10^9 operations a second */
  readonly gflops: number;
  /** what this call did, and what was there already; words */
  readonly did: readonly string[];
  readonly kept: readonly string[];
}

/** Where the library that will be used came from. */
interface Library {
  readonly folder: string;
  readonly origin: string;
}

/**
 * Idempotent: a second call builds and fetches nothing, it only proves that the engine works.
 *
 * @param say told what is going on, line by line
 * @throws UserError with the next step for each thing that is missing
 */
export async function prepareTensorFlow(options: PrepareOptions, say: (text: string) => void): Promise<Prepared> {
  if (process.platform !== "linux") {
    throw new UserError(`the TensorFlow engine is built on Linux alone, this is ${process.platform}; the wasm engine works here`);
  }
  const roots = possibleRoots();
  const sources = findBindingSources(roots);
  if (!sources) return proveWithoutSources(options, roots, say);
  const checkout = roots.find((root) => sources.binding.startsWith(join(root, "node_modules")))!;
  const folder = resolve(options.folder ?? (process.env[FOLDER_VARIABLE] || join(checkout, TENSORFLOW_FOLDER)));

  const did: string[] = [];
  const kept: string[] = [];
  const record = readBindingRecord(folder);
  let library = findLibrary(options.tfLib, folder, record);
  if (library) {
    kept.push(`library (${library.origin})`);
    say(`library: ${library.folder} (${library.origin})`);
  } else {
    await refuseMissingCompiler();
    library = { folder: resolve(await downloadTensorFlow(folder, say)), origin: "downloaded" };
    did.push("downloaded the library");
    say(`library: ${library.folder} (downloaded)`);
  }

  const binding = join(folder, BINDING_FILE);
  const location: TensorFlowLocation = { binding, libraryFolder: library.folder };
  const why = reasonToBuild(binding, record, sources, library.folder);
  if (why === undefined) {
    const proof = await probeEngine("tensorflow", location, "speed");
    if (proof.works && proof.version === record!.library.version) {
      kept.push("binding");
      say(`binding: ${binding} (built before)`);
      return { ...location, version: proof.version, usesGpu: proof.usesGpu, gflops: proof.gflops ?? 0, did, kept };
    }
  }
  const reason = why ?? "the one there does not work with it";
  say(`building the binding (${reason})`);
  const note = (text: string): void => say(`note: ${text}`);
  const sha256 = await buildBinding(sources, library.folder, folder, { localOnly: options.localOnly, note });
  did.push(`built the binding (${reason})`);
  const proof = await prove(location);
  const bytes = statSync(join(library.folder, LIBRARY_FILE)).size;
  writeBindingRecord(folder, {
    version: 1,
    library: { folder: library.folder, bytes, version: proof.version },
    sources: sources.sha256,
    binding: sha256,
  });
  say(`binding: ${binding} (new)`);
  return { ...location, ...proof, did, kept };
}

/** A bundle that was shipped with its binding needs no sources. */
async function proveWithoutSources({ tfLib }: PrepareOptions, roots: readonly string[], say: (text: string) => void): Promise<Prepared> {
  const search = locateTensorFlow(tfLib);
  if (!search.found) {
    throw new UserError(
      `nothing to build the binding from: no node_modules with @tensorflow/tfjs-node-gpu and node-api-headers in ${roots.join(" or ")}; ` +
        `run this in a checkout after \`npm ci\`, or bring what is missing: ${search.missing.join("; ")}`,
    );
  }
  say(`no sources of the binding here; trying what is there: ${search.found.binding}, library in ${search.found.libraryFolder}`);
  return { ...search.found, ...(await prove(search.found)), did: [], kept: ["library", "binding"] };
}

async function prove(location: TensorFlowLocation): Promise<Pick<Prepared, "version" | "usesGpu" | "gflops">> {
  const proof = await probeEngine("tensorflow", location, "speed");
  if (!proof.works) {
    throw new UserError(
      `the TensorFlow engine does not start: ${proof.why}\nlibrary in ${location.libraryFolder}; try another with --tf-lib`,
    );
  }
  return { version: proof.version ?? "unknown", usesGpu: proof.usesGpu, gflops: proof.gflops ?? 0 };
}

/** The library to use: the one named; else the one built against before, a downloaded one, python3's. */
function findLibrary(tfLib: string | undefined, folder: string, record: BindingRecord | undefined): Library | undefined {
  if (tfLib !== undefined) {
    const found = namedLibraryPlaces(tfLib).find(isLibraryFolder);
    if (!found) throw new UserError(`--tf-lib ${tfLib}: no ${LIBRARY_FILE} there; looked at: ${namedLibraryPlaces(tfLib).join(", ")}`);
    return { folder: resolve(found), origin: "--tf-lib" };
  }
  if (record && isLibraryFolder(record.library.folder)) return { folder: record.library.folder, origin: "as before" };
  const downloaded = join(folder, "python", "tensorflow");
  if (isLibraryFolder(downloaded)) return { folder: downloaded, origin: "downloaded before" };
  const installed = pythonsTensorFlow();
  return installed === undefined ? undefined : { folder: resolve(installed), origin: "python3's tensorflow package" };
}

/** Why the binding has to be built; undefined where the one that is there fits. */
function reasonToBuild(
  binding: string,
  record: BindingRecord | undefined,
  sources: BindingSources,
  libraryFolder: string,
): string | undefined {
  if (!existsSync(binding)) return "there is none";
  if (!record) return "nothing tells what the one there was built from";
  if (record.sources !== sources.sha256) return "its sources have changed";
  if (record.library.folder !== libraryFolder) return "it is another library";
  if (record.library.bytes !== statSync(join(libraryFolder, LIBRARY_FILE)).size) return "the library has changed";
  if (record.binding !== createHash("sha256").update(readFileSync(binding)).digest("hex")) return "the one there has changed";
  return undefined;
}
