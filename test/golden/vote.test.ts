import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type Entry, parseChallenges } from "../../src/arc/challenges-json.ts";
import { equalGrids, type Grid, gridFromRows, gridToRows } from "../../src/arc/grid.ts";
import type { Solutions } from "../../src/arc/solutions-json.ts";
import { parseAugmentationId, undoAugmentation } from "../../src/augment/augmentation.ts";
import { cropToGrid } from "../../src/encode/crop.ts";
import { scoreAnswers } from "../../src/score/pass-at-k.ts";
import { chooseAttempts } from "../../src/submission/choose.ts";
import { formatSubmission } from "../../src/submission/format.ts";
import { validateSubmission } from "../../src/submission/validate.ts";
import { Tally } from "../../src/vote/tally.ts";
import { readFixtureJson } from "./npz.ts";

interface Prediction {
  identifier: number;
  name: string;
  test_index: number | null;
  input_row: number;
  pred_row: number;
  q_halt_logit: number;
}
type Rows = number[][];
interface Scenario {
  name: string;
  aggregated_voting: boolean;
  submission_K: number;
  pass_Ks: number[];
  rounds: Prediction[][];
  expected: {
    metrics: Record<string, number>;
    submission: Record<string, Record<string, Rows>[]>;
    messages: string[];
    ranking: Record<string, Rows[][]>;
  };
}
interface Fixture {
  identifiers: string[];
  test_puzzles: Record<string, { train: { input: Rows; output: Rows }[]; test: { input: Rows; output: Rows }[] }>;
  token_rows: number[][];
  scenarios: Scenario[];
}

const fixture: Fixture = readFixtureJson("vote");
const { entries } = parseChallenges(JSON.stringify(fixture.test_puzzles), "vote.json");
const solutions: Solutions = new Map(
  Object.entries(fixture.test_puzzles).map(([id, { test }]) => [id, test.map(({ output }) => gridFromRows(output))]),
);
const usedRows = new Set<number>();
const usedIdentifiers = new Set<number>([0]);

function decode(row: number, identifier: string): Grid {
  usedRows.add(row);
  return undoAugmentation(cropToGrid(Int32Array.from(fixture.token_rows[row]!), 30), parseAugmentationId(identifier).augmentation);
}

/** The place of the input among its task's test inputs, found as the official code does: by content. */
function testIndexOf(taskId: string, input: Grid): number {
  return fixture.test_puzzles[taskId]!.test.findIndex((pair) => equalGrids(gridFromRows(pair.input), input));
}

/** The votes of a scenario; a round is one evaluation. */
function vote({ rounds, aggregated_voting }: Scenario): Tally {
  let tally = new Tally();
  let order = 0;
  for (const round of rounds) {
    if (!aggregated_voting) tally = new Tally();
    for (const { identifier, name, test_index, input_row, pred_row, q_halt_logit } of round) {
      usedIdentifiers.add(identifier);
      assert.equal(fixture.identifiers[identifier], name);
      const { taskId } = parseAugmentationId(name);
      const testIndex = testIndexOf(taskId, decode(input_row, name));
      assert.equal(testIndex, test_index ?? -1);
      const grid = decode(pred_row, name);
      if (testIndex >= 0) tally.add({ taskId, testIndex, grid, qHaltLogit: q_halt_logit, order: order++, variant: name });
    }
  }
  return tally;
}

for (const scenario of fixture.scenarios) {
  const { name, expected } = scenario;
  const ranked = () => vote(scenario).rankedAll(entries.map((entry) => ({ id: entry.id, testInputs: testInputsOf(entry) })));
  const testInputsOf = (entry: Entry): number => solutions.get(entry.id)!.length;

  test(`${name}: answers rank as in the official evaluator`, () => {
    for (const [id, lists] of ranked()) {
      const predicted = lists.filter((list) => list.length > 0); // the official code leaves the others out
      assert.deepEqual(
        predicted.map((list) => list.slice(0, 10).map(({ grid }) => gridToRows(grid))),
        expected.ranking[id],
        id,
      );
    }
    assert.deepEqual([...ranked().keys()], Object.keys(expected.ranking));
  });

  test(`${name}: pass@K per task equals the official metric`, () => {
    const { passAtK, unanswered } = scoreAnswers(ranked(), solutions, scenario.pass_Ks);
    assert.deepEqual(
      Object.keys(expected.metrics),
      scenario.pass_Ks.map((k) => `ARC/pass@${k}`),
    );
    for (const [metric, value] of Object.entries(expected.metrics)) {
      const ours = passAtK.get(`${metric.slice("ARC/".length)}PerTask`);
      assert.ok(Math.abs(ours! - value) < 1e-12, `${metric} is ${ours}, expected ${value}`);
    }
    assert.equal(unanswered, expected.messages.length);
  });

  test(`${name}: the submission holds the official attempts, but valid ones for every test input and in its place`, () => {
    assert.equal(scenario.submission_K, 2);
    const answers = ranked();
    const { submission, fallbackInputs } = chooseAttempts(entries, answers);
    assert.deepEqual(validateSubmission(formatSubmission(submission), entries), []);
    assert.equal(fallbackInputs, expected.messages.length);
    const unpredicted: string[] = [];
    for (const [id, lists] of answers) {
      const official = [...expected.submission[id]!];
      for (const [testIndex, list] of lists.entries()) {
        const ours = submission.get(id)![testIndex]!.map(gridToRows);
        if (list.length === 0) {
          unpredicted.push(`Puzzle ${id} has no predictions.`);
          continue; // the official list is shorter by this one
        }
        const { attempt_1, attempt_2, ...others } = official.shift()!;
        assert.deepEqual(others, {});
        assert.deepEqual(
          [attempt_1, attempt_2],
          [list[0]!, list[1] ?? list[0]!].map(({ grid }) => gridToRows(grid)),
        );
        const valid = [attempt_1!, attempt_2!].filter((rows) => rows.length > 0);
        assert.deepEqual(ours[0], valid[0]);
        if (list.length > 1 && valid.length === 2) assert.deepEqual(ours[1], valid[1]);
      }
      assert.deepEqual(official, []);
    }
    assert.deepEqual(unpredicted, expected.messages);
    assert.deepEqual([...submission.keys()], Object.keys(expected.submission));
  });
}

test("the scenarios hold a test input without predictions, which the official list leaves out and ours fills", () => {
  const missing = fixture.scenarios.find(({ name }) => name === "missing")!;
  const { submission } = chooseAttempts(
    entries,
    vote(missing).rankedAll([...solutions].map(([id, grids]) => ({ id, testInputs: grids.length }))),
  );
  const lengths = (lists: [string, { length: number }][]) => lists.map(([, { length }]) => length);
  assert.deepEqual(lengths(Object.entries(missing.expected.submission)), [1, 1, 0]);
  assert.deepEqual(lengths([...submission]), [2, 2, 1]);
});

after(() => {
  assert.equal(fixture.scenarios.length, 5);
  assert.equal(usedRows.size, fixture.token_rows.length, "every token row is read");
  assert.equal(usedIdentifiers.size, fixture.identifiers.length, "every identifier is read");
});
