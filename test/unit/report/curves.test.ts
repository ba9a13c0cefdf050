import assert from "node:assert/strict";
import { test } from "node:test";
import { curvesOf, thinned } from "../../../src/report/curves.ts";

test("curves are read by name, shares as percentages; damaged lines and missing numbers are passed over", () => {
  const text = [
    '{"step":1,"time":0,"train/lm loss":2.5,"train/exact":0.25}',
    "nonsense",
    "null",
    '{"step":2,"time":1,"train/lm loss":null}',
    '{"step":4,"time":2,"train/lm loss":1.5}',
    '{"step":5,"tr',
  ].join("\n");
  assert.deepEqual(
    curvesOf(text).map(({ title, unit, series }) => ({ title, unit, series })),
    [
      {
        title: "Loss",
        unit: "",
        series: [
          {
            name: "token loss",
            points: [
              [1, 2.5],
              [4, 1.5],
            ],
          },
        ],
      },
      { title: "Right in training", unit: "%", series: [{ name: "whole demonstrations", points: [[1, 25]] }] },
    ],
  );
});

test("long curves are thinned to means of neighbours; their mean and their order stay", () => {
  const points = Array.from({ length: 10_000 }, (_, i) => [i + 1, i % 2] as const);
  const few = thinned(points, 400);
  assert.equal(few.length, 400);
  assert.ok(few.every(([step], i) => i === 0 || step > few[i - 1]![0]));
  for (const [, value] of few) assert.ok(Math.abs(value - 0.5) < 0.05, "a mean of neighbours, not one of them");
  assert.deepEqual(thinned(points.slice(0, 3), 400), points.slice(0, 3));
});

test("a curve of any length is thinned to finite numbers, with its last point among them", () => {
  for (let length = 1; length <= 3000; length++) {
    const few = thinned(
      Array.from({ length }, (_, i) => [i + 1, 1] as const),
      400,
    );
    assert.equal(few.length, Math.min(400, length));
    assert.ok(
      few.every(([step, value]) => Number.isFinite(step) && value === 1),
      `${length} points`,
    );
    assert.ok(few.at(-1)![0] > length - length / 400 - 1);
  }
});

test("pass@K of a pre-training's evaluations is drawn for each K", () => {
  const text = [10, 20]
    .map((step) => JSON.stringify({ step, time: step, "evaluation/pass@1": step / 100, "evaluation/pass@1000": 0.5 }))
    .join("\n");
  const [curve] = curvesOf(text);
  assert.equal(curve!.title, "Evaluation tests among the first K answers");
  assert.deepEqual(
    curve!.series.map(({ name, points }) => [name, points.at(-1)]),
    [
      ["pass@1", [20, 20]],
      ["pass@1000", [20, 50]],
    ],
  );
});
