import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { equalGrids, gridKey } from "../../src/arc/grid.ts";
import type { Pair } from "../../src/arc/task.ts";
import { generateRules, generateTask, isReservedScene, KINDS } from "../../src/generate/generate.ts";
import { createRandom } from "../../src/random.ts";

const anyKind = fc.constantFrom(...KINDS);
const anySeed = fc.integer({ min: 0, max: 2 ** 31 });

test("every pair has sides of 1..8 and colours 0..9, and its output is not its input", () => {
  for (const kind of KINDS) {
    fc.assert(
      fc.property(anySeed, (seed) => {
        const random = createRandom(seed);
        const { input, output } = kind.draw(random).pair(random);
        for (const { rows, cols, cells } of [input, output]) {
          assert.ok(rows >= 1 && rows <= 8 && cols >= 1 && cols <= 8 && cells.length === rows * cols, kind.name);
          assert.ok(
            cells.every((color) => color <= 9),
            kind.name,
          );
        }
        assert.ok(!equalGrids(input, output), kind.name);
      }),
      { numRuns: 40 },
    );
  }
});

test("a rule's pairs are what the rule answers, and come again with the same seed", () => {
  fc.assert(
    fc.property(anyKind, anySeed, (kind, seed) => {
      const rule = kind.draw(createRandom(seed));
      const pair = rule.pair(createRandom(seed).fork("pair"));
      assert.ok(equalGrids(rule.answer(pair.input), pair.output));
      assert.deepEqual(kind.draw(createRandom(seed)).pair(createRandom(seed).fork("pair")), pair);
    }),
    { numRuns: 300 },
  );
});

test("a kind's rules have labels of their own, as many as it says, and drawing gives one of them", () => {
  for (const kind of KINDS) {
    const labels = new Set(Array.from(kind.rules(), (rule) => rule.label));
    assert.equal(labels.size, kind.ruleCount, kind.name);
    const random = createRandom(kind.name);
    for (let i = 0; i < 20; i++) assert.ok(labels.has(kind.draw(random).label), kind.name);
  }
  assert.equal(new Set(KINDS.map((kind) => kind.name)).size, KINDS.length);
});

test("even one demonstration leaves one answer: all rules of all kinds that fit it agree on the test", () => {
  const rules = KINDS.filter((kind) => kind.ruleCount < 1000).flatMap((kind) => [...kind.rules()]);
  fc.assert(
    fc.property(anyKind, anySeed, fc.integer({ min: 1, max: 3 }), fc.boolean(), (kind, seed, pairs, reserved) => {
      const task = generateTask({ kind: kind.name, seed, pairs, tests: 2, reserved });
      const fitting = rules.filter((rule) => task.train.every(({ input, output }) => equalGrids(rule.answer(input), output)));
      assert.ok(fitting.length > 0 || kind.ruleCount >= 1000);
      for (const { input, output } of task.test as Pair[]) {
        for (const rule of fitting) assert.ok(equalGrids(rule.answer(input), output), rule.label);
      }
    }),
    { numRuns: 150 },
  );
});

test("a task's pairs differ, and no colour of a test pair is new on its side", () => {
  fc.assert(
    fc.property(anyKind, anySeed, (kind, seed) => {
      const task = generateTask({ kind: kind.name, seed, pairs: 4, tests: 1 });
      const test = task.test as Pair[];
      assert.equal(new Set([...task.train, ...test].map(({ input }) => gridKey(input))).size, 5);
      for (const side of ["input", "output"] as const) {
        const shown = new Set(task.train.flatMap((pair) => [...pair[side].cells]));
        assert.ok(
          test.every((pair) => pair[side].cells.every((color) => shown.has(color))),
          kind.name,
        );
      }
      assert.deepEqual(generateTask({ kind: kind.name, seed, pairs: 4, tests: 1 }), task);
      assert.match(task.id, /^[0-9a-f]{8}$/);
    }),
    { numRuns: 150 },
  );
});

test("pairs of a task differ even where a kind has few scenes", () => {
  fc.assert(
    fc.property(anySeed, (seed) => {
      const { train, test } = generateTask({ kind: "cross", seed, pairs: 10, tests: 10 });
      assert.equal(new Set([...train, ...test].map(({ input }) => gridKey(input))).size, 20);
    }),
    { numRuns: 30 },
  );
});

test("training pairs and pairs of reserved tasks never share a scene", () => {
  const rules = generateRules({ rulesPerKind: 8, seed: "scenes" });
  fc.assert(
    fc.property(fc.constantFrom(...rules), anyKind, anySeed, (rule, kind, seed) => {
      assert.ok(!isReservedScene(rule.pair(createRandom(seed)).input));
      const task = generateTask({ kind: kind.name, seed, pairs: 3, tests: 1, reserved: true });
      assert.ok([...task.train, ...task.test].every(({ input }) => isReservedScene(input)));
    }),
    { numRuns: 200 },
  );
});
