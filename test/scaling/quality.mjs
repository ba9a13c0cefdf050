/**
 * Where one model for all tasks beats a model a shard: `node test/scaling/quality.mjs --out DIR [--shards 1,2,4] [--seeds 3] [--steps 400]
 * [--equal compute|time] [--tasks 40] [--checkpoint DIR] [--workers 1] [-- options of run]`, on generated tasks with scenes that training leaves out.
 *
 * `compute`: all shards together take as many optimizer steps of the same batch as the one run. `time`: each takes as many as the one run, as on that many
 * machines. Runs that DIR holds are not made again. The last columns are against the first number of shards, paired by test input, with the standard
 * error over test inputs.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { counts, mean, standardError, table, trm } from "./trm.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: "string" },
    shards: { type: "string", default: "1,2,4" },
    seeds: { type: "string", default: "3" },
    steps: { type: "string", default: "400" },
    equal: { type: "string", default: "compute" },
    tasks: { type: "string", default: "40" },
    checkpoint: { type: "string", default: "checkpoints/sample" },
    workers: { type: "string", default: "1" },
  },
});
if (!values.out) throw new Error("--out DIR must be given: runs are kept there");
if (!["compute", "time"].includes(values.equal)) throw new Error(`--equal ${values.equal}: expected compute or time`);
const steps = Number(values.steps);
mkdirSync(values.out, { recursive: true });
const [challenges, solutions] = ["challenges.json", "solutions.json"].map((name) => join(values.out, name));
await trm("generate", "--unseen", "--tasks", values.tasks, "--seed", "scaling", "--out", challenges, "--solutions", solutions);
const truth = JSON.parse(readFileSync(solutions, "utf8"));

/** For each test input, whether one of two attempts solves it, with so many shards. */
async function solvedBy(shards, seed) {
  const each = values.equal === "compute" ? Math.round(steps / shards) : steps;
  const folder = join(values.out, `${shards}-shards-${each}-steps-seed-${seed}`);
  const merged = join(folder, "submission.json");
  if (!existsSync(merged)) {
    const parts = [];
    for (let i = 0; i < shards; i++) {
      const out = join(folder, `${i}`, "submission.json");
      const common = [
        "--preset",
        "demo",
        "--engine",
        "wasm",
        "--challenges",
        challenges,
        "--checkpoint",
        values.checkpoint,
        "--budget",
        "12h",
      ];
      await trm(
        "run",
        ...common,
        "--workers",
        values.workers,
        "--steps",
        each,
        "--seed",
        seed,
        "--shard",
        `${i}/${shards}`,
        "--out",
        out,
        ...positionals,
      );
      parts.push(join(folder, `${i}`, "candidates.json"));
    }
    await trm("merge", ...parts, "--expect", shards, "--challenges", challenges, "--out", merged);
  }
  const answers = JSON.parse(readFileSync(merged, "utf8"));
  return Object.entries(truth).flatMap(([id, tests]) =>
    tests.map((output, i) => Number(Object.values(answers[id][i]).some((attempt) => JSON.stringify(attempt) === JSON.stringify(output)))),
  );
}

const seeds = Array.from({ length: Number(values.seeds) }, (_, seed) => seed);
const rows = [["shards", "steps of each", "pass@2 by seed", "mean", "against the first", "standard error"]];
let first;
for (const shards of counts("shards", values.shards)) {
  const bySeed = [];
  for (const seed of seeds) {
    bySeed.push(await solvedBy(shards, seed));
    console.error(`${shards} shards, seed ${seed}: pass@2 ${(100 * mean(bySeed.at(-1))).toFixed(1)} %`);
  }
  // The seeds of a test input are no cases of their own: their mean is one.
  const byInput = bySeed[0].map((_, input) => mean(bySeed.map((solved) => solved[input])));
  first ??= byInput;
  const gained = byInput.map((share, input) => share - first[input]);
  const percent = (share) => (100 * share).toFixed(1);
  const each = values.equal === "compute" ? Math.round(steps / shards) : steps;
  const against = byInput === first ? ["", ""] : [`${percent(mean(gained))} %`, percent(standardError(gained))];
  rows.push([shards, each, bySeed.map((solved) => percent(mean(solved))).join(", "), `${percent(mean(byInput))} %`, ...against]);
}
const text = table(rows);
writeFileSync(join(values.out, "quality.md"), `${text}\n`);
console.log(text);
console.log(`\n${Object.values(truth).flat().length} test inputs of ${values.tasks} tasks, equal ${values.equal}, ${seeds.length} seeds.`);
