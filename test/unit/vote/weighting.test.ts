import assert from "node:assert/strict";
import { test } from "node:test";
import { type Grid, gridFromRows } from "../../../src/arc/grid.ts";
import { parseAnswers } from "../../../src/predict/candidate-file.ts";
import { fitHaltingScale } from "../../../src/vote/halting-scale.ts";
import { mergeAnswers, strengthsAsVotes } from "../../../src/vote/merge.ts";
import { refuseMixtures } from "../../../src/vote/parts.ts";
import { Tally } from "../../../src/vote/tally.ts";
import { haltProbability, type VoteWeighting, weigherOf, weighersFor } from "../../../src/vote/weighting.ts";

const cell = (color: number): Grid => gridFromRows([[color]]);
const [A, B, C] = [cell(1), cell(2), cell(3)];
const logit = (p: number): number => Math.log(p / (1 - p));

/** Four votes: A twice, unsure and just arrived at; B once, sure, stood for two of four steps; C once, half sure, stood all along. */
const VOTES = [
  { grid: A, qHaltLogit: logit(0.2), agreement: { steps: 1, of: 4 } },
  { grid: B, qHaltLogit: logit(0.9), agreement: { steps: 2, of: 4 } },
  { grid: A, qHaltLogit: logit(0.3), agreement: { steps: 1, of: 4 } },
  { grid: C, qHaltLogit: logit(0.5), agreement: { steps: 4, of: 4 } },
];

function ranked(weighting: VoteWeighting): [color: number, votes: number, weight: number | undefined][] {
  const tally = new Tally(undefined, weigherOf(weighting));
  for (const [order, vote] of VOTES.entries()) tally.add({ ...vote, taskId: "t", testIndex: 0, order });
  return tally
    .ranked("t", 0)
    .map(({ grid, votes, weight }) => [grid.cells[0]!, votes, weight === undefined ? undefined : Number(weight.toFixed(9))]);
}

test("each weighting puts another answer first; the number of votes is told all the same", () => {
  assert.deepEqual(ranked("count"), [
    [1, 2, undefined],
    [2, 1, undefined],
    [3, 1, undefined],
  ]);
  assert.deepEqual(
    ranked("halting"),
    [
      [2, 1, 0.9],
      [1, 2, 0.5],
      [3, 1, 0.5],
    ].sort((a, b) => b[2]! - a[2]! || (a[0] === 3 ? -1 : 1)),
  ); // 0.5 each: C has the higher mean
  assert.deepEqual(ranked("agreement"), [
    [3, 1, 1],
    [2, 1, 0.5], // as heavy as A, and surer
    [1, 2, 0.5],
  ]);
});

test("votes that were counted in one way can be ranked in another", () => {
  const tally = new Tally();
  for (const [order, vote] of VOTES.entries()) tally.add({ ...vote, taskId: "t", testIndex: 0, order });
  const first = (weighting: VoteWeighting): number => tally.ranked("t", 0, weigherOf(weighting))[0]!.grid.cells[0]!;
  assert.deepEqual([first("count"), first("halting"), first("agreement")], [1, 2, 3]);
});

test("a halting logit that is not a number weighs nothing; a vote that was not watched counts 1", () => {
  assert.equal(weigherOf("halting").weigh({ qHaltLogit: Number.NaN }), 0);
  assert.equal(weigherOf("halting", { slope: 2, offset: 1 }).weigh({ qHaltLogit: -0.5 }), 0.5);
  assert.equal(weigherOf("agreement").weigh({ qHaltLogit: 0 }), 1);
  assert.deepEqual([...weighersFor(undefined, false).keys()], ["count", "halting"]);
  assert.deepEqual([...weighersFor({ slope: 1, offset: 0 }, true).keys()], ["count", "halting", "halting, held-out", "agreement"]);
});

test("the halting scale finds the logistic that right predictions follow", () => {
  // 400 logits from -2 to 2, right with probability sigmoid(3 x - 1): the share of rights is laid out evenly within each group of 40
  const judged = Array.from({ length: 400 }, (_, i) => {
    const x = -2 + (4 * (Math.floor(i / 40) + 0.5)) / 10;
    return { qHaltLogit: x, right: (i % 40) + 0.5 < 40 * haltProbability(3 * x - 1) };
  });
  const { slope, offset, lossBefore, lossAfter, auc, right, predictions } = fitHaltingScale(judged);
  assert.ok(Math.abs(slope - 3) < 0.25 && Math.abs(offset + 1) < 0.2, `${slope} and ${offset}`);
  assert.ok(lossAfter < lossBefore);
  assert.ok(auc > 0.85 && auc < 1);
  assert.deepEqual([predictions, right], [400, judged.filter((each) => each.right).length]);
});

test("few predictions leave the halting head about as it is, and one that speaks against the truth gets no say", () => {
  assert.deepEqual(fitHaltingScale([]), { slope: 1, offset: 0, predictions: 0, right: 0, lossBefore: 0, lossAfter: 0, auc: 0.5 });
  const sure = fitHaltingScale([{ qHaltLogit: 3, right: true }]);
  assert.ok(Math.abs(sure.slope - 1) < 0.2 && Math.abs(sure.offset) < 0.2, "one right prediction moves nothing far");
  assert.equal(sure.auc, 0.5);
  const against = fitHaltingScale(Array.from({ length: 40 }, (_, i) => ({ qHaltLogit: i % 2 ? 3 : -3, right: i % 2 === 0 })));
  assert.deepEqual([against.slope, against.auc], [0, 0]);
  const odd = fitHaltingScale([
    { qHaltLogit: Number.NaN, right: false },
    { qHaltLogit: Number.POSITIVE_INFINITY, right: true },
  ]);
  assert.ok(Number.isFinite(odd.slope) && Number.isFinite(odd.lossAfter));
});

test("files whose votes are weighed in different ways are refused, all of them named", () => {
  const file = (where: string, weighting: VoteWeighting) => ({ where, weighting });
  refuseMixtures([file("a", "halting"), file("b", "halting")]);
  refuseMixtures([]);
  assert.throws(() => refuseMixtures([file("a", "count"), file("b", "count"), file("c", "halting"), file("d", "agreement")]), {
    problems: [
      "c weighs votes by halting, a by count; say with --weights what a vote of each is worth",
      "d weighs votes by agreement, a by count; say with --weights what a vote of each is worth",
    ],
  });
});

test("merged answers go by the weight of their votes; as votes of their own the weights stand for their number", () => {
  const file = (answers: { grid: Grid; votes: number; meanQ: number; weight: number }[]) => new Map([["t", [answers]]]);
  const one = file([
    { grid: A, votes: 9, meanQ: 0.1, weight: 1 },
    { grid: B, votes: 2, meanQ: 0.5, weight: 1 },
  ]);
  const other = file([{ grid: B, votes: 1, meanQ: 0.8, weight: 0.5 }]);
  const files = [one, other].map((answers, i) => ({ where: `${i}`, answers, weight: 1 }));
  assert.deepEqual(mergeAnswers(files).get("t"), [
    [
      { grid: B, votes: 3, meanQ: (1 * 0.8 + 2 * 0.5) / 3, weight: 1.5 },
      { grid: A, votes: 9, meanQ: 0.1, weight: 1 },
    ],
  ]);
  assert.deepEqual(
    strengthsAsVotes(
      file([
        { grid: A, votes: 9, meanQ: 0.1, weight: 1.5 },
        { grid: B, votes: 1, meanQ: 0, weight: 0 },
      ]),
    ).get("t"),
    [[{ grid: A, votes: 1.5, meanQ: 0.1 }]],
  );
});

test("a candidate file's weighting and weights are checked", () => {
  const text = (weighting: string, weight: string): string =>
    `{"version": 1, "voteWeight": ${weighting}, "tasks": {"t": [[{"grid": [[1]], "votes": 1, "meanQ": 0.5, "weight": ${weight}}]]}}`;
  assert.equal(parseAnswers(text('"halting"', "0.25"), "f").get("t")![0]![0]!.weight, 0.25);
  assert.throws(() => parseAnswers(text('"loudness"', "1"), "f"), /has the voteWeight loudness; expected count, halting, agreement/);
  assert.throws(() => parseAnswers(text('"halting"', "-1"), "f"), /weight is -1; expected a number from 0 up/);
});
