import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Ballot } from "../../src/adapt/ballot.ts";
import { type Grid, gridFromRows, gridToRows } from "../../src/arc/grid.ts";
import { chooseAttempts } from "../../src/submission/choose.ts";
import { Tally } from "../../src/vote/tally.ts";
import { type Agreement, VOTE_WEIGHTINGS, type Weigher, weigherOf } from "../../src/vote/weighting.ts";

interface Vote {
  readonly grid: Grid;
  readonly qHaltLogit: number;
  readonly agreement?: Agreement;
}

/** Few different grids, one of them empty, and few logits, so that ties of every kind occur. -800 and 800 have the probabilities 0 and 1. */
const GRIDS = [[], [[1]], [[2]], [[3]], [[4]]].map(gridFromRows);
const anyVote: fc.Arbitrary<Vote> = fc.record({
  grid: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(GRIDS[1]!, GRIDS[2]!) }, { weight: 2, arbitrary: fc.constantFrom(...GRIDS) }),
  qHaltLogit: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(-800, 0, 800, Number.NaN) },
    { weight: 1, arbitrary: fc.double({ min: -20, max: 20, noNaN: true }) },
  ),
});
const TASK = { id: "t", train: [], test: [{ input: gridFromRows([[9]]) }] };
const ENTRIES = [{ id: "t", task: TASK, problems: [], testInputs: 1 }] as unknown as Parameters<typeof chooseAttempts>[0];

/** The two answers that a ballot hands in: an earlier stage is there to fill up what the last one lacks. */
function handedIn(
  votes: readonly (Vote & { readonly order: number })[],
  planned: number | undefined,
  earlier: readonly Vote[] = [],
  weigher?: Weigher,
) {
  const ballot = new Ballot();
  ballot.beginStage(undefined, weigher);
  for (const [order, vote] of earlier.entries()) ballot.add({ taskId: "t", testIndex: 0, order, ...vote });
  ballot.beginStage(planned, weigher);
  let asked = 0;
  for (const vote of votes) {
    if (ballot.isDecided("t", 0)) break;
    asked++;
    ballot.add({ taskId: "t", testIndex: 0, ...vote });
  }
  const ranked = ballot.rankedAll(ENTRIES);
  const attempts = chooseAttempts(ENTRIES, ranked).submission.get("t")![0]!.map(gridToRows);
  return { attempts, asked, isDecided: ballot.isDecided("t", 0), ranked: ranked.get("t")![0]! };
}

const numbered = (votes: readonly Vote[]) => votes.map((vote, order) => ({ ...vote, order }));

test("votes that are cut where an input is decided hand in the same two answers, in the same order, as all of them", () => {
  let cut = 0;
  fc.assert(
    fc.property(fc.array(anyVote, { minLength: 1, maxLength: 24 }), fc.array(anyVote, { maxLength: 3 }), (votes, earlier) => {
      const whole = handedIn(numbered(votes), undefined, earlier);
      const short = handedIn(numbered(votes), votes.length, earlier);
      assert.equal(whole.asked, votes.length);
      assert.deepEqual(short.attempts, whole.attempts);
      if (short.asked < votes.length) cut++;
    }),
    { numRuns: 3000 },
  );
  assert.ok(cut > 150, `only ${cut} of 3000 votes were cut`);
});

test("an input is decided exactly when no votes to come, of any grids and probabilities, would change an answer", () => {
  // what an adversary may say: what was said, something new, sure of it or not at all
  const choices = [1, 2, 3, 4].flatMap((i) => [-800, 800].map((qHaltLogit) => ({ grid: GRIDS[i]!, qHaltLogit })));
  const completions = (length: number): Vote[][] =>
    length === 0 ? [[]] : completions(length - 1).flatMap((votes) => choices.map((vote) => [...votes, vote]));
  let [decided, open] = [0, 0];
  fc.assert(
    fc.property(fc.array(anyVote, { minLength: 1, maxLength: 10 }), fc.integer({ min: 1, max: 3 }), (votes, remaining) => {
      const planned = votes.length + remaining;
      const now = handedIn(numbered(votes), planned);
      fc.pre(now.asked === votes.length); // not decided before
      const before = handedIn(numbered(votes), undefined).attempts;
      const changes = completions(remaining).some((more) => {
        const after = handedIn(numbered([...votes, ...more]), undefined).attempts;
        return JSON.stringify(after) !== JSON.stringify(before);
      });
      assert.equal(now.isDecided, !changes);
      if (changes) open++;
      else decided++;
    }),
    { numRuns: 600 },
  );
  assert.ok(decided > 20 && open > 20, `${decided} decided, ${open} open`);
});

test("the votes that count do not depend on the order in which they come, nor on how many come after the decision", () => {
  const scene = fc
    .array(anyVote, { minLength: 1, maxLength: 16 })
    .chain((votes) => fc.tuple(fc.constant(numbered(votes)), fc.array(fc.nat(), { minLength: votes.length, maxLength: votes.length })));
  fc.assert(
    fc.property(scene, ([votes, keys]) => {
      const inOrder = new Tally(votes.length);
      for (const vote of votes) inOrder.add({ taskId: "t", testIndex: 0, ...vote });
      const shuffled = votes.map((vote, i) => ({ vote, key: keys[i]! })).sort((a, b) => a.key - b.key);
      const asTheyCome = new Tally(votes.length);
      for (const { vote } of shuffled) {
        asTheyCome.add({ taskId: "t", testIndex: 0, ...vote });
        asTheyCome.ranked("t", 0);
      }
      assert.equal(asTheyCome.isDecided("t", 0), true);
      assert.deepEqual(asTheyCome.ranked("t", 0), inOrder.ranked("t", 0));
      assert.equal(asTheyCome.total, inOrder.total);
    }),
    { numRuns: 1000 },
  );
});

/** Votes of every weight, 0 and 1 among them. */
const anyWeighed: fc.Arbitrary<Vote> = fc
  .record({ vote: anyVote, steps: fc.integer({ min: 1, max: 4 }) })
  .map(({ vote, steps }) => ({ ...vote, agreement: { steps, of: 4 } }));
const anyWeigher: fc.Arbitrary<Weigher> = fc
  .record({
    weighting: fc.constantFrom(...VOTE_WEIGHTINGS),
    slope: fc.double({ min: 0, max: 3, noNaN: true }),
    offset: fc.double({ min: -4, max: 4, noNaN: true }),
  })
  .map(({ weighting, ...scale }) => weigherOf(weighting, scale));

test("votes with weights that are cut where an input is decided hand in the same two answers, in the same order, as all of them", () => {
  let cut = 0;
  fc.assert(
    fc.property(
      fc.array(anyWeighed, { minLength: 1, maxLength: 24 }),
      fc.array(anyWeighed, { maxLength: 3 }),
      anyWeigher,
      (votes, earlier, weigher) => {
        const whole = handedIn(numbered(votes), undefined, earlier, weigher);
        const short = handedIn(numbered(votes), votes.length, earlier, weigher);
        assert.deepEqual(short.attempts, whole.attempts);
        if (weigher.weighting !== "count" && short.asked < votes.length) cut++;
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(cut > 50, `only ${cut} of the weighted votes were cut`);
});

test("weights of 1 rank, decide and count as votes that have none", () => {
  const ones: Weigher = { weighting: "agreement", weigh: () => 1 };
  fc.assert(
    fc.property(fc.array(anyWeighed, { minLength: 1, maxLength: 24 }), (votes) => {
      const plain = handedIn(numbered(votes), undefined, []);
      const weighed = handedIn(numbered(votes), undefined, [], ones);
      assert.deepEqual(
        weighed.ranked.map(({ weight, ...answer }) => [answer, weight]),
        plain.ranked.map((answer) => [answer, answer.votes]),
      );
      assert.deepEqual(handedIn(numbered(votes), undefined, [], weigherOf("count")), plain);
    }),
    { numRuns: 1000 },
  );
});
