import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseChallenges } from "../../src/arc/challenges-json.ts";
import { type Grid, gridFromKey, gridFromRows, gridKey, gridToRows } from "../../src/arc/grid.ts";
import { fileMembers } from "../../src/arc/json-scan.ts";
import { InputError } from "../../src/errors.ts";
import { formatCandidates, parseAnswers } from "../../src/predict/candidate-file.ts";
import { chooseAttempts } from "../../src/submission/choose.ts";
import { formatSubmission } from "../../src/submission/format.ts";
import { validateSubmission } from "../../src/submission/validate.ts";
import { mergeRanked } from "../../src/vote/merge.ts";
import { type RankedAnswer, rankOrderFree } from "../../src/vote/rank.ts";
import { type Candidate, Tally } from "../../src/vote/tally.ts";

const anyRows = (max: number): fc.Arbitrary<number[][]> =>
  fc
    .tuple(fc.integer({ min: 1, max }), fc.integer({ min: 1, max }))
    .chain(([rows, cols]) =>
      fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: cols, maxLength: cols }), { minLength: rows, maxLength: rows }),
    );
const anyGrid: fc.Arbitrary<Grid> = anyRows(5).map(gridFromRows);
const anyId = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.nat().map(String),
  fc.constantFrom("__proto__", "constructor", "../x", "toString"),
);
/** Few different grids, one of them empty, so that answers coincide. */
const someGrid = fc.constantFrom([], [[1]], [[2]], [[1, 2]], [[1], [2]]).map(gridFromRows);
/** Few different logits, so that exact ties occur. */
const someLogit = fc.oneof(fc.constantFrom(-1, 0, 1), fc.double({ min: -20, max: 20, noNaN: true }));
const anyList: fc.Arbitrary<RankedAnswer[]> = fc
  .uniqueArray(
    fc.record(
      { grid: someGrid, votes: fc.integer({ min: 1, max: 9 }), meanQ: fc.integer({ min: 0, max: 16 }).map((n) => n / 16) },
      { noNullPrototype: true },
    ),
    {
      selector: ({ grid }) => gridKey(grid),
    },
  )
  .map(rankOrderFree);

test("a vote ignores the order in which candidates arrive and how they are dealt into rounds", () => {
  const votes = fc
    .array(fc.tuple(someGrid, someLogit), { maxLength: 30 })
    .chain((list) =>
      fc.tuple(
        fc.constant(list.map(([grid, qHaltLogit], order): Candidate => ({ taskId: "t", testIndex: 0, grid, qHaltLogit, order }))),
        fc.array(fc.nat(), { minLength: list.length, maxLength: list.length }),
      ),
    );
  fc.assert(
    fc.property(votes, ([candidates, keys]) => {
      const shuffled = candidates.map((candidate, i) => ({ candidate, key: keys[i]! })).sort((a, b) => a.key - b.key);
      const inOrder = new Tally();
      const asTheyCome = new Tally();
      for (const candidate of candidates) inOrder.add(candidate);
      for (const { candidate } of shuffled) {
        asTheyCome.add(candidate);
        asTheyCome.ranked("t", 0); // asking between rounds must not disturb
      }
      assert.deepEqual(asTheyCome.ranked("t", 0), inOrder.ranked("t", 0));
    }),
  );
});

test("a key gives its grid back, and keys of grids of one shape are in the order of their colours", () => {
  const shape = fc.tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 30 }));
  const colors = (length: number) => fc.uint8Array({ min: 0, max: 9, minLength: length, maxLength: length });
  const two = shape.chain(([rows, cols]) =>
    fc
      .tuple(colors(rows * cols), colors(rows * cols))
      .map((cells) => cells.map((own): Grid => ({ rows, cols, cells: own })) as [Grid, Grid]),
  );
  fc.assert(
    fc.property(two, ([a, b]) => {
      assert.deepEqual(gridFromKey(gridKey(a)), a);
      assert.equal(gridKey(a) < gridKey(b), Buffer.compare(a.cells, b.cells) < 0);
      assert.equal(gridKey(a) === gridKey(b), Buffer.compare(a.cells, b.cells) === 0);
    }),
  );
  assert.deepEqual(gridFromKey(gridKey(gridFromRows([]))), gridFromRows([]));
});

test("merging ignores the order of the files", () => {
  const weighted = fc.record({
    answers: anyList,
    weight: fc.oneof(fc.constantFrom(1, 2), fc.double({ min: 0.01, max: 100, noNaN: true })),
  });
  fc.assert(
    fc.property(fc.array(weighted, { maxLength: 5 }), fc.nat(), (lists, turn) => {
      const at = lists.length === 0 ? 0 : turn % lists.length;
      const turned = [...lists.slice(at), ...lists.slice(0, at)].reverse();
      assert.deepEqual(mergeRanked(turned), mergeRanked(lists));
    }),
  );
});

test("merging is associative, confidence up to rounding", () => {
  const merge = (...lists: RankedAnswer[][]) => mergeRanked(lists.map((answers) => ({ answers, weight: 1 })));
  const byGrid = (list: RankedAnswer[]) => new Map(list.map(({ grid, votes, meanQ }) => [gridKey(grid), { votes, meanQ }]));
  fc.assert(
    fc.property(anyList, anyList, anyList, (a, b, c) => {
      const left = merge(merge(a, b), c);
      const all = byGrid(merge(a, b, c));
      for (const [i, { grid, votes, meanQ }] of left.entries()) {
        const same = all.get(gridKey(grid));
        assert.equal(votes, same?.votes);
        assert.ok(Math.abs(meanQ - same!.meanQ) < 1e-12);
        const next = left[i + 1];
        if (next) assert.ok(votes > next.votes || meanQ > next.meanQ - 1e-12);
      }
      assert.equal(left.length, all.size);
    }),
  );
});

test("merging a list with nothing gives it back", () => {
  fc.assert(
    fc.property(anyList, (list) =>
      assert.deepEqual(
        mergeRanked([
          { answers: list, weight: 1 },
          { answers: [], weight: 7 },
        ]),
        list,
      ),
    ),
  );
});

test("a candidate file that is written and read is the same, ids in order", () => {
  const answer = fc.record(
    {
      grid: fc.oneof(anyGrid, fc.constant(gridFromRows([]))),
      votes: fc.oneof(fc.integer({ min: 1, max: 999 }), fc.double({ min: 1e-3, max: 1e3, noNaN: true })),
      meanQ: fc.double({ min: 0, max: 1, noNaN: true }).map((q) => q + 0), // JSON has no -0
    },
    { noNullPrototype: true },
  );
  const files = fc.array(fc.tuple(anyId, fc.array(fc.array(answer, { maxLength: 10 }), { maxLength: 3 }))).map((tasks) => new Map(tasks));
  fc.assert(
    fc.property(files, (file) => {
      const back = parseAnswers(formatCandidates(file), "f");
      assert.deepEqual([...back], [...file]);
    }),
  );
});

test("tasks that are written and read are the same, ids in order", () => {
  const rows = anyRows(4);
  const value = fc.record({
    train: fc.array(fc.record({ input: rows, output: rows }), { minLength: 1, maxLength: 3 }),
    test: fc.array(fc.record({ input: rows }), { minLength: 1, maxLength: 3 }),
  });
  const files = fc.uniqueArray(fc.tuple(anyId, value), { selector: ([id]) => id, minLength: 1 });
  fc.assert(
    fc.property(files, fc.constantFrom(undefined, 1, "\t"), (tasks, indent) => {
      const text = `{${tasks.map(([id, task]) => `${JSON.stringify(id)}: ${JSON.stringify(task, null, indent)}`).join(",\n")}}`;
      const read = parseChallenges(text, "f");
      assert.deepEqual(
        read.tasks.map(({ id, train, test }) => [
          id,
          {
            train: train.map(({ input, output }) => ({ input: gridToRows(input), output: gridToRows(output) })),
            test: test.map(({ input }) => ({ input: gridToRows(input) })),
          },
        ]),
        tasks.map(([id, { train, test }]) => [
          id,
          { train: train.map(({ input, output }) => ({ input, output })), test: test.map(({ input }) => ({ input })) },
        ]),
      );
      const { submission } = chooseAttempts(read.entries, new Map());
      assert.deepEqual(validateSubmission(formatSubmission(submission), read.entries), []);
      assert.deepEqual(
        [...submission.keys()],
        tasks.map(([id]) => id),
      );
    }),
  );
});

test("a text is found to be a JSON object exactly where JSON.parse finds one, however it is spoiled", () => {
  const spoiled = fc
    .tuple(
      fc.dictionary(fc.string(), fc.jsonValue({ depthSize: "small" }), { noNullPrototype: true }),
      fc.nat(),
      fc.integer({ min: 0, max: 2 }),
      fc.constantFrom("", ",", '"', "\\", "]", "}", "1", "-", ".", "e", " ", "\n", "u00", "null"),
    )
    .map(([value, at, cut, insert]) => {
      const text = JSON.stringify(value);
      const i = at % (text.length + 1);
      return text.slice(0, i) + insert + text.slice(i + cut);
    });
  fc.assert(
    fc.property(spoiled, (text) => {
      let parsed: unknown;
      try {
        parsed = JSON.parse(text);
      } catch {}
      const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
      if (!isObject) assert.throws(() => fileMembers(text, "f", "x"), InputError);
      else {
        const members = fileMembers(text, "f", "x");
        const found = new Map(members.map(({ key, start, end }) => [key, JSON.parse(text.slice(start, end))]));
        assert.deepEqual(new Set(found.keys()), new Set(Object.keys(parsed as object)));
        for (const [key, value] of found) assert.deepEqual(value, (parsed as Record<string, unknown>)[key]);
      }
    }),
    { numRuns: 2000 },
  );
});

test("a challenges file spoiled anywhere is refused with an InputError, or every one of its tasks can still be answered", () => {
  const pair = { input: [[1, 2]], output: [[3]] };
  const text = JSON.stringify({
    a: { train: [pair, pair], test: [{ input: [[4], [5]] }] },
    b: { test: [{ input: [[6]] }], train: [pair] },
  });
  const inserts = fc.constantFrom("", ",", '"', "]", "[", "}", "{", "1", "-", "null", "[]", "{}", ":", '"train":', '"b":1,');
  fc.assert(
    fc.property(fc.nat(text.length), fc.nat(12), inserts, (at, cut, insert) => {
      const spoiled = text.slice(0, at) + insert + text.slice(at + cut);
      try {
        const { entries, bad } = parseChallenges(spoiled, "f");
        assert.ok(bad.every(({ problems }) => problems.length > 0));
        const { submission } = chooseAttempts(entries, new Map());
        assert.deepEqual(validateSubmission(formatSubmission(submission), entries), []);
      } catch (error) {
        assert.ok(error instanceof InputError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
