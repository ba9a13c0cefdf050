/** The manifest of `submission/kubernetes/`: against the API's published schema, and its commands as processes in place of pods. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { assertValid, BUNDLE, folder, put, QUICK, SAMPLE, scratch, toyCheckpoint } from "./toy.ts";

const MANIFEST = "submission/kubernetes/job.yaml";
const text = readFileSync(MANIFEST, "utf8");

interface Container {
  readonly image: string;
  readonly command?: string[];
  readonly args: string[];
  readonly env: { readonly name: string; readonly value?: string }[];
  readonly resources: { readonly limits?: Record<string, number> };
}
interface Job {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly completions: number;
    readonly completionMode: string;
    readonly template: { readonly spec: { readonly containers: [Container] } };
  };
}
const [, shards, merge] = parseAllDocuments(text).map((document) => document.toJS() as Job) as [unknown, Job, Job];
const containerOf = (job: Job): Container => job.spec.template.spec.containers[0];
const COUNT = shards.spec.completions;

const python = process.env.TRM_TEST_PYTHON ?? "python3";
const withoutSchema =
  process.env.TRM_REQUIRE_KUBERNETES_SCHEMA !== "1" &&
  spawnSync(python, ["-c", "import kubernetes_validate"]).status !== 0 &&
  "no schemas of Kubernetes here: install the Python package kubernetes-validate, and name that Python in TRM_TEST_PYTHON";

/** Kubernetes's schemas say whether they take a manifest, unknown fields refused. */
function validated(manifest: string, version: string): { status: number | null; said: string } {
  const args = ["-m", "kubernetes_validate", "--strict", "--kubernetes-version", version, put("manifest.yaml", manifest)];
  const { status, stdout, stderr } = spawnSync(python, args, { encoding: "utf8" });
  return { status, said: stdout + stderr };
}

test("the API's published schema takes the manifest, from the first version that it is for to a recent one", {
  skip: withoutSchema,
}, () => {
  for (const version of ["1.29", "1.37"]) {
    const { status, said } = validated(text, version);
    assert.equal(status, 0, said);
    for (const name of ["persistentvolumeclaim/trm-run", "job/trm-shards", "job/trm-merge"])
      assert.match(said, new RegExp(`passed for resource ${name}`));
  }
});

test("the schema refuses a field that is misspelt, at any depth, and a value of the wrong type", { skip: withoutSchema }, () => {
  for (const [right, wrong] of [
    ["backoffLimitPerIndex:", "backoffLimitPerIndx:"],
    ["onExitCodes:", "onExitCode:"],
    ["terminationGracePeriodSeconds: 60", "terminationGracePeriod: 60"],
    ["claimName:", "claim:"],
    ["completions: 4", 'completions: "4"'],
    ["allowPrivilegeEscalation:", "allowPrivilegeEscalations:"],
  ] as const) {
    assert.ok(text.includes(right), right);
    const { status, said } = validated(text.replace(right, wrong), "1.37");
    assert.equal(status, 1, `${wrong} was taken:\n${said}`);
  }
});

test("both jobs speak of the same image and number of shards, and a shard asks for the GPUs that it requires", () => {
  assert.equal(shards.spec.completionMode, "Indexed");
  const [shard, merging] = [containerOf(shards), containerOf(merge)];
  assert.equal(shard.image, merging.image);
  assert.ok(shard.args.includes(`--shard=auto/${COUNT}`));
  assert.equal(merging.env.find(({ name }) => name === "SHARDS")!.value, String(COUNT));
  assert.ok(shard.args.includes(`--require-gpus=${shard.resources.limits!["nvidia.com/gpu"]}`));
});

test("a variable that is worked into others stands before them: Kubernetes knows no other, and would put a job's index last", () => {
  for (const job of [shards, merge]) {
    const known = new Set<string>();
    for (const { name, value } of containerOf(job).env) {
      for (const [, used] of (value ?? "").matchAll(/\$\((\w+)\)/g)) assert.ok(known.has(used!), `${name} needs ${used}`);
      known.add(name);
    }
  }
});

test("the jobs' commands, as processes: a submission stands before any shard has begun, and the merge ends when all have ended", async () => {
  const work = join(folder, "work");
  mkdirSync(work);
  put("work/challenges.json", readFileSync(SAMPLE));
  const checkpoint = await toyCheckpoint();
  // All in one pass: what is put in holds such words itself, where this folder is below a /work.
  const here = (word: string, index: number): string => {
    const standIns: Record<string, string> = {
      "/trm/node /trm/trm.mjs": `'${process.execPath}' '${BUNDLE}'`,
      "/work": work,
      "=/trm": `=${checkpoint}`,
      "$(JOB_COMPLETION_INDEX)": String(index),
    };
    return word.replaceAll(/\/trm\/node \/trm\/trm\.mjs|\/work|=\/trm|\$\(JOB_COMPLETION_INDEX\)/g, (match) => standIns[match]!);
  };
  /** What stands for a pod: the container's words with its variables, as the kubelet puts them together. */
  const pod = (
    job: Job,
    index: number,
    settings: Record<string, string>,
    ...more: string[]
  ): { child: ChildProcess; ended: Promise<{ status: number | null; said: string }> } => {
    const { command, args, env } = containerOf(job);
    const variables = Object.fromEntries(env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, here(value, index)]])));
    const words = args.filter((arg) => !arg.startsWith("--require-gpus")).map((arg) => here(arg, index));
    const [program, ...rest] = command ?? [process.execPath, BUNDLE];
    const child = spawn(program!, [...rest, ...words, ...more], { env: { ...process.env, TMPDIR: scratch, ...variables, ...settings } });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
    return { child, ended: new Promise((done) => child.on("close", (status) => done({ status, said }))) };
  };
  const merging = pod(merge, 0, { EVERY_SECONDS: "0.5" });
  try {
    const submission = join(work, "run", "submission.json");
    for (const end = performance.now() + 30_000; !existsSync(submission) && performance.now() < end; )
      await new Promise((wake) => setTimeout(wake, 50));
    await assertValid(submission);
    const light = [...QUICK, "--workers=1", "--method=none", "--vote-variants=1", "--budget=100s"];
    const indexes = Array.from({ length: COUNT }, (_, index) => index);
    for (const ended of indexes.map((index) => pod(shards, index, { JOB_COMPLETION_INDEX: String(index) }, ...light).ended)) {
      const { status, said } = await ended;
      assert.equal(status, 0, said);
    }
    const { status, said } = await merging.ended;
    assert.equal(status, 0, said);
    assert.match(said, new RegExp(`^shards ${indexes.join(", ")} of ${COUNT} failed: 20 tasks have fallback answers`, "m"));
    assert.match(said.trimEnd().split("\n").at(-1)!, /20 tasks, 22 test inputs, 0 of them answered by a fallback alone$/);
    await assertValid(submission);
  } finally {
    merging.child.kill("SIGTERM");
  }
});
