import assert from "node:assert/strict";
import { test } from "node:test";
import { gridFromRows } from "../../../src/arc/grid.ts";
import type { Task } from "../../../src/arc/task.ts";
import { openPretraining, type PretrainingData } from "../../../src/data/pretraining-stream.ts";
import { PuzzleEmbedding } from "../../../src/model/puzzle-embedding.ts";
import { surveyOf } from "../../../src/parallel/survey.ts";
import { createRandom } from "../../../src/random.ts";

const taskOf = (id: string): Task => ({
  id,
  train: [1, 2, 3].map((color) => ({ input: gridFromRows([[color, 0]]), output: gridFromRows([[color]]) })),
  test: [{ input: gridFromRows([[4, 0]]) }, { input: gridFromRows([[5, 0]]) }],
});
const DATA: PretrainingData = {
  tasks: [taskOf("a"), taskOf("b")].map((task) => ({ ...task, test: [] })),
  evaluated: [taskOf("c"), taskOf("d")],
  variants: 6,
  translate: false,
  generatedShare: 0,
};

/** A stream that was gone through up to a place, its rows touched on the way, each row's first number its id. */
function trained(data: PretrainingData, places: number) {
  const stream = openPretraining(data, { side: 4, random: createRandom(1) });
  const rows = new PuzzleEmbedding(2, (id, out) => {
    out[0] = id;
  });
  for (let place = 0; place < places; place++) rows.row(stream.exampleAt(place).puzzleId);
  return { stream, rows };
}

const OPTIONS = { place: 0, visits: 0, votes: 4, pairs: 30 };

test("rows that were trained predict the tests of evaluated tasks and pairs that are trained on, under their variant", () => {
  const { stream, rows } = trained(DATA, 60);
  const { items, similarity } = surveyOf(stream, rows, { ...OPTIONS, random: createRandom(2) });
  const tests = items.filter(({ trained }) => !trained);
  assert.ok(tests.length > 0 && tests.every(({ task }) => task >= 2), "tests of evaluated tasks alone");
  for (const task of [2, 3]) {
    for (const testIndex of [0, 1]) {
      const votes = tests.filter((item) => item.task === task && item.testIndex === testIndex);
      assert.ok(votes.length >= 2 && votes.length <= 4);
      assert.equal(new Set(votes.map(({ variant }) => variant)).size, votes.length);
    }
  }
  const pairs = items.filter(({ trained }) => trained);
  assert.equal(pairs.length, 30);
  assert.deepEqual(new Set(pairs.map(({ task }) => task)), new Set([0, 1, 2, 3]));
  assert.deepEqual(new Set(pairs.map(({ testIndex }) => testIndex)), new Set([0, 1, 2]));
  for (const { task, variant, puzzleId } of items) {
    assert.ok(rows.has(puzzleId!));
    assert.equal(puzzleId, stream.plan.groups[task]!.firstPuzzleId + variant);
  }
  assert.equal(similarity.rows, rows.touched().length);
});

test("of rows with lives those in their second half are asked, under what they stand for now", () => {
  const lives = { slots: 40, visits: 8 };
  const place = 40 * 20;
  const { stream, rows } = trained({ ...DATA, lives }, place + 40);
  const { items } = surveyOf(stream, rows, { ...OPTIONS, place, visits: lives.visits, random: createRandom(2) });
  // What the stream shows in the epoch of that place, and how often each row came before.
  const visits = new Map<number, number>();
  for (let i = 0; i < place; i++) {
    const { puzzleId } = stream.exampleAt(i);
    visits.set(puzzleId, (visits.get(puzzleId) ?? 0) + 1);
  }
  const shown = new Map(Array.from({ length: 40 }, (_, i) => stream.exampleAt(place + i)).map((example) => [example.puzzleId, example]));
  assert.ok(items.length > 30);
  for (const { task, variant, puzzleId } of items) {
    assert.ok(visits.get(puzzleId!)! >= 4, `${visits.get(puzzleId!)} visits`);
    const { dihedral, colorPermutation } = stream.plan.groups[task]!.variants.at(variant);
    const example = shown.get(puzzleId!)!;
    const upright = [1, 3, 6, 7].includes(dihedral);
    const tokens = [...example.inputs].filter((token) => token >= 2).map((token) => token - 2);
    assert.ok(
      [1, 2, 3].some((color) => tokens.includes(colorPermutation[color]!)),
      "its colours",
    );
    assert.equal(example.inputs[upright ? 4 : 1]! >= 2, true, "its orientation");
  }
});
