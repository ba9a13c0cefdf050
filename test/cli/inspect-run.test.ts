/** What a training leaves behind of its learning, and what `inspect` makes of it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type LearningPoint, readLearning } from "../../src/metrics/learning-file.ts";
import { folder, lastLine, runArguments, SAMPLE, toyCheckpoint, trm } from "./toy.ts";

const STEPS = 6;

async function learned(name: string, ...options: string[]) {
  const { args } = await runArguments(name, "60s");
  const runDir = join(folder, name, "run");
  lastLine(await trm(...args, "--limit", "4", "--steps", String(STEPS), "--run-dir", runDir, "--json", ...options));
  return { runDir, ...readLearning(runDir) };
}
const samples = (points: readonly LearningPoint[]): number =>
  points.flatMap(({ tasks }) => Object.values(tasks)).reduce((sum, [count]) => sum + count, 0);

test("a run of two workers notes distances, cosines and every task; inspect prints and plots them", async () => {
  const { runDir, training, leftOut } = await learned("both", "--workers", "2", "--leave-out", "1", "--halt-max-steps", "1");
  const last = training.at(-1)!;
  assert.deepEqual([last.step, last.since], [STEPS, 0]);
  assert.ok(last.trunk.trunk!.distance > 0 && last.trunk["L_level.layers.0.mlp"]!.distance > 0);
  assert.ok(last.rows.count > 0 && last.rows.distance > 0);
  assert.equal(samples(training), 8 * STEPS, "with one ACT step every row of the batch finishes a sample in every step, on either worker");
  assert.deepEqual(
    leftOut.map(({ step, tasks }) => [step, Object.keys(tasks).length]),
    [
      [0, 4],
      [STEPS, 4],
    ],
  );
  const plot = join(folder, "learning.svg");
  const { status, stdout, stderr } = await trm("inspect", runDir, "--plot", plot);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^moved +Euclidean distance from the start/m);
  assert.match(stdout, /^tasks +4 tasks, those that fare worst first/m);
  assert.match(readFileSync(plot, "utf8"), /^<svg [\s\S]*<\/svg>\n$/);
  const { tasks } = lastLine(await trm("inspect", runDir, "--json")) as { tasks: { id: string; samples: number }[] };
  assert.equal(
    tasks.reduce((sum, each) => sum + each.samples, 0),
    8 * STEPS,
  );
  assert.match((await trm("inspect", runDir, "--since", runDir)).stderr, /--since: .* is the folder of a run; name a checkpoint's/);
});

test("where the trunk is frozen it is told not to have moved, and rows to have", async () => {
  const { training } = await learned("frozen", "--workers", "1", "--method", "embeddings");
  const last = training.at(-1)!;
  for (const { distance } of Object.values(last.trunk)) assert.equal(distance, 0);
  assert.ok(last.rows.distance > 0);
});

test("a pre-training notes real tasks, also where rows change theirs; a checkpoint is set beside the one it came from", async () => {
  const toy = await toyCheckpoint();
  const [out, runDir] = [join(folder, "later"), join(folder, "pretrain-run")];
  const rows = "--row-slots 8 --row-visits 2 --generated-share 0 --canvas 10 --no-translate --variants 1".split(" ");
  const { status, stderr } = await trm(
    ...[
      "pretrain",
      "--from",
      toy,
      "--tasks",
      SAMPLE,
      "--steps",
      "5",
      "--batch-size",
      "4",
      "--engine",
      "wasm",
      "--out",
      out,
      "--run-dir",
      runDir,
    ],
    ...rows,
  );
  assert.equal(status, 0, stderr);
  const { training } = readLearning(runDir);
  const ids = Object.keys(JSON.parse(readFileSync(SAMPLE, "utf8")) as object);
  const told = training.flatMap(({ tasks }) => Object.keys(tasks));
  assert.ok(told.length > 0 && told.every((id) => ids.includes(id)), told.join());
  const { checkpoint } = lastLine(await trm("inspect", out, "--since", toy, "--json")) as {
    checkpoint: { moved: { parts: LearningPoint["trunk"] } };
  };
  const { trunk } = checkpoint.moved.parts;
  assert.ok(Math.abs(trunk!.distance - training.at(-1)!.trunk.trunk!.distance) < 1e-5, "the same distance, from the written weights");
  assert.match((await trm("inspect", out, "--since", toy)).stdout, /^moved +from .*toy: Euclidean distance/m);
  const mistaken = await trm("inspect", out, "--plot", join(folder, "x.svg"));
  assert.match(mistaken.stderr, /--plot: .*later is not the folder of a run/);
});
