/** `--compile`, `--precision` and the threads of several workers, through real processes on the TensorFlow engine. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chooseEngine, workerEnvironment } from "../../src/backend/choose.ts";
import { locateTensorFlow } from "../../src/backend/locate-tensorflow.ts";
import { startEngine } from "../../src/backend/select.ts";
import { hasOwnKernel } from "../../src/model/own-kernel.ts";
import { assertValid, childrenOf, lastLine, runArguments, start, trm } from "./toy.ts";

const search = locateTensorFlow();
const missing = search.found ? false : `no ${search.missing.join("; no ")}; \`npm run tensorflow\` gets it`;
const skip = process.env.TRM_REQUIRE_TENSORFLOW !== "1" && missing;
const { TRM_TEST_THREADS: askedForThreads, NODE_TEST_CONTEXT: _, ...ENVIRONMENT } = process.env;

/** Threads of this process once the engine has run its first kernels; the file started again says so of itself. */
async function tellThreads(): Promise<void> {
  await startEngine("tensorflow");
  console.log(JSON.stringify({ threads: readdirSync("/proc/self/task").length, own: hasOwnKernel("Gate") }));
}

async function threadsWith(count: number, kernels: "off" | "avx2"): Promise<{ threads: number; own: boolean }> {
  const engine = workerEnvironment(chooseEngine("tensorflow"), count);
  const env = { ...ENVIRONMENT, ...engine, TRM_NATIVE_KERNELS: kernels, TRM_TEST_THREADS: "1" };
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url)], { env });
  return JSON.parse(stdout.split("\n").find((line) => line.startsWith("{"))!);
}

function bench(...options: string[]) {
  return trm("bench", "--preset", "S", "--steps", "1", "--json", ...options);
}

if (askedForThreads !== undefined) await tellThreads();
else {
  const MODES: [string[], boolean, RegExp][] = [
    [["--compile", "graph", "--precision", "bf16"], true, /^compiled \(TensorFlow graph\), bf16 products$/],
    [["--compile", "xla", "--precision", "float32"], true, /^compiled \(XLA\), float32$/],
    [["--compile", "xla", "--precision", "bf16", "--attention", "composed"], true, /^compiled \(XLA\), bf16 products$/],
    [["--no-compile"], false, /^op by op, float32$/],
  ];
  for (const [options, compiled, running] of MODES) {
    test(`bench ${options.join(" ")} runs its steps so, and says so`, { skip }, async () => {
      const report = lastLine(await bench("--engine", "tensorflow", ...options));
      assert.deepEqual([report.engine, report.compiled, report.warnings], ["tensorflow", compiled, []]);
      assert.match(report.running as string, running);
      assert.ok((report.secondsPerTrainStep as { median: number }).median > 0);
    });
  }

  test("attention by cuDNN that was asked for where it can't be is composed, with a warning", { skip }, async () => {
    const report = lastLine(await bench("--engine", "tensorflow", "--attention", "fused"));
    assert.match(report.running as string, /float32$/);
    assert.deepEqual(report.warnings, ["--attention fused: the engine computes on the CPU; attention is composed"]);
  });

  test("what an engine can't do is refused in one message that says what else to pass", { skip }, async () => {
    const refused: [string[], RegExp][] = [
      [["--engine", "wasm", "--compile", "xla"], /--compile xla: the wasm engine runs op by op; pass --engine tensorflow/],
      [["--engine", "wasm", "--precision", "bf16"], /--precision bf16: the wasm engine computes in float32; pass --engine tensorflow/],
      [
        ["--engine", "tensorflow", "--compile", "off", "--precision", "bf16"],
        /--precision bf16 needs compiled steps; leave --compile off out/,
      ],
      [["--engine", "wasm", "--attention", "fused"], /--attention fused: the wasm engine has no cuDNN; pass --engine tensorflow/],
      [["--engine", "tensorflow", "--compile", "graph", "--attention", "fused"], /--attention fused needs XLA; leave --compile graph out/],
      [
        ["--engine", "tensorflow", "--precision", "float32", "--attention", "fused"],
        /--attention fused computes in bf16; leave --precision float32 out/,
      ],
      [["--engine", "tensorflow", "--compile", "fast"], /compile, Given: "fast", Choices: "auto", "xla", "graph", "off"/],
    ];
    for (const [options, message] of refused) {
      const { status, stdout, stderr } = await bench(...options);
      assert.equal(status, 1, `${options.join(" ")}: ${stderr}`);
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /\n\s+at |internal:/);
      assert.equal(stdout, "");
    }
  });

  test("a run reports compiled steps, and its four workers share the cores", { skip }, async (t) => {
    const { args, out } = await runArguments("shared", "300s");
    const options = ["--engine", "tensorflow", "--compile", "graph", "--workers", "4", "--steps", "3", "--limit", "2", "--json"];
    const running = start(...args, ...options);
    await running.said(/workers ready/);
    const workers = childrenOf(running.child.pid!);
    const environments = workers.map((pid) => readFileSync(`/proc/${pid}/environ`, "utf8").split("\0"));
    const result = lastLine(await running.ended);
    assert.equal(result.workers, 4);
    assert.equal(result.engine, "tensorflow");
    assert.match(result.engineDescription as string, /TensorFlow 2\..*, compiled \(TensorFlow graph\), float32$/);
    assert.equal(result.steps, 3);
    await assertValid(out);
    const threads = Math.max(1, Math.floor(availableParallelism() / 4));
    t.diagnostic(`${availableParallelism()} cores, 4 workers, ${threads} threads each`);
    assert.equal(workers.length, 4);
    for (const environment of environments) {
      for (const name of ["TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"])
        assert.deepEqual(
          environment.filter((line) => line.startsWith(`${name}=`)),
          [`${name}=${threads}`],
        );
    }
  });

  test("our own kernels have as many threads as TensorFlow was given, the calling one included", { skip }, async (t) => {
    for (const count of [1, 3]) {
      const [without, withOwn] = [await threadsWith(count, "off"), await threadsWith(count, "avx2")];
      if (!withOwn.own) return t.skip("the processor has no AVX2");
      assert.equal(without.own, false);
      assert.equal(withOwn.threads - without.threads, count - 1, `${withOwn.threads} and ${without.threads} threads`);
    }
  });
}
