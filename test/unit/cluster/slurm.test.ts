import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import {
  arrayOptions,
  mergeOptions,
  type SlurmJobs,
  type SlurmResources,
  settingsText,
  shellWord,
  slurmFiles,
  slurmTime,
} from "../../../src/cluster/slurm.ts";

const JOBS: SlurmJobs = {
  trm: ["node", "/a b/trm.mjs"],
  shards: 4,
  run: [],
  merge: ["--out", "x"],
  arrayOptions: ["--time=01:00:00"],
  mergeOptions: [],
  atOnce: 2,
  requeues: 5,
  crashes: 1,
  rounds: 2,
};

/** What bash makes of the settings. */
function inBash(settings: string, names: readonly string[]): string[][] {
  const script = `set -eu; eval "$(cat)"; for name in ${names.join(" ")}; do declare -n list=$name; printf '%s\\0' "\${list[@]}"; printf '\\1\\0'; done`;
  const { status, stdout, stderr } = spawnSync("bash", ["-c", script], { input: settings, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return stdout
    .split("\u0001\0")
    .slice(0, -1)
    .map((list) => list.split("\0").slice(0, -1));
}

test("bash reads the settings back as they were written, whatever characters are in them", () => {
  const anyWord = fc.oneof(
    fc.string(),
    fc.string({ unit: "grapheme" }),
    fc.constantFrom("", "a b", "it's", "$HOME `id` \\", "-n", "*", "~", "!x", 'q"q', "two\nlines", "#"),
  );
  fc.assert(
    fc.property(
      fc.array(
        anyWord.filter((word) => !word.includes("\0") && !word.includes("\u0001") && Buffer.from(word).toString() === word),
        { minLength: 1, maxLength: 5 },
      ),
      (run) => {
        const [read, trm, shards, atOnce] = inBash(settingsText({ ...JOBS, run }), ["RUN", "TRM", "SHARDS", "AT_ONCE"]);
        assert.deepEqual([read, trm, shards, atOnce], [run, JOBS.trm, ["4"], ["2"]]);
      },
    ),
    { numRuns: 60 },
  );
});

test("a word with a zero byte is refused", () => {
  assert.throws(() => shellWord("a\0b"), /zero byte/);
});

test("the example in the repository sets all that the program's own settings do", () => {
  const names = (text: string): string[] => [...text.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name!).sort();
  assert.deepEqual(names(readFileSync("submission/slurm/settings.example.sh", "utf8")), names(settingsText(JOBS)));
});

test("the scripts written are those of the repository", () => {
  for (const [name, text] of slurmFiles(JOBS))
    if (name !== "settings.sh") assert.equal(text, readFileSync(`submission/slurm/${name}`, "utf8"));
});

test("time limits are rounded up to minutes", () => {
  assert.deepEqual([1, 60, 61, 3600, 42_000, 86_400, 90_061].map(slurmTime), [
    "00:01:00",
    "00:01:00",
    "00:02:00",
    "01:00:00",
    "11:40:00",
    "1-00:00:00",
    "1-01:02:00",
  ]);
});

test("a shard asks for GPUs, processors, memory and a signal before its limit; the merge for a place alone", () => {
  const resources: SlurmResources = {
    partition: "gpu long",
    account: undefined,
    qos: "low",
    gpus: 4,
    cpus: 16,
    memory: "64G",
    timeLimitSeconds: 7200,
    stopBeforeSeconds: 90.5,
    others: ["--constraint=a100"],
  };
  assert.deepEqual(arrayOptions(resources), [
    "--partition=gpu long",
    "--qos=low",
    "--gres=gpu:4",
    "--cpus-per-task=16",
    "--mem=64G",
    "--time=02:00:00",
    "--signal=B:TERM@91",
    "--constraint=a100",
  ]);
  assert.deepEqual(mergeOptions(resources), ["--partition=gpu long", "--qos=low", "--time=00:30:00"]);
  const few = { ...resources, partition: undefined, qos: undefined, gpus: undefined, cpus: undefined, memory: undefined, others: [] };
  assert.deepEqual(arrayOptions(few), ["--time=02:00:00", "--signal=B:TERM@91"]);
});
