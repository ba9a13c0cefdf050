/** Keeps what XLA compiled in a folder, for other processes and later runs. */
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { freeBytes } from "./download-tensorflow.ts";
import { LIBRARY_FILE, type TensorFlowLocation } from "./locate-tensorflow.ts";

/** Tells a process that the folder in TF_XLA_FLAGS is ours to clear. */
const OWN_CACHE = "TRM_XLA_CACHE";
const FLAG = "--tf_xla_persistent_cache_directory";
const ENTRY = /^xla_compile_cache_/;
/** The entries used least lately go beyond this; a step takes one or two MB. */
const LARGEST_BYTES = 512 * 2 ** 20;
/** TensorFlow gives a compilation up that it can't store. */
const NEEDED_BYTES = 64 * 2 ** 20;

/** What decides where the cache is. */
interface CacheRequest {
  /** the library whose XLA compiles; undefined where no TensorFlow runs */
  readonly location: TensorFlowLocation | undefined;
  /** folder, or `off`; the user's cache folder unless given */
  readonly asked: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * Environment of processes that compile with XLA: the flag that names a folder, added to the user's own flags.
 *
 * Empty where the user's flags name a folder already or are a file's name, and where no folder can be written to: a
 * folder that TensorFlow can't use would make every compilation fail.
 */
export function compilationCache({ location, asked, environment = process.env }: CacheRequest): Record<string, string> {
  const flags = environment.TF_XLA_FLAGS?.trim() ?? "";
  if (!location || asked === "off" || flags.includes(FLAG) || (flags !== "" && !flags.startsWith("-"))) return {};
  const ofUser = environment.XDG_CACHE_HOME || join(homedir(), ".cache");
  const places = asked !== undefined ? [asked] : [join(ofUser, "trm", "xla"), join(tmpdir(), `trm-xla-${process.getuid?.() ?? "cache"}`)];
  for (const place of places) {
    const folder = join(resolve(place), machineKey(location));
    if (/['"\s]/.test(folder) || !canHold(folder)) continue;
    shrink(folder, LARGEST_BYTES);
    return { TF_XLA_FLAGS: [flags, `${FLAG}=${folder}`].join(" ").trim(), [OWN_CACHE]: folder };
  }
  return {};
}

/**
 * Empties this process's own cache: a damaged entry makes its compilation fail for ever.
 *
 * @returns whether there was any
 */
export function clearOwnCache(environment: Readonly<Record<string, string | undefined>> = process.env): boolean {
  const folder = environment[OWN_CACHE];
  return folder !== undefined && shrink(folder, 0) > 0;
}

/** Machine code is for one kind of processor and GPU, and TensorFlow's key tells neither. */
function machineKey({ libraryFolder }: TensorFlowLocation): string {
  const { size, mtimeMs } = statSync(join(libraryFolder, LIBRARY_FILE));
  const processor = /^flags.*$/m.exec(contentOf("/proc/cpuinfo"))?.[0] ?? process.arch;
  const gpus = namesIn("/proc/driver/nvidia/gpus").map((id) => contentOf(`/proc/driver/nvidia/gpus/${id}/information`).split("\n")[0]);
  return createHash("sha256")
    .update(JSON.stringify([size, mtimeMs, processor, gpus]))
    .digest("hex")
    .slice(0, 16);
}

/** Makes the folder. @returns whether files can be written there and there is room */
function canHold(folder: string): boolean {
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
    rmSync(mkdtempSync(join(folder, "try-")), { recursive: true });
    return freeBytes(folder) >= NEEDED_BYTES;
  } catch {
    return false; // read-only, a file in the way, not ours: the next place may do
  }
}

/** Step by step: Node's own way to make all of a path never ends where a file system says ENOENT to a new folder, as /proc does. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder);
  } catch (error) {
    if (!existsSync(folder)) throw error; // another process may have made it
  }
}

/** Removes the oldest entries until the rest takes at most `bytes`. @returns how many went */
function shrink(folder: string, bytes: number): number {
  const entries = namesIn(folder)
    .filter((name) => ENTRY.test(name))
    .flatMap((name) => {
      const stat = statSync(join(folder, name), { throwIfNoEntry: false });
      return stat ? [{ path: join(folder, name), size: stat.size, used: Math.max(stat.atimeMs, stat.mtimeMs) }] : [];
    })
    .sort((a, b) => b.used - a.used);
  let total = 0;
  let removed = 0;
  for (const { path, size } of entries) {
    total += size;
    if (total <= bytes) continue;
    rmSync(path, { force: true });
    removed++;
  }
  return removed;
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // no such thing on this machine
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
