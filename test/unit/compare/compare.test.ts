import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ArmRun, armsOf, runsOf } from "../../../src/compare/arms.ts";
import { difference, estimate } from "../../../src/compare/bootstrap.ts";
import { comparisonPlot } from "../../../src/compare/plot.ts";
import { type Outcome, summarize } from "../../../src/compare/summary.ts";
import { comparisonCsv, comparisonTable } from "../../../src/compare/table.ts";
import { createRandom } from "../../../src/random.ts";

const anyValues = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 12 }))
  .chain(([S, T]) =>
    fc.array(fc.array(fc.constantFrom<number>(0, 0.5, 1), { minLength: T, maxLength: T }), { minLength: S, maxLength: S }),
  );

test("an estimate is the mean, lies in its interval, and the interval within the values", () => {
  fc.assert(
    fc.property(anyValues, fc.integer(), (values, seed) => {
      const { mean, standardError, low, high } = estimate(values, createRandom(seed));
      const all = values.flat();
      const expected = all.reduce((sum, value) => sum + value, 0) / all.length;
      assert.ok(Math.abs(mean - expected) < 1e-12);
      assert.ok(low <= mean + 1e-9 && mean <= high + 1e-9);
      assert.ok(low >= Math.min(...all) && high <= Math.max(...all));
      assert.equal(standardError === undefined, values.length === 1, "one seed tells no error");
    }),
    { numRuns: 30 },
  );
});

test("the interval of a share is as wide as the binomial law says, and the error of seeds is that of their means", () => {
  const values = [Array.from({ length: 400 }, (_, i) => (i % 10 === 0 ? 1 : 0))]; // 10 % of 400 tasks: +- 1.96 * 1.5 %
  const { low, high } = estimate(values, createRandom(1));
  assert.ok(Math.abs(low - (0.1 - 0.0294)) < 0.005 && Math.abs(high - (0.1 + 0.0294)) < 0.005, `${low} .. ${high}`);
  const { standardError } = estimate([[0.1], [0.2], [0.3]], createRandom(1));
  assert.ok(Math.abs(standardError! - 0.1 / Math.sqrt(3)) < 1e-12);
});

test("a difference is one of pairs: an arm that is always better by the same has an interval of no width", () => {
  const a = [
    [1, 0.5, 0.75],
    [0.5, 1, 0.25],
  ];
  const better = a.map((row) => row.map((value) => value - 0.25));
  assert.deepEqual(difference(a, better, createRandom(2)), { mean: 0.25, standardError: 0, low: 0.25, high: 0.25 });
});

test("arms are methods times starts, and those written out; scratch has one start", () => {
  const arms = armsOf(["full", "scratch"], ["mean", "normal"], ["slow: --method full --lr-trunk 1e-5"]);
  assert.deepEqual(
    arms.map(({ name }) => name),
    ["full, mean start", "full, normal start", "scratch", "slow"],
  );
  assert.deepEqual(arms[1]!.options, ["--method", "full", "--start", "normal"]);
  assert.deepEqual(arms[3]!.options, ["--method", "full", "--lr-trunk", "1e-5"]);
  const searched = armsOf(["latent-search", "lora", "factored"], ["mean", "normal"], []).map(({ options }) => options.join(" "));
  assert.deepEqual(searched, [
    "--method latent-search", // has starts of its own
    "--method lora --start mean",
    "--method lora --start normal",
    "--method full --embedding factored --start mean",
    "--method full --embedding factored --start normal",
  ]);
  assert.throws(() => armsOf(["best"], ["mean"], []), /--methods best: expected some of full, embeddings/);
  assert.throws(() => armsOf(["full"], ["mean"], ["full: --steps 3"]), /two arms are called "full"/);
  assert.throws(() => armsOf([], ["mean"], ["nothing"]), /expected a name and options/);
  assert.throws(() => armsOf([], ["mean"], []), /nothing to compare/);
  const folders = runsOf(arms, ["0", "1"]).map(({ folder }) => folder);
  assert.equal(new Set(folders).size, 8);
});

/** Three tasks; `right` of them solved. */
function outcome(right: readonly number[], loss: number): Outcome {
  return {
    steps: 10,
    seconds: 5,
    tasks: { "pass@1": right.map(() => 0), "pass@2": right, oracle: right.map(() => 1) },
    leftOut: { exact: 0.5, lmLoss: loss },
  };
}

test("a summary sets every arm against the first, on the seeds that both have; table, CSV and picture show it", () => {
  const arms = armsOf(["full", "none"], ["mean"], ["<b>&: --steps 3"]);
  const runs: ArmRun[] = runsOf(arms, ["0", "1"]);
  const right: Record<string, number[]> = { full: [1, 1, 0], none: [0, 1, 0], "<b>&": [1, 1, 0] };
  const outcomes = runs.slice(0, 5).map((run) => ({ run, outcome: outcome(right[run.arm.name]!, 0.25) }));
  const summary = summarize(outcomes, "0");
  assert.equal(summary.tasks, 3);
  const [full, none, third] = summary.arms;
  assert.equal(full!.differences, undefined);
  assert.ok(Math.abs(none!.differences!["pass@2"].mean + 1 / 3) < 1e-12);
  assert.deepEqual([full!.seeds.length, third!.seeds.length], [2, 1]);
  assert.equal(third!.differences!["pass@2"].mean, 0);
  const table = comparisonTable(summary);
  assert.match(table, /^full +2 +10 +0\.0 +66\.7 \+- 0\.0 /m);
  assert.match(table, /^none .* -33\.3 \+- 0\.0 .* 50\.0 \+- 0\.0 +0\.250 \+- 0\.000$/m);
  const csv = comparisonCsv(summary).trimEnd().split("\n");
  assert.equal(csv.length, 1 + 3 * 3 + 2 * 3 + 3 * 2);
  assert.ok(csv.every((line) => line.split(",").length === 7));
  assert.ok(csv.some((line) => line.startsWith("none,2,difference of pass@2,-0.333")));
  const svg = comparisonPlot(summary);
  assert.ok(svg.includes("&lt;b&gt;&amp;") && !svg.includes("<b>"));
  assert.equal([...svg.matchAll(/<circle [^>]*r="4.5"/g)].length, 9);
});
