import assert from "node:assert/strict";
import { test } from "node:test";
import { RowCarry } from "../../../src/model/carry.ts";
import { createRandom, type Random } from "../../../src/random.ts";

const example = (puzzleId: number) => ({ inputs: Int32Array.of(puzzleId), labels: Int32Array.of(puzzleId), puzzleId });
/** Steps that a row runs until it halts. */
function stepsUntilHalt(carry: RowCarry, q: number, random: (row: number) => Random, probability: number): number {
  carry.refill(() => example(1));
  for (;;) {
    carry.advance({ haltMaxSteps: 6, explorationProbability: probability }, () => q, random);
    if (carry.halted[0]) return carry.steps[0]!;
  }
}

test("only halted rows take a new sample; the others keep theirs and count on", () => {
  const carry = new RowCarry(3, 1);
  assert.deepEqual([...carry.refill((row) => example(10 + row))], [1, 1, 1]);
  carry.advance({ haltMaxSteps: 5, explorationProbability: 0 }, (row) => (row === 1 ? 0.1 : -0.1));
  assert.deepEqual([...carry.halted], [0, 1, 0]);
  assert.deepEqual([...carry.refill(() => example(99))], [0, 1, 0]);
  assert.deepEqual([...carry.puzzleIds], [10, 99, 12]);
  assert.deepEqual([...carry.inputs], [10, 99, 12]);
  assert.deepEqual([...carry.steps], [1, 0, 1]);
});

test("without halting logits, as in evaluation, every row runs to the end", () => {
  const carry = new RowCarry(1, 1);
  carry.refill(() => example(1));
  const halted = [1, 2, 3].map(() => {
    carry.advance({ haltMaxSteps: 3, explorationProbability: 0 });
    return carry.halted[0];
  });
  assert.deepEqual(halted, [0, 0, 1]);
});

test("a logit of exactly 0 does not halt", () => {
  const carry = new RowCarry(1, 1);
  assert.equal(
    stepsUntilHalt(carry, 0, () => createRandom(0), 0),
    6,
  );
  assert.equal(
    stepsUntilHalt(carry, 1e-6, () => createRandom(0), 0),
    1,
  );
});

test("exploration holds a row that would halt for at least two steps, never beyond the last, and not always equally long", () => {
  const carry = new RowCarry(1, 1);
  const lengths = Array.from({ length: 300 }, (_, trial) => {
    const random = createRandom(`explore ${trial}`);
    return stepsUntilHalt(carry, 1, () => random, 1);
  });
  assert.ok(lengths.every((steps) => steps >= 2 && steps <= 6));
  // A bound of 2..6 drawn anew each step: after two steps it lets a row go with 1/5, after three with 4/5 * 2/5.
  const part = (steps: number): number => lengths.filter((length) => length === steps).length / lengths.length;
  assert.ok(Math.abs(part(2) - 0.2) < 0.07 && Math.abs(part(3) - 0.32) < 0.08, `${part(2)}, ${part(3)}`);
  assert.deepEqual([...new Set(lengths)].sort(), [2, 3, 4, 5, 6]);
  const share = (probability: number): number => {
    let random = 0;
    const held = Array.from({ length: 2000 }, () => stepsUntilHalt(carry, 1, () => createRandom(random++), probability) > 1);
    return held.filter(Boolean).length / held.length;
  };
  assert.ok(Math.abs(share(0.1) - 0.1) < 0.03);
  assert.equal(share(0), 0);
});

test("exploration never shortens: a row that would go on goes on", () => {
  const carry = new RowCarry(1, 1);
  for (let trial = 0; trial < 50; trial++) {
    const random = createRandom(trial);
    assert.equal(
      stepsUntilHalt(carry, -1, () => random, 0.5),
      6,
    );
  }
});
