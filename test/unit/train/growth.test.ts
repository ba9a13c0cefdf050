/** Whether training and predicting go on without taking more and more memory, in a process of their own on each engine. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { chooseEngine, workerEnvironment } from "../../../src/backend/choose.ts";
import { locateTensorFlow } from "../../../src/backend/locate-tensorflow.ts";
import { type EngineName, startEngine } from "../../../src/backend/select.ts";
import type { ModelConfig } from "../../../src/model/config.ts";
import { initTrunk } from "../../../src/model/init.ts";
import { PuzzleEmbedding } from "../../../src/model/puzzle-embedding.ts";
import { ADAM_ATAN2_DEFAULTS } from "../../../src/optim/adam-atan2.ts";
import { createRandom } from "../../../src/random.ts";
import { type CompileMode, stepRunner } from "../../../src/trace/compilation.ts";
import { Replica } from "../../../src/train/replica.ts";
import { RATES, TINY } from "./tiny-replica.ts";

/** Optimizer steps: for warming up, and those over which nothing may grow. */
const [WARM, WATCHED] = [100, 200];
/** Steps between two looks at the memory. */
const EVERY = 20;
/** Share by which resident memory may grow. */
const LIMIT = 0.05;

/** Wide enough that the states of one step, once kept, are some 100 KB. */
const MODEL: ModelConfig = { ...TINY, hiddenSize: 64, numHeads: 4, puzzleEmbeddingSize: 64 };
const TOKENS = 49;
const BATCH = 8;

interface Look {
  readonly step: number;
  /** tensors that tfjs knows of, and those that TensorFlow holds for it */
  readonly tensors: number;
  readonly nativeTensors: number;
  readonly residentBytes: number;
}

/** Trains and predicts; each look at the memory comes between steps, after the garbage was collected. */
async function trainAndLook(engine: EngineName, compile: CompileMode): Promise<Look[]> {
  await startEngine(engine);
  const native = tf.backend() as unknown as { getNumOfTFTensors?(): number; getNumOfSavedModels?(): number };
  const held = (): number[] => [tf.memory().numTensors, native.getNumOfTFTensors?.() ?? 0, native.getNumOfSavedModels?.() ?? 0];
  const heldBefore = held();
  const { makeReady, compiled } = stepRunner(engine, { compile, precision: "float32" }, (sentence) => {
    throw new Error(sentence);
  });
  assert.equal(compiled, engine === "tensorflow" && compile !== "off");
  const random = createRandom("growth");
  const replica = new Replica(
    {
      model: MODEL,
      positions: Int32Array.from({ length: MODEL.prefixLength + TOKENS }, (_, i) => i),
      globalBatch: BATCH,
      microBatch: BATCH,
      adam: ADAM_ATAN2_DEFAULTS,
      puzzleWeightDecay: 0.1,
      explorationProbability: 0.1,
      haltMaxSteps: MODEL.haltMaxSteps,
      makeReady,
    },
    initTrunk(MODEL, createRandom("trunk")),
    new PuzzleEmbedding(MODEL.puzzleEmbeddingSize, (_, out) => out.fill(0.1)),
    random,
  );
  const draw = (): Int32Array => Int32Array.from({ length: TOKENS }, () => random.int(2, 11));
  const example = () => ({ inputs: draw(), labels: draw(), puzzleId: random.int(1, 20) });
  const looks: Look[] = [];
  for (let step = 1; step <= WARM + WATCHED; step++) {
    await replica.trainStep(example, { ...RATES, frozen: step % 10 === 0 });
    if (step % 10 === 5) await replica.predict(Array.from({ length: BATCH + 4 }, example), { actSteps: 2, stopAtHalt: step % 20 === 5 });
    if (step < WARM || step % EVERY !== 0) continue;
    globalThis.gc!();
    const [tensors, nativeTensors] = held() as [number, number, number];
    looks.push({ step, tensors, nativeTensors, residentBytes: process.memoryUsage.rss() });
  }
  assert.equal(held()[2]! > 0, compiled, "steps are compiled");
  replica.dispose();
  assert.deepEqual(held(), heldBefore, "what the replica took was freed");
  return looks;
}

/** What the process that watches itself is asked for, by the one that started it. */
const ASKED = process.env.TRM_TEST_GROWTH;
if (ASKED !== undefined) {
  const [engine, compile] = ASKED.split(" ") as [EngineName, CompileMode];
  console.log(JSON.stringify(await trainAndLook(engine, compile)));
} else {
  const search = locateTensorFlow();
  const missing = search.found ? false : `no ${search.missing.join("; no ")}; \`npm run tensorflow\` gets it`;
  if (missing) console.log(`skipped on TensorFlow: ${missing}`);
  const cases = [
    ["wasm", "off"],
    ["tensorflow", "graph"],
    ["tensorflow", "xla"],
  ] as const;
  for (const [engine, compile] of cases) {
    const skip = engine === "tensorflow" && process.env.TRM_REQUIRE_TENSORFLOW !== "1" && missing;
    test(`${WATCHED} training steps with predictions between them leave memory as it was: ${engine}, compile ${compile}`, {
      skip,
    }, async (t) => {
      const environment = { ...process.env, ...workerEnvironment(chooseEngine(engine)), TRM_TEST_GROWTH: `${engine} ${compile}` };
      const { NODE_TEST_CONTEXT: _, ...env } = environment as NodeJS.ProcessEnv;
      const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", fileURLToPath(import.meta.url)], { env });
      const looks = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as Look[];
      assert.equal(looks.length, 1 + WATCHED / EVERY);
      const [first, last] = [looks[0]!, looks.at(-1)!];
      const megabytes = looks.map(({ residentBytes }) => Math.round(residentBytes / 2 ** 20));
      t.diagnostic(`tensors ${last.tensors}, resident MiB ${megabytes.join(" ")}`);
      for (const { step, tensors, nativeTensors } of looks) {
        assert.deepEqual([tensors, nativeTensors], [first.tensors, first.nativeTensors], `tensors after step ${step}`);
      }
      // A look may come when the system has just taken pages away, or before the collector has given some back; a leak is in all of the last ones.
      const bytes = looks.map(({ residentBytes }) => residentBytes);
      const growth = Math.min(...bytes.slice(-3)) / Math.max(...bytes.slice(0, 3)) - 1;
      assert.ok(growth <= LIMIT, `resident memory grew by ${(100 * growth).toFixed(1)} %: ${megabytes.join(" ")} MiB`);
    });
  }
}
