import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Ballot } from "../../../src/adapt/ballot.ts";
import type { Grid } from "../../../src/arc/grid.ts";

/** A 1 x 1 grid of a colour; `empty` stands for the grid that can't be handed in. */
const grid = (color: number): Grid => ({ rows: 1, cols: 1, cells: Uint8Array.of(color) });
const EMPTY: Grid = { rows: 0, cols: 0, cells: new Uint8Array(0) };

class Voting {
  readonly ballot = new Ballot();
  #order = 0;

  stage(...votes: (number | "empty")[]): this {
    this.ballot.beginStage();
    for (const vote of votes) {
      const answer = vote === "empty" ? EMPTY : grid(vote);
      this.ballot.add({ taskId: "t", testIndex: 0, grid: answer, qHaltLogit: 0, order: this.#order++ });
    }
    return this;
  }

  ranked(): (number | "empty")[] {
    return this.ballot.ranked("t", 0).map(({ grid: { rows, cells } }) => (rows === 0 ? "empty" : cells[0]!));
  }
}

test("the latest stage's answers come first, by their votes", () => {
  assert.deepEqual(new Voting().stage(1, 1, 1, 2).stage(3, 4, 4).ranked(), [4, 3]);
});

test("earlier answers fill up what a stage lacks to two, the latest stage's first", () => {
  assert.deepEqual(new Voting().stage(1, 1, 2).stage(5, 5, 6).stage(7).ranked(), [7, 5, 6]);
  assert.deepEqual(new Voting().stage(1, 1, 2).stage(2).ranked(), [2, 1]);
  assert.deepEqual(new Voting().stage(1, 2).stage().ranked(), [1, 2]);
});

test("an empty grid does not count as an answer that could be handed in", () => {
  assert.deepEqual(new Voting().stage(1, 1, 2).stage("empty", 3).ranked(), ["empty", 3, 1, 2]);
});

test("a vote counts for the current stage alone, and one made twice counts once", () => {
  const { ballot } = new Voting().stage(1, 1, 1);
  ballot.beginStage();
  assert.equal(ballot.votes("t", 0), 0);
  const vote = { taskId: "t", testIndex: 0, grid: grid(2), qHaltLogit: 0, order: 0 };
  assert.equal(ballot.add(vote), true);
  assert.equal(ballot.add(vote), false);
  assert.equal(ballot.votes("t", 0), 1);
});

test("a later stage never takes an answer away: two answers that could be handed in stay two", () => {
  const votes = fc.array(fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constant("empty" as const)), { maxLength: 5 });
  fc.assert(
    fc.property(fc.array(votes, { minLength: 1, maxLength: 4 }), (stages) => {
      const voting = new Voting();
      let before = 0;
      for (const stage of stages) {
        voting.stage(...stage);
        const answers = voting.ranked();
        assert.equal(new Set(answers).size, answers.length, "an answer twice");
        const usable = Math.min(2, answers.filter((answer) => answer !== "empty").length);
        assert.ok(usable >= before, `${usable} answers, ${before} before`);
        if (stage.length > 0) assert.ok(stage.includes(answers[0]!), "the newest stage leads");
        before = usable;
      }
    }),
  );
});

test("inputs without a vote have no answer, and all inputs of a task are listed", () => {
  const { ballot } = new Voting().stage(1);
  const task = { id: "t", train: [], test: [{ input: grid(0) }, { input: grid(0) }] };
  const entries = [{ id: "t", task, problems: [], testInputs: 2 }] as unknown as Parameters<Ballot["rankedAll"]>[0];
  assert.deepEqual(
    ballot
      .rankedAll(entries)
      .get("t")!
      .map((answers) => answers.length),
    [1, 0],
  );
});
