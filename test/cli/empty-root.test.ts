/** The bundle in a root that has nothing but what the competition's image surely has, and no network. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { unzipSync } from "fflate";
import { inNamespaces, packedBundle, tensorFlowLibrary, withoutNamespaces, withoutTensorFlow } from "./bundled.ts";
import { assertValid, folder, SAMPLE } from "./toy.ts";

/** The C library, in the files that it comes in, and the C++ runtime, which Node, the binding and TensorFlow are linked to. */
const RUNTIME = ["ld-linux-x86-64", "libc", "libm", "libdl", "libpthread", "librt", "libstdc++", "libgcc_s"];
/** What every container has; TensorFlow takes random numbers from the second. */
const DEVICES = ["null", "urandom"];
const TENSORFLOW = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];

/** The shared libraries that a file is linked to, by name, and where they are here. */
function linkedTo(file: string): Map<string, string> {
  const env = { ...process.env, LD_LIBRARY_PATH: tensorFlowLibrary() ?? "" };
  const { status, stdout, stderr } = spawnSync("ldd", [file], { encoding: "utf8", env });
  assert.equal(status, 0, stderr);
  const found = [...stdout.matchAll(/^\s*(?:(\S+) => )?(\/\S+) \(0x/gm)];
  return new Map(found.map(([, name, path]) => [name ?? basename(path!), path!]));
}

/** Makes the root: the runtime's files, the unpacked bundle, the sample tasks, empty folders. @returns its path */
async function emptyRoot(name: string): Promise<string> {
  const root = join(folder, name);
  const { zip, dataset } = await packedBundle();
  const unzipped = unzipSync(readFileSync(zip));
  mkdirSync(join(root, "bundle"), { recursive: true });
  for (const [file, bytes] of Object.entries(unzipped)) writeFileSync(join(root, "bundle", file), bytes);
  chmodSync(join(root, "bundle", "node"), 0o755);
  const programs = ["node", "tfjs_binding.node"].filter((file) => unzipped[file]).map((file) => join(dataset, file));
  for (const [library, path] of programs.flatMap((file) => [...linkedTo(file)])) {
    if (TENSORFLOW.includes(library)) continue;
    assert.ok(RUNTIME.includes(library.replace(/\.so.*$/, "")), `${library} is more than the runtime`);
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(realpathSync(path), join(root, path));
  }
  for (const empty of ["tensorflow", "proc", "dev", "tmp", "out"]) mkdirSync(join(root, empty));
  for (const device of DEVICES) writeFileSync(join(root, "dev", device), ""); // the device is laid over it
  copyFileSync(SAMPLE, join(root, "challenges.json"));
  return root;
}

/** Runs the sample tasks in the root for some steps. @param mounts commands that lay more into the root */
async function runInside(root: string, mounts: string[], ...args: string[]) {
  const options = "run --preset demo --canvas 8 --challenges /challenges.json --checkpoint /bundle --out /out/submission.json";
  const script = [
    ...mounts,
    ...DEVICES.map((device) => `mount --bind /dev/${device} ${root}/dev/${device}`),
    `mount -t proc proc ${root}/proc`,
    `exec env -i "$(command -v chroot)" ${root} /bundle/node /bundle/trm.mjs ${options} --json --budget 150s --steps 8 ${args.join(" ")}`,
  ].join("\n");
  const { status, stdout, stderr } = inNamespaces(script, { PATH: process.env.PATH! }, 240);
  assert.equal(status, 0, stderr);
  await assertValid(join(root, "out", "submission.json"));
  const result = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as {
    engine: string;
    engineDescription: string;
    steps: number;
    votes: number;
    fallbackInputs: number;
  };
  assert.deepEqual({ steps: result.steps, fallbackInputs: result.fallbackInputs }, { steps: 8, fallbackInputs: 0 }, stderr);
  assert.ok(result.votes > 22, `${result.votes} votes`); // more than a round of unadapted ones
  return { engine: result.engine, engineDescription: result.engineDescription, stderr };
}

const skip = withoutNamespaces();

test("the unpacked bundle adapts on wasm in a root with the C and C++ runtime alone", { skip }, async () => {
  const { engine, stderr } = await runInside(await emptyRoot("plain"), []);
  assert.equal(engine, "wasm");
  assert.match(stderr, /workers on wasm \(TensorFlow is not at hand/);
});

test("with the two files of a TensorFlow library besides, it adapts on TensorFlow", { skip: skip || withoutTensorFlow }, async () => {
  const root = await emptyRoot("tensorflow-root");
  const mounts = TENSORFLOW.flatMap((file) => [
    `: > ${root}/tensorflow/${file}`,
    `mount --bind ${realpathSync(join(tensorFlowLibrary()!, file))} ${root}/tensorflow/${file}`,
  ]);
  const { engine, engineDescription, stderr } = await runInside(root, mounts, "--tf-lib", "/tensorflow");
  assert.equal(engine, "tensorflow");
  assert.match(engineDescription, /TensorFlow 2\./);
  assert.match(stderr, /workers on tensorflow \(library in \/tensorflow\)/);
});
