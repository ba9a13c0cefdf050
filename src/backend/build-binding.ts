/** Builds the engine's addon against a TensorFlow library: tfjs-node-gpu's N-API binding, from the sources in its npm package, and our kernels. */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { UserError } from "../errors.ts";
import { BINDING_FILE, LIBRARY_FILE } from "./locate-tensorflow.ts";
import { lastLines, runTool } from "./run-tool.ts";

const FRAMEWORK_FILE = "libtensorflow_framework.so.2";
const PACKAGE = join("node_modules", "@tensorflow", "tfjs-node-gpu", "binding");
/** Our own kernels for TensorFlow on a CPU. */
const OWN_KERNELS = join("src", "backend", "native");
const NODE_HEADERS = join("node_modules", "node-api-headers", "include");

/** What the competition image (Ubuntu 22.04 with GCC 12's runtime) offers; a binding that asks for more does not load there. */
const IMAGE_VERSIONS: Record<string, string> = { GLIBC: "2.35", GLIBCXX: "3.4.30", CXXABI: "1.3.13" };

/** $ORIGIN is the binding's own folder: with a library in one of these no LD_LIBRARY_PATH is needed. LD_LIBRARY_PATH goes first. */
const RUN_PATH = "-Wl,-rpath,$ORIGIN/tf:$ORIGIN/python/tensorflow";
const FLAGS = ["-O3", "-ffp-contract=fast", "-Wno-psabi", "-std=c++17", "-shared", "-fPIC", "-DNAPI_VERSION=8", RUN_PATH];

/** The sources of a binding, of one checkout. */
export interface BindingSources {
  /** folder of tfjs-node-gpu's C++ files */
  readonly binding: string;
  /** folder of our own kernels */
  readonly kernels: string;
  /** folder of the N-API headers */
  readonly headers: string;
  /** SHA-256 over all of them and the compiler's arguments */
  readonly sha256: string;
}

/** The sources below one of these folders' node_modules; undefined where none has them. */
export function findBindingSources(roots: readonly string[]): BindingSources | undefined {
  const root = roots.find((folder) => [PACKAGE, NODE_HEADERS, OWN_KERNELS].every((path) => existsSync(join(folder, path))));
  if (root === undefined) return undefined;
  const [binding, headers, kernels] = [join(root, PACKAGE), join(root, NODE_HEADERS), join(root, OWN_KERNELS)];
  const hash = createHash("sha256").update(FLAGS.join(" "));
  for (const folder of [binding, headers, kernels]) {
    for (const name of readdirSync(folder).sort()) hash.update(`\0${name}\0`).update(readFileSync(join(folder, name)));
  }
  return { binding, headers, kernels, sha256: hash.digest("hex") };
}

const NO_COMPILER = "no g++ to build the binding; install one (`apt-get install g++`), or pass --engine wasm to commands";

/** Asked before a download of a gigabyte that would be of no use. @throws UserError where there is no compiler */
export async function refuseMissingCompiler(): Promise<void> {
  if ((await runTool("g++", ["--version"])).missing) throw new UserError(NO_COMPILER);
}

/** @throws UserError where a folder lacks what the binding is compiled against and linked to */
export function refuseIncompleteLibrary(libraryFolder: string): void {
  const header = join("include", "tensorflow", "c", "c_api.h");
  const missing = [LIBRARY_FILE, FRAMEWORK_FILE, header].filter((path) => !existsSync(join(libraryFolder, path)));
  if (missing.length === 0) return;
  throw new UserError(
    `${libraryFolder}: no ${missing.join(" and no ")}; the tensorflow folder of a Python wheel has them all: ` +
      "pass one with --tf-lib, or leave --tf-lib out and have it downloaded",
  );
}

/**
 * Compiles, checks and puts in place `folder`/tfjs_binding.node; an old one is replaced at once or not at all.
 *
 * @param localOnly leaves out the check that the competition image can load it
 * @param note      told what was left out
 * @returns SHA-256 of the binding
 * @throws UserError where there is no compiler, it fails, or its output asks for a newer system than the competition's
 */
export async function buildBinding(
  sources: BindingSources,
  libraryFolder: string,
  folder: string,
  { localOnly, note }: { localOnly: boolean; note: (text: string) => void },
): Promise<string> {
  refuseIncompleteLibrary(libraryFolder);
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, "build-"));
  try {
    // The sources include ../deps/include/..., beside their folder. Copied, for `..` of a linked folder is the real one's.
    mkdirSync(join(work, "binding"));
    mkdirSync(join(work, "deps"));
    for (const name of readdirSync(sources.binding)) copyFileSync(join(sources.binding, name), join(work, "binding", name));
    symlinkSync(resolve(libraryFolder, "include"), join(work, "deps", "include"));
    const output = join(work, BINDING_FILE);
    const includes = [sources.headers, join(libraryFolder, "include"), work, join(work, "binding"), sources.kernels].flatMap((path) => [
      "-I",
      path,
    ]);
    const files = [
      ...["tfjs_backend.cc", "tfjs_binding.cc"].map((name) => join(work, "binding", name)),
      ...["kernels.cc", "ops.cc"].map((name) => join(sources.kernels, name)),
    ];
    const libraries = [`-L${libraryFolder}`, `-l:${LIBRARY_FILE}`, `-l:${FRAMEWORK_FILE}`];
    const { missing, status, signal, stderr } = await runTool("g++", [...FLAGS, ...includes, ...files, ...libraries, "-o", output]);
    if (missing) throw new UserError(NO_COMPILER);
    if (status !== 0) {
      throw new UserError(
        `g++ ended with ${signal ?? `status ${status}`}; its last lines:\n${lastLines(stderr, 8)}\n` +
          `built against ${libraryFolder}; is it a TensorFlow 2 of this machine's kind (${process.arch})?`,
      );
    }
    if (localOnly) note("not checked whether the competition image can load it (--local)");
    else await refuseNewerSystem(output, note);
    const sha256 = createHash("sha256").update(readFileSync(output)).digest("hex");
    renameSync(output, join(folder, BINDING_FILE));
    return sha256;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function refuseNewerSystem(binding: string, note: (text: string) => void): Promise<void> {
  const { missing, status, stdout } = await runTool("objdump", ["-T", binding]);
  if (missing || status !== 0) {
    return note(
      missing
        ? "no objdump here (`apt-get install binutils`): not checked whether the competition image can load the binding"
        : "objdump cannot read the binding: not checked whether the competition image can load it",
    );
  }
  const newer = newerThanImage(stdout);
  if (newer.length === 0) return;
  throw new UserError(
    `the binding built here needs ${newer.join(", ")}, newer than the competition image has; ` +
      "build it on Debian 12 or Ubuntu 22.04, or pass --local to use it on this machine alone",
  );
}

/**
 * The symbol versions in `objdump -T`'s output that the competition image lacks.
 *
 * @returns such as "GLIBCXX_3.4.32 (the image: 3.4.30)", the newest of each library; none where it loads there
 */
export function newerThanImage(symbols: string): string[] {
  const newest = new Map<string, string>();
  for (const [, library, version] of symbols.matchAll(/\b(GLIBC|GLIBCXX|CXXABI)_(\d[\d.]*)\b/g)) {
    if (compareVersions(version!, newest.get(library!) ?? "0") > 0) newest.set(library!, version!);
  }
  return [...newest]
    .filter(([library, version]) => compareVersions(version, IMAGE_VERSIONS[library]!) > 0)
    .map(([library, version]) => `${library}_${version} (the image: ${IMAGE_VERSIONS[library]})`);
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split(".").map(Number), b.split(".").map(Number)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
