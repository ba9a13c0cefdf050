import assert from "node:assert/strict";
import { test } from "node:test";
import { PredictionCosts } from "../../../src/adapt/prediction-costs.ts";

test("a chunk that compiled something says nothing of the next ones, first or last; canvases have costs of their own", () => {
  const costs = new PredictionCosts(new Map([[1, 2]]));
  assert.deepEqual([costs.expected(0), costs.expected(1)], [0, 2]);
  costs.note(0, 4, 4);
  assert.equal(costs.expected(0), 1);
  costs.note(1, 3, 90); // 30 s each
  assert.equal(costs.expected(1), 2);
  for (let i = 0; i < 3; i++) costs.note(1, 4, 10);
  assert.equal(costs.expected(1), 2.5);
  costs.note(1, 3, 90);
  assert.equal(costs.expected(1), 2.5);
  for (let i = 0; i < 2; i++) costs.note(1, 4, 20);
  assert.equal(costs.expected(1), 5, "where they have become slower for good");
  assert.equal(costs.expected(0), 1);
});
