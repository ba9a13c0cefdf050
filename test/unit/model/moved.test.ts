import assert from "node:assert/strict";
import { test } from "node:test";
import { movedByPart, partOf, relative } from "../../../src/model/moved.ts";
import { PuzzleEmbedding } from "../../../src/model/puzzle-embedding.ts";
import { diagnose } from "../../../src/parallel/diagnosis.ts";

test("parameters belong to the part that inspect names", () => {
  assert.deepEqual(
    [
      "q_head.bias",
      "embed_tokens.embedding_weight",
      "L_level.layers.1.self_attn.qkv_proj.weight",
      "L_level.layers.1.mlp.down_proj.weight",
    ].map(partOf),
    ["q_head", "embed_tokens", "L_level.layers.1.self_attn", "L_level.layers.1.mlp"],
  );
});

test("distances are Euclidean, of each part and of the whole", () => {
  const moved = movedByPart([
    { name: "q_head.weight", start: Float32Array.of(3, 0), now: Float32Array.of(3, 6) },
    { name: "q_head.bias", start: Float32Array.of(4), now: Float32Array.of(12) },
    { name: "lm_head.weight", start: Float32Array.of(0), now: Float32Array.of(0) },
  ]);
  assert.deepEqual(moved, {
    trunk: { start: 5, distance: 10 },
    q_head: { start: 5, distance: 10 },
    lm_head: { start: 0, distance: 0 },
  });
  assert.equal(relative(moved.q_head!), 2);
  assert.ok(Number.isNaN(relative(moved.lm_head!)));
});

test("a diagnosis measures rows from their start, and how alike those of a task are", () => {
  const rows = new PuzzleEmbedding(2, (_, out) => out.set([1, 0]));
  rows.row(1).set([0, 1]); // tasks "a" and "b" have two rows each, row 9 is of none
  rows.row(2).set([0, 2]);
  rows.row(3).set([1, 0]);
  rows.row(4).set([3, 0]);
  rows.row(9).set([1, 4]);
  const told = diagnose({
    step: 7,
    since: 3,
    layout: [{ name: "q_head.bias", shape: [2], offset: 0, size: 2 }],
    startTrunk: Float32Array.of(3, 4),
    trunk: Float32Array.of(3, 4),
    rows,
    rowStart: (_, out) => out.set([1, 0]),
    tasks: {},
    taskOf: (id) => (id <= 2 ? "a" : id <= 4 ? "b" : undefined),
  });
  assert.deepEqual(told.trunk, { trunk: { start: 5, distance: 0 }, q_head: { start: 5, distance: 0 } });
  // squares of the distances: 2, 5, 0, 4, 16
  assert.deepEqual(
    [told.rows.count, told.rows.start ** 2, told.rows.distance ** 2].map((value) => Number(value.toFixed(9))),
    [5, 5, 27],
  );
  assert.deepEqual([told.similarity.within, told.similarity.across, told.similarity.rows], [1, 0, 4]);
});
