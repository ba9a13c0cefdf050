/** Keeps what XLA compiled in a folder, for other processes and later runs. */
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  type Stats,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { messageOf } from "../errors.ts";
import { freeBytes } from "./download-tensorflow.ts";
import { LIBRARY_FILE, type TensorFlowLocation } from "./locate-tensorflow.ts";

/** Tells a process that the folder in TF_XLA_FLAGS is ours to clear. */
const OWN_CACHE = "TRM_XLA_CACHE";
const FLAG = "--tf_xla_persistent_cache_directory";
const ENTRY = /^xla_compile_cache_.*(?<!\.sha256)$/;
/** The entries used least lately go beyond this; a step takes one or two MB. */
const LARGEST_BYTES = 512 * 2 ** 20;
/** TensorFlow gives a compilation up that it can't store. */
const NEEDED_BYTES = 64 * 2 ** 20;

type Environment = Readonly<Record<string, string | undefined>>;

/** What decides where the cache is. */
interface CacheRequest {
  /** the library whose XLA compiles; undefined where no TensorFlow runs */
  readonly location: TensorFlowLocation | undefined;
  /** folder, or `off`; the user's cache folder unless given */
  readonly asked: string | undefined;
  readonly environment?: Environment;
  /** told in one sentence where nothing can be kept */
  readonly warn: (sentence: string) => void;
}

/**
 * Environment of processes that compile with XLA: the flag that names a folder, added to the user's own flags.
 *
 * Empty where the user's flags name a folder already or are a file's name, and where no folder can be written to: a
 * folder that TensorFlow can't use would make every compilation fail. Never throws.
 */
export function compilationCache({ location, asked, environment = process.env, warn }: CacheRequest): Record<string, string> {
  const flags = environment.TF_XLA_FLAGS?.trim() ?? "";
  if (!location || asked === "off" || flags.includes(FLAG) || (flags !== "" && !flags.startsWith("-"))) return {};
  const reasons: string[] = [];
  for (const place of asked === undefined ? usualPlaces(environment) : [asked]) {
    const folder = join(resolve(place), machineKey(location));
    const reason = whyUnusable(folder, asked === undefined);
    if (reason === undefined) {
      dropDamaged(folder);
      return { TF_XLA_FLAGS: [flags, `${FLAG}=${folder}`].join(" ").trim(), [OWN_CACHE]: folder };
    }
    reasons.push(`${place}: ${reason}`);
  }
  warn(`what XLA compiles is not kept for later runs (${reasons.join("; ")}); another folder: --xla-cache DIR`);
  return {};
}

/** Whether this process keeps what XLA compiles in a folder of ours. */
export function hasOwnCache(environment: Environment = process.env): boolean {
  return Boolean(environment[OWN_CACHE]);
}

/** What takes the cache out of a process's environment again: the user's own flags stand. */
export function withoutCache(environment: Environment = process.env): Record<string, string> {
  return { TF_XLA_FLAGS: environment.TF_XLA_FLAGS ?? "", [OWN_CACHE]: "" };
}

/**
 * Empties this process's own cache: a damaged entry makes its compilation fail for ever.
 *
 * @returns whether this process has one; others may have emptied it before
 */
export function clearOwnCache(environment: Environment = process.env): boolean {
  const folder = environment[OWN_CACHE];
  if (!folder) return false;
  for (const name of entriesIn(folder)) remove(join(folder, name));
  return true;
}

/** Notes the checksums of entries that have none yet, in files beside them: those that this process has just had compiled. */
export function sealOwnCache(environment: Environment = process.env): void {
  const folder = environment[OWN_CACHE];
  if (!folder) return;
  for (const name of entriesIn(folder)) {
    const path = join(folder, name);
    try {
      if (!existsSync(sealOf(path))) writeFileSync(sealOf(path), sha256(readFileSync(path)));
    } catch {
      // gone since, or no room: it is compiled again next time
    }
  }
}

/** The user's folder for such things, where there is one, and one of the user's in the temporary folder. */
function usualPlaces({ XDG_CACHE_HOME }: Environment): string[] {
  const temporary = join(tmpdir(), `trm-xla-${process.getuid?.() ?? "cache"}`);
  if (XDG_CACHE_HOME) return [join(XDG_CACHE_HOME, "trm", "xla"), temporary];
  try {
    return [join(homedir(), ".cache", "trm", "xla"), temporary];
  } catch {
    return [temporary]; // a user that the system has no entry of
  }
}

/** Machine code is for one kind of processor and GPU, and TensorFlow's key tells neither. */
function machineKey({ libraryFolder }: TensorFlowLocation): string {
  const library = statOf(join(libraryFolder, LIBRARY_FILE));
  const processor = /^flags.*$/m.exec(contentOf("/proc/cpuinfo"))?.[0] ?? process.arch;
  const gpus = namesIn("/proc/driver/nvidia/gpus").map((id) => contentOf(`/proc/driver/nvidia/gpus/${id}/information`).split("\n")[0]);
  return createHash("sha256")
    .update(JSON.stringify([library?.size, library?.mtimeMs, processor, gpus]))
    .digest("hex")
    .slice(0, 16);
}

/**
 * Makes the folder, and room in it.
 *
 * @param ownAlone refuse a folder that is another user's: machine code in it would be run
 * @returns why it can't hold a cache
 */
function whyUnusable(folder: string, ownAlone: boolean): string | undefined {
  if (/['"\s]/.test(folder)) return "a path with a blank or a quote can't stand in TF_XLA_FLAGS";
  try {
    makeFolder(folder);
    for (const path of [folder, dirname(folder)]) {
      const { uid, mode } = statSync(path);
      if (ownAlone && (uid !== (process.getuid?.() ?? uid) || (mode & 0o002) !== 0)) return "others can write there";
    }
    accessSync(folder, constants.W_OK | constants.X_OK);
    rmSync(mkdtempSync(join(folder, "try-")), { recursive: true });
    shrink(folder);
    return freeBytes(folder) < NEEDED_BYTES ? `less than ${NEEDED_BYTES / 2 ** 20} MiB of disk are free` : undefined;
  } catch (error) {
    return messageOf(error); // read-only, a file in the way, not ours
  }
}

/** Step by step: Node's own way to make all of a path never ends where a file system says ENOENT to a new folder, as /proc does. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (!existsSync(folder)) throw error; // another process may have made it
  }
}

/** Removes the entries used least lately until the rest takes at most as much as is allowed. */
function shrink(folder: string): void {
  const entries = entriesIn(folder)
    .flatMap((name) => {
      const path = join(folder, name);
      const stat = statOf(path);
      return stat ? [{ path, size: stat.size, used: Math.max(stat.atimeMs, stat.mtimeMs) }] : [];
    })
    .sort((a, b) => b.used - a.used);
  let total = 0;
  for (const { path, size } of entries) {
    total += size;
    if (total > LARGEST_BYTES) remove(path);
  }
}

/** Removes what is not as it was when it was compiled: TensorFlow would run it as machine code. */
function dropDamaged(folder: string): void {
  for (const name of entriesIn(folder)) {
    const path = join(folder, name);
    const before = statOf(path);
    try {
      if (sha256(readFileSync(path)) !== contentOf(sealOf(path))) remove(path);
      else if (before) utimesSync(path, before.atime, before.mtime); // looking is not using
    } catch {
      remove(path); // unreadable here, unreadable to TensorFlow
    }
  }
}

function entriesIn(folder: string): string[] {
  return namesIn(folder).filter((name) => ENTRY.test(name));
}

function sealOf(entry: string): string {
  return `${entry}.sha256`;
}

function remove(entry: string): void {
  for (const path of [entry, sealOf(entry)]) {
    try {
      rmSync(path, { force: true });
    } catch {
      // not ours to remove; TensorFlow then says what is wrong with it
    }
  }
}

function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
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
