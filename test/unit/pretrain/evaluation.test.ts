import assert from "node:assert/strict";
import { test } from "node:test";
import { gridFromRows } from "../../../src/arc/grid.ts";
import type { Task } from "../../../src/arc/task.ts";
import type { Prediction, PredictionItem, Survey } from "../../../src/parallel/job.ts";
import { evaluate, type Predictor } from "../../../src/pretrain/evaluation.ts";

const cell = (color: number) => gridFromRows([[color]]);
const taskOf = (id: string, train: number[], tests: number[]): Task => ({
  id,
  train: train.map((color) => ({ input: cell(0), output: cell(color) })),
  test: tests.map((color) => ({ input: cell(0), output: cell(color) })),
});
const TRAINED = taskOf("trained", [1, 2], [3]);
const EVALUATED = [taskOf("voted", [1], [4, 5]), taskOf("unasked", [1], [6])];
const SIMILARITY = { within: 0.5, across: Number.NaN, length: 2, rows: 7 };
const OPTIONS = { votes: 3, pairs: 2, actSteps: 1, chunk: 2, goOn: () => true };

/** Answers each item with a colour; in chunks of two. */
function predictorOf(answers: readonly (PredictionItem & { color: number })[], similarity: Survey["similarity"] = SIMILARITY): Predictor {
  return {
    survey: async () => ({ items: answers.map(({ color, ...item }) => item), similarity }),
    predict: async (items, { goOn, arrived }) => {
      const predictions = items.map((item): Prediction => {
        const { color } = answers.find(
          (answer) =>
            answer.task === item.task &&
            answer.testIndex === item.testIndex &&
            answer.variant === item.variant &&
            answer.trained === item.trained,
        )!;
        return { ...item, ...cell(color), qHaltLogit: 0 };
      });
      for (let i = 0; i < predictions.length && goOn(); i += 2) arrived(predictions.slice(i, i + 2));
    },
  };
}

test("predictions of left-out tests and of trained pairs are counted apart, votes ranked, over the tasks that have any", async () => {
  const votes = [
    { task: 1, testIndex: 0, variant: 0, color: 4 },
    { task: 1, testIndex: 0, variant: 1, color: 4 },
    { task: 1, testIndex: 0, variant: 2, color: 9 },
    { task: 1, testIndex: 1, variant: 0, color: 8 },
    { task: 1, testIndex: 1, variant: 1, color: 8 },
    { task: 1, testIndex: 1, variant: 2, color: 5 },
    // the trained task's last pair is its test
    { task: 0, testIndex: 2, variant: 0, trained: true, color: 3 },
    { task: 0, testIndex: 0, variant: 5, trained: true, color: 2 },
  ];
  const metrics = await evaluate(predictorOf(votes), { trained: [TRAINED], evaluated: EVALUATED }, OPTIONS);
  assert.deepEqual(metrics, {
    "evaluation/exact": 3 / 6,
    "evaluation/predictions": 6,
    "evaluation/tasks": 1,
    "evaluation/pass@1": 0.5,
    "evaluation/pass@1PerTask": 0.5,
    "evaluation/pass@2": 1,
    "evaluation/pass@2PerTask": 1,
    "evaluation/trained-exact": 0.5,
    "rows/within": 0.5,
    "rows/length": 2,
    "rows/compared": 7,
  });
});

test("however few different answers there are, each point has the same Ks: those that the votes can tell", async () => {
  const votes = [0, 1].map((variant) => ({ task: 1, testIndex: 0, variant, color: 4 }));
  const metrics = await evaluate(predictorOf(votes), { trained: [], evaluated: [TRAINED, EVALUATED[1]!] }, { ...OPTIONS, votes: 12 });
  assert.deepEqual(
    Object.keys(metrics!).filter((name) => /^evaluation\/pass@\d+$/.test(name)),
    [1, 2, 5, 10].map((k) => `evaluation/pass@${k}`),
  );
});

test("with nothing to predict there are the rows' curves alone; an evaluation that is stopped gives none", async () => {
  const tasks = { trained: [TRAINED], evaluated: EVALUATED };
  assert.deepEqual(Object.keys((await evaluate(predictorOf([]), tasks, OPTIONS))!), ["rows/within", "rows/length", "rows/compared"]);
  let asked = 0;
  const answers = [0, 1, 2].map((variant) => ({ task: 1, testIndex: 0, variant, color: 4 }));
  assert.equal(await evaluate(predictorOf(answers), tasks, { ...OPTIONS, goOn: () => asked++ < 1 }), undefined);
});
