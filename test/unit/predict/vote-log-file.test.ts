import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { readVoteLog, type Vote, type VoteEntry, VoteLog } from "../../../src/predict/vote-log-file.ts";

const folder = mkdtempSync(join(tmpdir(), "trm-votes-"));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const newPath = (): string => join(folder, `votes-${files++}.bin`);

const anyVote: fc.Arbitrary<Vote> = fc
  .record({
    task: fc.nat(2 ** 32 - 1),
    testIndex: fc.nat(2 ** 16 - 1),
    variant: fc.nat(2 ** 32 - 1),
    rows: fc.integer({ min: 0, max: 30 }),
    cols: fc.integer({ min: 0, max: 30 }),
    qHaltLogit: fc.oneof(fc.float({ noNaN: true }), fc.constant(Number.NaN)),
    agreement: fc.option(fc.record({ steps: fc.integer({ min: 1, max: 64 }), of: fc.integer({ min: 1, max: 64 }) }), { nil: undefined }),
    colour: fc.nat(9),
  })
  .map(({ rows, cols, colour, agreement, ...vote }) => {
    const size = rows === 0 || cols === 0 ? { rows: 0, cols: 0 } : { rows, cols };
    const cells = Uint8Array.from({ length: size.rows * size.cols }, (_, i) => (colour + i * i) % 10);
    return { ...vote, grid: { ...size, cells }, ...(agreement && { agreement: { ...agreement } }) };
  });
const anyEntry: fc.Arbitrary<VoteEntry> = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 20 }).map((name) => ({ kind: "stage" as const, name })),
  anyVote.map((vote) => ({ kind: "vote" as const, vote })),
);

function write(path: string, entries: readonly VoteEntry[]): void {
  const log = new VoteLog(path, (text) => assert.fail(text));
  for (const entry of entries) {
    if (entry.kind === "stage") log.beginStage(entry.name);
    else log.add([entry.vote]);
  }
  log.close();
}

test("stages and votes come back as they were written, in their order", () => {
  fc.assert(
    fc.property(fc.array(anyEntry, { maxLength: 12 }), (entries) => {
      const path = newPath();
      write(path, entries);
      assert.deepEqual(readVoteLog(path), entries);
    }),
  );
});

test("a log cut short anywhere gives the entries before, and goes on from there", () => {
  fc.assert(
    fc.property(fc.array(anyEntry, { minLength: 1, maxLength: 6 }), anyEntry, fc.nat(), (entries, next, place) => {
      const whole = newPath();
      const ends: number[] = [];
      for (const entry of entries) {
        write(whole, [entry]);
        ends.push(statSync(whole).size);
      }
      const cut = place % (ends.at(-1)! + 1);
      const path = newPath();
      writeFileSync(path, readFileSync(whole).subarray(0, cut));
      const kept = ends.filter((end) => end <= cut).length;
      assert.deepEqual(readVoteLog(path), entries.slice(0, kept));
      write(path, [next]);
      assert.deepEqual(readVoteLog(path), [...entries.slice(0, kept), next]);
    }),
  );
});

test("a bit that was turned over ends what is read: no wrong vote is counted", () => {
  fc.assert(
    fc.property(fc.array(anyEntry, { minLength: 1, maxLength: 4 }), fc.nat(), fc.nat(7), (entries, place, bit) => {
      const path = newPath();
      write(path, entries);
      const bytes = readFileSync(path);
      bytes[place % bytes.length]! ^= 1 << bit;
      writeFileSync(path, bytes);
      const read = readVoteLog(path);
      assert.deepEqual(read, entries.slice(0, read.length));
      assert.ok(read.length < entries.length);
    }),
  );
});

test("where there is no log there are no votes; one of another kind holds none", () => {
  assert.deepEqual(readVoteLog(newPath()), []);
  const path = newPath();
  appendFileSync(path, "<!DOCTYPE html><html></html>");
  assert.deepEqual(readVoteLog(path), []);
});
