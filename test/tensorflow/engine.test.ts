import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BINDING_FILE, isLibraryFolder, locateTensorFlow } from "../../src/backend/locate-tensorflow.ts";
import { BUNDLE, folder, lastLine, runArguments, trm } from "../cli/toy.ts";

/** The engine that `npm run tensorflow` made ready; without it these tests are skipped, or fail where it is required. */
const search = locateTensorFlow();
const missing = search.found ? false : `no ${search.missing.join("; no ")}; \`npm run tensorflow\` gets it`;
if (missing) console.log(`skipped: ${missing}`);
const options = {
  skip: process.env.TRM_REQUIRE_TENSORFLOW === "1" ? false : missing,
};
const libraryFolder = search.found?.libraryFolder ?? "";

const lastObject = (stdout: string) => JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
const TINY = "--steps 1 --hidden-size 16 --num-heads 2 --batch-size 4 --rules-per-kind 1".split(" ");

test("the TensorFlow engine is there, where it is required", options, () => {
  assert.ok(search.found, String(missing));
});

test("the bundle multiplies matrices in TensorFlow, not in a slower backend, and compiles", options, async () => {
  let best = 0;
  for (let tries = 0; tries < 4 && best <= 20; tries++) {
    const { status, stdout, stderr } = await trm("doctor", "--json");
    assert.equal(status, 0, stderr);
    const { engines, engine } = lastObject(stdout);
    assert.equal(engine, "tensorflow", engines.tensorflow.why);
    assert.match(engines.tensorflow.description, /^TensorFlow 2\./);
    assert.equal(engines.tensorflow.compiles, true);
    best = Math.max(best, engines.tensorflow.gflops); // others may want the processor too
  }
  assert.ok(best > 20, `${best} GFLOP/s; the plain-JS backend reaches 1`);
});

test("bench of the bundle runs on TensorFlow where it is asked for by name", options, async () => {
  let best = 0;
  for (let tries = 0; tries < 3 && best <= 20; tries++) {
    const { status, stdout, stderr } = await trm("bench", "--engine", "tensorflow", "--preset", "S", "--steps", "1", "--json");
    assert.equal(status, 0, stderr);
    const report = lastObject(stdout);
    assert.equal(report.engine, "tensorflow");
    best = Math.max(best, report.matmulGflops); // others may want the processor too
  }
  assert.ok(best > 20, `${best} GFLOP/s; the plain-JS backend reaches 1`);
});

test("auto takes TensorFlow and says so, and a training step runs on it", options, async () => {
  const { status, stderr } = await trm("pretrain", ...TINY, "--engine", "auto", "--out", join(folder, "auto"));
  assert.equal(status, 0, stderr);
  assert.match(stderr, /engine tensorflow: library in /);
  assert.match(stderr, /workers ready, .*TensorFlow 2\./);
});

/** Away from the checkout's own binding; a compiler takes long, so that what one test has built is there for the next. */
const alone = mkdtempSync(join(folder, "elsewhere-"));
const target = join(alone, "engine");

test("a second call of `tensorflow` builds nothing; a damaged binding is built again", options, async () => {
  const prepare = async () => {
    const { status, stdout, stderr } = await trm("tensorflow", "--folder", target, "--tf-lib", libraryFolder, "--json");
    assert.equal(status, 0, stderr);
    return lastObject(stdout);
  };
  const binding = join(target, BINDING_FILE);
  const built = await prepare();
  assert.deepEqual(built.did, ["built the binding (there is none)"]);
  assert.match(built.version, /^2\./);
  const record = JSON.parse(readFileSync(join(target, "binding.json"), "utf8"));
  assert.equal(record.library.bytes, statSync(join(libraryFolder, "libtensorflow_cc.so.2")).size);

  const { ino, mtimeMs } = statSync(binding);
  const again = await prepare();
  assert.ok(again.gflops > 2 && built.gflops > 2, `${built.gflops} and ${again.gflops} GFLOP/s`);
  assert.deepEqual([again.did, again.kept], [[], ["library (--tf-lib)", "binding"]]);
  assert.deepEqual([statSync(binding).ino, statSync(binding).mtimeMs], [ino, mtimeMs]);
  assert.ok(again.seconds < built.seconds, `${again.seconds} s for nothing, ${built.seconds} s for a build`);

  truncateSync(binding, 1000);
  assert.deepEqual((await prepare()).did, ["built the binding (the one there has changed)"]);
});

test(
  "a binding built into another folder is found by --tf-lib and by TRM_TENSORFLOW, by workers too, and the command says so",
  options,
  async () => {
    const made = await trm("tensorflow", "--folder", target, "--tf-lib", libraryFolder);
    assert.equal(made.status, 0, made.stderr);
    assert.ok(
      made.stdout.includes(`other commands find it with --tf-lib ${target}, or with TRM_TENSORFLOW=${target} in their environment`),
    );
    copyFileSync(BUNDLE, join(alone, "trm.mjs"));
    const run = (environment: Record<string, string>, ...args: string[]) =>
      spawnSync(process.execPath, [join(alone, "trm.mjs"), ...args], {
        cwd: alone,
        encoding: "utf8",
        env: { ...process.env, TRM_TENSORFLOW: "", ...environment },
      });
    const found = { binding: join(target, BINDING_FILE), libraryFolder };
    for (const [environment, args] of [
      [{}, ["--tf-lib", "engine"]],
      [{ TRM_TENSORFLOW: target }, []],
    ] as const) {
      // biome-ignore format: a table
      const { tensorflow } = lastObject(run(environment, "doctor", "--json", ...args).stdout).engines;
      assert.equal(tensorflow.works, true, tensorflow.why);
      assert.deepEqual(
        {
          binding: tensorflow.binding,
          libraryFolder: tensorflow.libraryFolder,
        },
        found,
      );
      const trained = run(environment, "pretrain", ...TINY, "--engine", "tensorflow", ...args, "--out", join(alone, "out"));
      assert.equal(trained.status, 0, trained.stderr);
    }
    assert.equal(lastObject(run({}, "doctor", "--json").stdout).engines.tensorflow.works, false);
  },
);

/** Seconds that a run of one compiled step trains, a toy model's: it is quick to compile. @throws where it did not run compiled, or warned of something */
async function firstStep(...args: string[]): Promise<number> {
  const { args: toy } = await runArguments("compiled", "300s");
  const compiled = "--engine tensorflow --compile xla --steps 1 --limit 1 --workers 1 --json".split(" ");
  const ended = await trm(...toy, ...compiled, ...args);
  const { seconds, steps, engineDescription } = lastLine(ended) as { seconds: { adapt: number }; steps: number; engineDescription: string };
  assert.equal(steps, 1);
  assert.match(engineDescription, /, compiled \(XLA\), float32$/);
  assert.doesNotMatch(ended.stderr, /(warning|error): (?!no GPU is visible)/);
  return seconds.adapt;
}

/** Entries of a cache, without the files of checksums beside them. */
const entriesOf = (cache: string): string[] =>
  readdirSync(cache).flatMap((key) =>
    readdirSync(join(cache, key)).flatMap((name) => (name.endsWith(".sha256") ? [] : [join(cache, key, name)])),
  );

test("what XLA compiled is there for the next process: the user's cache folder, unless another is named", options, async (t) => {
  const cache = join(folder, "cache", "trm", "xla");
  rmSync(cache, { recursive: true, force: true });
  const cold = await firstStep();
  const kept = entriesOf(cache);
  assert.equal(kept.length, 3); // training step, evaluation step, read-out
  const written = kept.map((path) => statSync(path).ino);
  let warm = await firstStep();
  for (let tries = 0; tries < 2 && warm >= cold; tries++) warm = await firstStep(); // others may want the processor too
  t.diagnostic(`first step ${cold.toFixed(1)} s, with the cache ${warm.toFixed(1)} s`);
  assert.ok(warm < cold, `${warm} s with the cache, ${cold} s without`);
  const there = entriesOf(cache).map((path) => statSync(path).ino);
  assert.deepEqual(there, written, "compiled again");
  await firstStep("--xla-cache", "off");
});

test("a damaged cache costs compiling again: cut short, emptied, other bytes, damaged while a process runs", options, async () => {
  const cache = mkdtempSync(join(folder, "cache-"));
  await firstStep("--xla-cache", cache);
  const sizes = entriesOf(cache).map((path) => statSync(path).size);
  const damages: ((path: string) => void)[] = [
    (path) => truncateSync(path, 1000),
    (path) => truncateSync(path, 0),
    (path) => {
      const bytes = readFileSync(path);
      for (let at = 97; at < bytes.length; at += 1009) bytes[at]! ^= 255;
      writeFileSync(path, bytes);
    },
  ];
  const runsAgain = async (): Promise<void> => {
    await firstStep("--xla-cache", cache);
    assert.equal(entriesOf(cache).length, sizes.length);
    for (const [at, path] of entriesOf(cache).entries()) {
      assert.ok(statSync(path).size > 0.9 * sizes[at]!, `${path}: ${statSync(path).size} bytes, ${sizes[at]} at first`); // some bytes differ each time
      assert.equal(readFileSync(`${path}.sha256`, "utf8"), createHash("sha256").update(readFileSync(path)).digest("hex"));
    }
  };
  assert.equal(sizes.length, damages.length); // one for each
  for (const [at, path] of entriesOf(cache).entries()) damages[at]!(path);
  await runsAgain();
  // Sealed as it is now: as if it had happened after the parent looked.
  for (const path of entriesOf(cache)) {
    truncateSync(path, 0);
    writeFileSync(`${path}.sha256`, createHash("sha256").digest("hex"));
  }
  await runsAgain();
});

test("a cache folder that can't be written to costs a warning", options, async () => {
  const { status, stdout, stderr } = await trm(
    "bench",
    "--compile",
    "xla",
    "--steps",
    "1",
    "--json",
    "--xla-cache",
    "/proc/no-such-folder",
  );
  assert.equal(status, 0, stderr);
  assert.deepEqual(lastObject(stdout).warnings, []);
  assert.match(stderr, /^what XLA compiles is not kept for later runs \(\/proc\/no-such-folder: /);
});

test("without a binding, tensorflow by name is refused in one message, and auto takes wasm and says so", async () => {
  const alone = mkdtempSync(join(folder, "alone-"));
  const bundle = join(alone, "trm.mjs");
  copyFileSync(BUNDLE, bundle);
  const run = (engine: string) =>
    spawnSync(process.execPath, [bundle, "pretrain", ...TINY, "--engine", engine, "--out", join(alone, "out")], {
      cwd: alone,
      encoding: "utf8",
      env: { ...process.env, TRM_TENSORFLOW: "" },
    });
  const refused = run("tensorflow");
  assert.equal(refused.status, 1);
  const problem = refused.stderr.split("\n").filter((line) => line.includes("--engine tensorflow"));
  assert.equal(problem.length, 1, refused.stderr);
  assert.match(
    problem[0]!,
    /^--engine tensorflow: no tfjs_binding\.node \(looked at: .*\).*; run `npm run tensorflow` or pass --engine wasm$/,
  );
  assert.doesNotMatch(refused.stderr, /\n\s+at /);

  const auto = run("auto");
  assert.equal(auto.status, 0, auto.stderr);
  assert.match(auto.stderr, /engine wasm: TensorFlow is not at hand \(`npm run tensorflow` gets it/);
});

test("--tf-lib names the library, and one that is none is refused", options, async () => {
  assert.ok(isLibraryFolder(libraryFolder));
  const { stdout } = await trm("doctor", "--json", "--tf-lib", libraryFolder);
  assert.equal(lastObject(stdout).engines.tensorflow.libraryFolder, libraryFolder);
  const other = lastObject((await trm("doctor", "--json", "--tf-lib", folder)).stdout);
  assert.match(other.engines.tensorflow.why, /no TensorFlow library \(looked for libtensorflow_cc\.so\.2 in: /);
  assert.equal(other.engine, "wasm");
});
