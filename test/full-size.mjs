/**
 * A few steps of the full-size model (hidden 512, canvas 30, 1000 variants of each task) on this machine's TensorFlow engine, from random weights, and what a
 * worker takes of memory at most: `node test/full-size.mjs --challenges F [--batch-size N] [--steps N] [--workers N] [--budget 15m] [--limit-gb 6]`.
 *
 * The log of the run shows each worker's peak as it goes. What it predicts in the time left is worth nothing: the weights are random.
 * The run plans time for a prediction of each test input first, and ends as soon as steps and predictions are done.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const BUNDLE = resolve("submission/trm.mjs");
const VARIANTS = 1000;
const { values } = parseArgs({
  options: {
    challenges: { type: "string" },
    "batch-size": { type: "string", default: "4" },
    steps: { type: "string", default: "5" },
    workers: { type: "string", default: "1" },
    budget: { type: "string", default: "15m" },
    "limit-gb": { type: "string", default: "6" },
  },
});
if (values.challenges === undefined)
  throw new Error("--challenges must be given: a Kaggle challenges file, such as that of the public evaluation set");
const limitBytes = Number(values["limit-gb"]) * 1e9;
if (!(limitBytes > 0)) throw new Error(`--limit-gb ${values["limit-gb"]}: expected a number above 0`);

const folder = mkdtempSync(join(tmpdir(), "trm-full-size-"));
try {
  const checkpoint = join(folder, "checkpoint");
  const shape = [
    "--hidden-size",
    "512",
    "--num-heads",
    "8",
    "--canvas",
    "30",
    "--h-cycles",
    "3",
    "--l-cycles",
    "4",
    "--halt-max-steps",
    "16",
  ];
  await trm(
    "pretrain",
    ...shape,
    "--batch-size",
    "1",
    "--rules-per-kind",
    "1",
    "--steps",
    "1",
    "--engine",
    "tensorflow",
    "--out",
    checkpoint,
  );
  const { steps, testInputs, workerRssBytes, seconds, engine } = await trm(
    ...["run", "--challenges", values.challenges, "--checkpoint", checkpoint, "--engine", "tensorflow", "--canvas", "30"],
    ...["--train-variants", String(VARIANTS), "--batch-size", values["batch-size"], "--steps", values.steps, "--workers", values.workers],
    ...["--vote-variants", "1", "--halt-max-steps-eval", "1", "--budget", values.budget, "--out", join(folder, "submission.json")],
  );
  if (steps < 1) throw new Error(`no optimizer step was done within ${values.budget}; raise --budget`);
  const peak = Math.max(...workerRssBytes);
  console.log(
    `${engine}: ${steps} optimizer steps of ${values["batch-size"]} rows in ${seconds.adapt.toFixed(0)} s, ${testInputs} test inputs; ` +
      `peak memory per worker ${workerRssBytes.map((bytes) => `${(bytes / 1e9).toFixed(2)} GB`).join(", ")} (${limitBytes / 1e9} GB allowed)`,
  );
  process.exitCode = peak < limitBytes ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Runs a command, its log shown. @returns the object that it ends with. @throws Error where it fails */
function trm(...args) {
  const child = spawn(process.execPath, [BUNDLE, ...args, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TMPDIR: folder },
  });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  return new Promise((done, fail) => {
    child.on("close", (code, signal) => {
      if (code !== 0) return fail(new Error(`trm ${args[0]} ended with ${signal ?? `status ${code}`}`));
      done(JSON.parse(stdout.trimEnd().split("\n").at(-1)));
    });
  });
}
