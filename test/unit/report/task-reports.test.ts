import assert from "node:assert/strict";
import { test } from "node:test";
import { type Grid, gridFromRows, gridKey } from "../../../src/arc/grid.ts";
import type { Task } from "../../../src/arc/task.ts";
import { scoreOverTime } from "../../../src/report/score-over-time.ts";
import { type StageVotes, stageVotesOf } from "../../../src/report/stage-votes.ts";
import { scoreOf, taskReports, withinCharacters } from "../../../src/report/task-reports.ts";

const cell = (color: number): Grid => gridFromRows([[color]]);
const taskOf = (id: string, tests: number): Task => ({
  id,
  train: [
    {
      input: gridFromRows([
        [1, 2],
        [3, 4],
      ]),
      output: gridFromRows([[5, 6, 7]]),
    },
  ],
  test: Array.from({ length: tests }, () => ({ input: cell(0) })),
});
const [first, second] = [taskOf("a", 2), taskOf("__proto__", 1)];
const answer = (color: number, votes: number) => ({ grid: cell(color), votes, meanQ: 0.5 });

/** Votes of the last stage, by colour. */
const votesOn = (...counts: readonly (readonly [color: number, votes: number])[]): StageVotes => ({
  all: counts.reduce((sum, [, votes]) => sum + votes, 0),
  answers: new Set(counts.map(([color]) => gridKey(cell(color)))),
});

const ANSWERED = {
  tasks: [
    { entry: first, chosen: true },
    { entry: second, chosen: true },
    { entry: taskOf("left", 1), chosen: false },
    { entry: { id: "bad", testInputs: 2, problems: ["has no train list"], inputs: [cell(9), undefined] }, chosen: false },
  ],
  submission: new Map([
    [
      "a",
      [
        [cell(1), cell(2)],
        [cell(3), cell(4)],
      ],
    ],
    ["__proto__", [[cell(5), cell(6)]]],
  ]),
  candidates: new Map([
    [
      "a",
      [
        [answer(1, 3), answer(2, 1)],
        [answer(3, 2), answer(4, 1), answer(8, 1)],
      ],
    ],
    ["__proto__", [[answer(5, 1)]]],
  ]),
  votes: new Map([["a", [votesOn([1, 3], [2, 1], [7, 2]), votesOn([3, 2], [4, 1], [8, 1])]]]),
  solutions: new Map([
    ["a", [cell(2), cell(8)]],
    ["__proto__", [cell(5)]],
    ["left", [cell(0)]],
  ]),
};

test("tasks are reported as asked and as answered, bad ones and those left out too", () => {
  const [a, proto, left, bad] = taskReports(ANSWERED);
  assert.deepEqual(a!.train, [["12/34", "567"]]);
  assert.deepEqual(a!.test[0], {
    input: "0",
    solution: "2",
    attempts: ["1", "2"],
    candidates: [
      { grid: "1", votes: 3, confidence: 0.5 },
      { grid: "2", votes: 1, confidence: 0.5 },
    ],
    votes: 6, // on answers that were not kept as well
  });
  assert.equal(proto!.test[0]!.votes, 1);
  assert.deepEqual([left!.state, left!.test[0]!.attempts], ["left-out", []]);
  assert.deepEqual(
    [bad!.state, bad!.problems, bad!.test.map(({ input }) => input)],
    ["unreadable", ["has no train list"], ["9", undefined]],
  );
});

test("an answer that fills up what is missing to two has no share of the votes: its own are of an earlier stage", () => {
  const stage = (name: string) => ({ kind: "stage", name }) as const;
  const vote = (testIndex: number, color: number) =>
    ({ kind: "vote", vote: { task: 0, testIndex, variant: 0, grid: cell(color), qHaltLogit: 0 } }) as const;
  const votes = stageVotesOf(
    [stage("unadapted"), vote(0, 2), vote(1, 4), stage("final"), vote(0, 1), vote(0, 1), vote(0, 1), stage("later")],
    [first],
  );
  assert.deepEqual(
    votes.get("a")!.map(({ all, answers }) => [all, answers.size]),
    [
      [3, 1],
      [1, 1],
    ],
  );
  const [a] = taskReports({ ...ANSWERED, votes });
  assert.deepEqual(a!.test[0]!.candidates, [
    { grid: "1", votes: 3, confidence: 0.5 },
    { grid: "2", votes: 1, confidence: 0.5, isEarlier: true },
  ]);
  assert.equal(a!.test[0]!.votes, 3);
});

test("what was not read is no score of zero: neither attempts nor candidates", () => {
  const nothing = new Map();
  assert.equal(scoreOf(taskReports({ ...ANSWERED, submission: nothing })), undefined);
  const { solved, passAtK } = scoreOf(taskReports({ ...ANSWERED, candidates: nothing }))!;
  assert.deepEqual([solved, passAtK], [2, []]);
});

test("an id that no address can hold is shown with a sign in its place", () => {
  const [report] = taskReports({ ...ANSWERED, tasks: [{ entry: taskOf("a\ud800b😀", 1), chosen: true }] });
  assert.equal(report!.id, "a\ufffdb😀");
  assert.doesNotThrow(() => encodeURIComponent(report!.id));
});

test("the score counts attempts of the submission on the tasks worked on", () => {
  assert.deepEqual(scoreOf(taskReports(ANSWERED)), {
    testInputs: 3,
    solved: 2,
    solvedFirst: 1,
    tasks: 2,
    tasksSolved: 1,
    passAtK: [
      { k: 1, share: 1 / 3 },
      { k: 2, share: 2 / 3 },
    ],
  });
  assert.equal(scoreOf(taskReports({ ...ANSWERED, solutions: undefined })), undefined);
});

test("where the page would grow too large the last candidates go, attempts never", () => {
  const all = taskReports(ANSWERED);
  assert.deepEqual(withinCharacters(all, 1e6), { tasks: all, kept: undefined });
  const { tasks, kept } = withinCharacters(all, 0);
  assert.equal(kept, 2, "they tell the attempts' votes");
  assert.deepEqual(tasks[0]!.test[0]!.attempts, ["1", "2"]);
  // Grids of a cell count four characters each: those always shown 111, first candidates 12, second ones 8, third ones 4.
  assert.deepEqual(
    [122, 131, 134, 135].map((most) => withinCharacters(all, most).kept),
    [2, 2, 2, undefined],
  );
  assert.deepEqual(
    withinCharacters(all, 134).tasks[0]!.test.map(({ candidates }) => candidates.length),
    [2, 2],
  );
});

test("the score over time counts each stage at its end, the last one vote by vote", () => {
  const vote = (task: number, testIndex: number, variant: number, color: number) =>
    ({ kind: "vote", vote: { task, testIndex, variant, grid: cell(color), qHaltLogit: 0 } }) as const;
  const stage = (name: string) => ({ kind: "stage", name }) as const;
  const event = (seconds: number, name: string, fields: object = {}) => ({
    level: 30,
    event: name,
    seconds,
    time: "",
    text: "",
    ...fields,
  });
  const entries = [
    stage("unadapted"),
    vote(0, 0, 0, 7),
    vote(1, 0, 0, 5),
    stage("final"),
    vote(0, 0, 0, 2),
    vote(0, 1, 0, 8),
    vote(0, 1, 0, 1),
    vote(9, 0, 0, 1),
  ];
  const events = [
    event(1, "measured"),
    event(50, "phase", { phase: "predict" }),
    event(60, "progress", { phase: "predict", made: 1 }),
    event(70, "predicted"),
  ];
  const curve = scoreOverTime(entries, [first, second], ANSWERED.solutions, events)!;
  const [passAt1] = curve.series;
  assert.equal(passAt1!.name, "pass@1");
  // The unadapted model has one of three right; then a second and a third. What was predicted twice and what belongs to no task don't count.
  assert.deepEqual(
    passAt1!.points.map(([seconds, share]) => [Math.round(seconds), Math.round(share)]),
    [
      [1, 33],
      [50, 33],
      [60, 67],
      [63, 100],
    ],
  );
  assert.equal(scoreOverTime(entries, [first, second], new Map(), events), undefined);
});
