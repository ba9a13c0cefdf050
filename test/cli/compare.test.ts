import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { folder, lastLine, SAMPLE, SAMPLE_SOLUTIONS, toyCheckpoint, trm } from "./toy.ts";

function withoutTimes(summary: { arms: readonly object[] }): unknown {
  return { ...summary, arms: summary.arms.map((arm) => ({ ...arm, seconds: 0 })) };
}

test("compare makes every run once, goes on where it was cut off, and ranks the arms", async () => {
  const out = join(folder, "compared");
  const common = [
    "--challenges",
    SAMPLE,
    "--solutions",
    SAMPLE_SOLUTIONS,
    "--checkpoint",
    await toyCheckpoint(),
    "--out",
    out,
    "--limit",
    "3",
  ];
  const options = "--methods full,none --seeds 1 --steps 1 --leave-out 1 --json".split(" ");
  const ofRuns = "-- --engine wasm --workers 1 --batch-size 4 --train-variants 2 --vote-variants 2 --canvas 8".split(" ");
  const first = await trm("compare", ...common, ...options, ...ofRuns);
  const summary = lastLine(first) as unknown as {
    tasks: number;
    arms: { name: string; seeds: string[]; steps: number; leftOut?: unknown }[];
  };
  assert.equal(summary.tasks, 3);
  assert.deepEqual(
    summary.arms.map(({ name, seeds, steps }) => [name, seeds, steps]),
    [
      ["full", ["0"], 1],
      ["none", ["0"], 0],
    ],
  );
  assert.ok(summary.arms.every(({ leftOut }) => leftOut !== undefined));
  assert.deepEqual(JSON.parse(readFileSync(join(out, "comparison.json"), "utf8")), summary);
  for (const name of ["comparison.csv", "comparison.svg"]) assert.ok(statSync(join(out, name)).size > 100, name);

  // Cut off: one result is damaged. It is made anew, the other is not.
  const result = (arm: string): string => join(out, arm, "seed-0", "result.json");
  const kept = statSync(result("0-full")).mtimeMs;
  writeFileSync(result("1-none"), "{");
  const { stderr, stdout } = await trm("compare", ...common, ...options, ...ofRuns);
  assert.equal([...stderr.matchAll(/made already/g)].length, 1, stderr);
  assert.equal(statSync(result("0-full")).mtimeMs, kept);
  assert.deepEqual(
    withoutTimes(JSON.parse(stdout.trimEnd().split("\n").at(-1)!)),
    withoutTimes(summary),
    "the same seeds give the same answers",
  );

  // Other options are other runs.
  const other = await trm("compare", ...common, ...options.with(5, "2"), ...ofRuns, "--halting-pairs", "held-out"); // --leave-out is compare's own
  assert.equal(other.status, 0, other.stderr);
  assert.equal([...other.stderr.matchAll(/made already/g)].length, 0);
  // By the clock: each run has the budget, and plans with it.
  const clocked = await trm(
    "compare",
    ...common.with(7, `${out}-clocked`),
    ..."--methods none --seeds 1 --budget 77s --json".split(" "),
    ...ofRuns,
  );
  assert.equal(clocked.status, 0, clocked.stderr);
  const { settings: _, ...config } = JSON.parse(readFileSync(join(`${out}-clocked`, "0-none", "seed-0", "config.json"), "utf8"));
  assert.equal(config.arguments.budget, "77s");
  assert.match((await trm("compare", ...common, "--methods", "full", "--json")).stderr, /the same --budget, or the same number of --steps/);
});
