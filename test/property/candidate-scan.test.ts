import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { UserError } from "../../src/errors.ts";
import { formatCandidates, parseAnswers } from "../../src/predict/candidate-file.ts";
import { scanCandidates } from "../../src/predict/candidate-scan.ts";
import type { RankedAnswer } from "../../src/vote/rank.ts";
import { anyGrid } from "./any-grid.ts";

const anyAnswer: fc.Arbitrary<RankedAnswer> = fc.record({
  grid: fc.oneof({ weight: 9, arbitrary: anyGrid }, fc.constant({ rows: 0, cols: 0, cells: new Uint8Array(0) })),
  votes: fc.oneof(fc.integer({ min: 1, max: 500 }), fc.double({ min: 1e-9, max: 1e3, noNaN: true })),
  meanQ: fc.double({ min: 0, max: 1, noNaN: true }),
});
const anyAnswers = fc
  .array(fc.tuple(fc.stringMatching(/^[0-9a-f]{1,8}$/), fc.array(fc.array(anyAnswer, { maxLength: 3 }), { maxLength: 3 })), {
    maxLength: 4,
  })
  .map((tasks) => new Map(tasks));

/** Answers, or undefined where the file is refused. */
function slowly(text: string): Map<string, RankedAnswer[][]> | undefined {
  try {
    return parseAnswers(text, "file");
  } catch (error) {
    assert.ok(error instanceof UserError, `${error}`);
    return undefined;
  }
}
const plain = (answers: ReadonlyMap<string, RankedAnswer[][]>) =>
  [...answers].map(([id, lists]) => [id, lists.map((list) => list.map((a) => ({ ...a, grid: { ...a.grid, cells: [...a.grid.cells] } })))]);

test("what this program writes is read in the fast way, as in the slow one", () => {
  fc.assert(
    fc.property(anyAnswers, fc.boolean(), (answers, spaced) => {
      const written = formatCandidates(answers);
      const text = spaced ? written.replace(/([,:])(?=\S)/g, "$1 ") : written; // as Python's json writes
      const scanned = scanCandidates(Buffer.from(text));
      assert.ok(scanned, text);
      assert.deepEqual(plain(scanned.answers), plain(slowly(text)!));
      assert.equal(slowly(scanned.head)!.size, 0);
    }),
  );
});

test("a file with anything wrong in its tasks is never read in the fast way, and what is read so is read right", () => {
  const change = fc.record({
    at: fc.nat(),
    remove: fc.integer({ min: 0, max: 2 }),
    insert: fc.constantFrom("", "", "[", "]", "{", "}", ",", "3", "-", ".", '"', "e", " ", "\n", "é", "\\", "12"),
  });
  fc.assert(
    fc.property(anyAnswers, fc.array(change, { minLength: 1, maxLength: 2 }), (answers, changes) => {
      let text = formatCandidates(answers);
      for (const { at, remove, insert } of changes) {
        const place = at % text.length;
        text = text.slice(0, place) + insert + text.slice(place + remove);
      }
      const scanned = scanCandidates(Buffer.from(text));
      if (!scanned) return;
      const head = slowly(scanned.head);
      const whole = slowly(text);
      assert.deepEqual(head && plain(scanned.answers), whole && plain(whole), text);
    }),
    { numRuns: 2000 },
  );
});

test("numbers out of range, ragged or large grids and repeated ids are left to the slow way", () => {
  const file = (tasks: string): Buffer => Buffer.from(`{"version": 1, "tasks": {${tasks}}}`);
  const one = (grid: string, votes = "1", q = "0.5"): Buffer => file(`"a": [[{"grid": ${grid}, "votes": ${votes}, "meanQ": ${q}}]]`);
  assert.ok(scanCandidates(one("[[1, 2],[3, 4]]")));
  assert.ok(scanCandidates(one("[[1,2]]", "1e-3", "1")));
  const row = (cells: number): string => `[${new Array(cells).fill(1).join(",")}]`;
  assert.ok(scanCandidates(one(`[${new Array(30).fill(row(30)).join(",")}]`)));
  const refused = ["[[1,2],[3]]", "[[]]", "[[10]]", "[[-1]]", `[${row(31)}]`, `[${new Array(31).fill("[1]").join(",")}]`, "[[1,]]"];
  for (const grid of refused) assert.equal(scanCandidates(one(grid)), undefined, grid);
  for (const votes of ["0", "-1", "01", "1e999", "null", ""]) assert.equal(scanCandidates(one("[[1]]", votes)), undefined, votes);
  for (const q of ["1.1", "-0.1", "+1"]) assert.equal(scanCandidates(one("[[1]]", "1", q)), undefined, q);
  assert.equal(scanCandidates(file('"a": [], "a": []')), undefined);
  assert.equal(scanCandidates(Buffer.from('{"version": 1, "tasks": {}, "other": 1}')), undefined);
});
