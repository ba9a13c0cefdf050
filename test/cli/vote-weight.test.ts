/** Votes that do not count 1 each: through workers, candidate files, a run taken up again, scores and the merging of files. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { folder, lastLine, runArguments, SAMPLE_SOLUTIONS, trm } from "./toy.ts";

type Answer = { grid: number[][]; votes: number; meanQ: number; weight?: number };
interface Candidates {
  readonly voteWeight?: string;
  readonly tasks: Record<string, Answer[][]>;
}
interface Result {
  readonly score: Record<string, number>;
  readonly voteWeights: Record<string, Record<string, number>>;
  readonly leftOut: { readonly step: number; readonly halting: { readonly slope: number; readonly offset: number } }[];
}
const LIGHT = ["--workers", "1", "--limit", "6", "--train-variants", "7", "--vote-variants", "8", "--halt-max-steps-eval", "4"];
const candidatesOf = (name: string): Candidates =>
  JSON.parse(readFileSync(join(folder, name, "run", "candidates.json"), "utf8")) as Candidates;
const answersOf = (name: string): Answer[] => Object.values(candidatesOf(name).tasks).flat(2);

async function run(name: string, ...options: string[]): Promise<Result> {
  const { args } = await runArguments(name, "60s");
  const runDir = ["--run-dir", join(folder, name, "run")];
  return lastLine(await trm(...args, ...LIGHT, ...runDir, "--json", ...options)) as unknown as Result;
}

let agreement: Result;
before(async () => {
  await run("halting", "--vote-weight", "halting", "--method", "none");
  agreement = await run("agreement", "--vote-weight", "agreement", "--method", "none", "--solutions", SAMPLE_SOLUTIONS);
});

test("a candidate file says how its votes are weighed, and what those of each answer weigh", async () => {
  assert.equal(candidatesOf("halting").voteWeight, "halting");
  for (const { votes, meanQ, weight } of answersOf("halting"))
    assert.ok(Math.abs(weight! - votes * meanQ) < 1e-9, "halting probabilities, added up");
  assert.equal(candidatesOf("agreement").voteWeight, "agreement");
  const inQuarters = answersOf("agreement").map(({ weight }) => 4 * weight!);
  assert.ok(
    inQuarters.every((quarters) => Number.isInteger(quarters) && quarters > 0),
    "shares of four ACT steps",
  );
  assert.ok(
    answersOf("agreement").some(({ votes, weight }) => weight! < votes),
    "some predictions changed on the way",
  );
  for (const list of Object.values(candidatesOf("agreement").tasks).flat()) {
    const weights = list.map(({ weight }) => weight!);
    assert.deepEqual(
      weights,
      weights.toSorted((a, b) => b - a),
    );
  }
});

test("a dry run tells what the same votes would have scored by each weighting; so does the score of its folder", async () => {
  assert.deepEqual(Object.keys(agreement.voteWeights), ["count", "halting", "agreement"]);
  assert.equal(agreement.voteWeights.agreement!["pass@2"], agreement.score["pass@2"]);
  const runDir = join(folder, "agreement", "run");
  const scored = lastLine(await trm("score", runDir, "--solutions", SAMPLE_SOLUTIONS, "--json")) as unknown as Result;
  for (const [name, shares] of Object.entries(scored.voteWeights))
    for (const k of ["pass@1", "pass@2"]) assert.equal(shares[k], agreement.voteWeights[name]![k], `${name} ${k}`);
});

test("files whose votes are weighed in different ways are joined only where it is said what a vote of each is worth", async () => {
  const files = ["halting", "agreement"].map((name) => join(folder, name, "run", "candidates.json"));
  const out = ["--out", join(folder, "merged.json"), "--candidates", join(folder, "merged-candidates.json")];
  const refused = await trm("merge", ...files, ...out);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /agreement\/run\/candidates\.json weighs votes by agreement, .*halting.* by halting; say with --weights/);
  assert.equal((await trm("merge", ...files, "--weights", "2,1", ...out)).status, 0);
  const merged = JSON.parse(readFileSync(join(folder, "merged-candidates.json"), "utf8")) as Candidates;
  assert.equal(merged.voteWeight, undefined);
  const total = (candidates: Candidates, strength: (answer: Answer) => number): number =>
    Object.values(candidates.tasks)
      .flat(2)
      .reduce((sum, answer) => sum + strength(answer), 0);
  const kept = total(merged, ({ votes }) => votes);
  const given = 2 * total(candidatesOf("halting"), ({ weight }) => weight!) + total(candidatesOf("agreement"), ({ weight }) => weight!);
  assert.ok(kept > 0 && kept <= given + 1e-9, `${kept} of ${given}`);
  const alone = await trm("merge", files[0]!, ...out);
  assert.equal(alone.status, 0);
  assert.equal((JSON.parse(readFileSync(join(folder, "merged-candidates.json"), "utf8")) as Candidates).voteWeight, "halting");
});

test("pairs held back scale the halting weight", async () => {
  const held = ["--vote-weight", "halting", "--halting-pairs", "held-out"];
  const { args } = await runArguments("nothing-held", "60s");
  const refused = await trm(...args, ...held);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /--halting-pairs held-out needs pairs that are held back: give --leave-out 1/);
  const { leftOut } = await run("held", ...held, "--leave-out", "1", "--steps", "3");
  const { slope, offset } = leftOut.at(-1)!.halting;
  assert.ok(slope !== 1 || offset !== 0);
  // A single vote's weight is the scaled probability of its own logit.
  const single = answersOf("held").filter(({ votes }) => votes === 1);
  assert.ok(single.length > 0);
  for (const { meanQ, weight } of single) {
    const expected = 1 / (1 + Math.exp(-(slope * Math.log(meanQ / (1 - meanQ)) + offset)));
    assert.ok(Math.abs(weight! - expected) < 1e-6, `${weight}, expected ${expected}`);
  }
});

test("pairs held back teach the halting head, and curves tell how well it knows them", async () => {
  const taught = ["--vote-weight", "halting", "--halting-pairs", "taught"];
  const { args } = await runArguments("nothing-taught", "60s");
  const refused = await trm(...args, ...taught);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /--halting-pairs taught needs pairs that are held back: give --leave-out 1/);
  await run("taught", ...taught, "--leave-out", "1", "--steps", "12");
  const points = readFileSync(join(folder, "taught", "run", "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n");
  const losses = points.map((line) => (JSON.parse(line) as Record<string, number>)["held back/halting loss"]);
  assert.ok(losses.length > 0 && losses.every((loss) => loss! > 0), `${losses}`);
  // The head's own probability is what a vote counts: no scale is put on it.
  for (const { votes, meanQ, weight } of answersOf("taught")) assert.ok(Math.abs(weight! - votes * meanQ) < 1e-9);
});
