import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { LEARNING_FILE, LearningFile, type LearningPoint, readLearning } from "../../../src/metrics/learning-file.ts";
import { movedSeries, taskCurves, withLearning } from "../../../src/report/learning-curves.ts";
import { learningPlot } from "../../../src/report/learning-plot.ts";
import { learningSections, sparkline } from "../../../src/report/learning-text.ts";
import { addTaskSums, TaskMeans } from "../../../src/train/task-means.ts";

const folder = mkdtempSync(join(tmpdir(), "trm-learning-"));
after(() => rmSync(folder, { recursive: true }));

const point = (step: number, tasks: LearningPoint["tasks"], distance = step): LearningPoint => ({
  kind: "training",
  step,
  seconds: 10 * step,
  since: 0,
  trunk: { trunk: { start: 2, distance }, q_head: { start: 1, distance } },
  rows: { start: 0, distance: 3, count: step },
  similarity: { within: 1 - step / 100, across: null, length: 1, rows: 4 },
  tasks,
});

test("points come back in order of steps: what was gone over again replaces what was there, damage is passed over", () => {
  const file = new LearningFile(folder, (error) => assert.fail(String(error)));
  file.add(point(1, { a: [2, 1.23456789, 0.5] }));
  file.add({ kind: "left-out", step: 1, seconds: 1, tasks: { a: [4, 2, Number.NaN] } });
  file.add(point(5, { a: [2, 1, 1] }));
  file.add(point(9, { a: [2, 1, 1] }));
  file.add(point(5, { b: [1, 0.5, 1] }));
  appendFileSync(join(folder, LEARNING_FILE), '{"kind":"training","step":6,"sec');
  const { training, leftOut } = readLearning(folder);
  assert.deepEqual(
    training.map(({ step, tasks }) => [step, tasks]),
    [
      [1, { a: [2, 1.23457, 0.5] }],
      [5, { b: [1, 0.5, 1] }],
    ],
  );
  assert.deepEqual(leftOut, [{ kind: "left-out", step: 1, seconds: 1, tasks: { a: [4, 2, null] } }]);
  assert.deepEqual(readLearning(join(folder, "none")), { training: [], leftOut: [] });
});

const LEARNING = {
  training: [
    point(1, { good: [4, 1, 0], bad: [2, 3, 0] }),
    point(2, { good: [4, 0.5, 1], "<b>": [1, 2, 0] }),
    point(4, { bad: [6, 2.5, 0] }),
  ],
  leftOut: [{ kind: "left-out" as const, step: 4, seconds: 1, tasks: { good: [4, 1, 0.75] as [number, number, number] } }],
};

test("each task has its curve, those that fare worst at the end first", () => {
  assert.deepEqual(taskCurves(LEARNING), [
    {
      id: "bad",
      samples: 8,
      lmLoss: [
        [1, 3],
        [4, 2.5],
      ],
      exact: [
        [1, 0],
        [4, 0],
      ],
      leftOutExact: [],
    },
    { id: "<b>", samples: 1, lmLoss: [[2, 2]], exact: [[2, 0]], leftOutExact: [] },
    {
      id: "good",
      samples: 8,
      lmLoss: [
        [1, 1],
        [2, 0.5],
      ],
      exact: [
        [1, 0],
        [2, 1],
      ],
      leftOutExact: [[4, 0.75]],
    },
  ]);
});

test("distances are relative to the start, but for what was zero there", () => {
  assert.deepEqual(movedSeries(LEARNING), [
    {
      name: "trunk",
      points: [
        [1, 0.5],
        [2, 1],
        [4, 2],
      ],
    },
    {
      name: "q_head",
      points: [
        [1, 1],
        [2, 2],
        [4, 4],
      ],
    },
    {
      name: "puzzle rows",
      points: [
        [1, 3],
        [2, 3],
        [4, 3],
      ],
    },
  ]);
  const curves = withLearning([{ title: "Cosine of puzzle rows", x: "step", unit: "", noisy: false, series: [] }], LEARNING);
  assert.deepEqual(
    curves.map(({ title, series }) => [title, series.length]),
    [
      ["Cosine of puzzle rows", 0],
      ["Distance from the start, relative", 2],
    ],
    "a curve that is there is not drawn twice",
  );
});

test("a line of bars shows a course in as many characters as there is room for", () => {
  assert.equal(sparkline([0, 1, 2, 3, 4, 5, 6, 7]), "▁▂▃▄▅▆▇█");
  assert.equal(sparkline([5, 5, 5]), "▁▁▁");
  assert.equal(sparkline([0, 0, 1, 1], { width: 2 }), "▁█");
  assert.equal(sparkline([0.5], { range: [0, 1] }), "▅");
  assert.equal(sparkline([]), "");
});

test("text and picture tell of every task, and ids are text in the picture", () => {
  const curves = withLearning([], LEARNING);
  const text = learningSections(LEARNING, curves).flatMap(([, lines]) => lines);
  for (const pattern of [
    /^within a task +0\.99 -> 0\.96/,
    /^trunk +0\.5 -> 2 /,
    /^bad +8 +3\.000 -> 2\.500 +0 %/,
    /^good .*held back 75 %$/,
  ])
    assert.ok(
      text.some((line) => pattern.test(line)),
      `${pattern} in\n${text.join("\n")}`,
    );
  const plot = learningPlot("<run>", LEARNING, curves);
  assert.match(plot, /&lt;run&gt;/);
  assert.match(plot, /<title>&lt;b&gt;, step 2: 0 %<\/title>/);
  assert.doesNotMatch(plot, /<b>|NaN/);
  assert.equal(plot.match(/<rect/g)!.length, 9, "three tasks at three points");
});

test("sums of tasks begin anew when they are taken, and those of ranks add up", () => {
  const [one, other] = [new TaskMeans(), new TaskMeans()];
  one.add("a", 1, true);
  one.add("a", 2, false);
  one.add("a", Number.NaN, false);
  other.add("a", 4, true);
  other.add("b", 1, false);
  const first = one.take();
  assert.deepEqual(first, { a: { samples: 2, lmLoss: 3, exact: 1 } });
  assert.deepEqual(addTaskSums([first, other.take()]), { a: { samples: 3, lmLoss: 7, exact: 2 }, b: { samples: 1, lmLoss: 1, exact: 0 } });
  assert.deepEqual(one.take(), {});
});
