/** What the tests of the competition bundle share: one that is packed once a file, and a namespace of its own for what runs it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { folder, lastLine, trm } from "./toy.ts";

export const SAMPLE_CHECKPOINT = resolve("checkpoints/sample");

/** Folder of the TensorFlow library that `npm run tensorflow` found; undefined where that was not run. */
export function tensorFlowLibrary(): string | undefined {
  const record = resolve(".tensorflow/binding.json");
  if (!existsSync(record)) return undefined;
  const { library } = JSON.parse(readFileSync(record, "utf8")) as { library: { folder: string } };
  return existsSync(join(library.folder, "libtensorflow_cc.so.2")) ? library.folder : undefined;
}

/** Why a test that needs TensorFlow can't run; false where it can or must. */
export const withoutTensorFlow =
  tensorFlowLibrary() === undefined && process.env.TRM_REQUIRE_TENSORFLOW !== "1" && "no TensorFlow here: run `npm run tensorflow`";

/** What `bundle --json` tells. */
export interface Packed {
  readonly dataset: string;
  readonly notebook: string;
  readonly runOptions: readonly string[];
  readonly zip: string;
  readonly zipBytes: number;
  readonly files: readonly { name: string; bytes: number; sha256: string; zippedBytes: number }[];
  readonly tensorflow: boolean;
}

/** Arguments that every bundle here is made with; without the binding where there is none. */
export const BUNDLE_ARGUMENTS = [
  "bundle",
  "--checkpoint",
  SAMPLE_CHECKPOINT,
  ...(existsSync(resolve(".tensorflow/tfjs_binding.node")) ? [] : ["--without-tensorflow"]),
];

/** What its notebook passes to `run`. */
export const NOTEBOOK_OPTIONS = ["--preset", "nvarc", "--canvas", "grouped"];

let packed: Promise<Packed> | undefined;

/** The bundle of the sample checkpoint, with the pinned Node, for the user `somebody`. */
export function packedBundle(): Promise<Packed> {
  packed ??= (async () => {
    const out = join(folder, "bundle");
    return lastLine(
      await trm(...BUNDLE_ARGUMENTS, "--out", out, "--user", "somebody", "--json", "--", ...NOTEBOOK_OPTIONS),
    ) as unknown as Packed;
  })();
  return packed;
}

/** How a process is started in namespaces of its own: no network, and mounts that end with it. */
export const UNSHARED = ["unshare", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--"];

/** Why there can be no such process here; false where there can. */
export function withoutNamespaces(): false | string {
  const [command, ...rest] = [...UNSHARED, "sh", "-c", "mount -t tmpfs none /mnt"];
  const { error, status, stderr } = spawnSync(command!, rest, { encoding: "utf8" });
  if (!error && status === 0) return false;
  return `no namespaces and mounts can be made here: ${error?.message ?? stderr.trim()}`;
}

/** Runs a shell script in such a process. */
export function inNamespaces(script: string, env: Record<string, string>, timeoutSeconds: number) {
  const [command, ...rest] = [...UNSHARED, "sh", "-eu", "-c", script];
  const ended = spawnSync(command!, rest, {
    encoding: "utf8",
    env,
    timeout: timeoutSeconds * 1000,
    killSignal: "SIGKILL",
    maxBuffer: 2 ** 26,
  });
  assert.ifError(ended.error);
  return ended;
}
