import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { RowFile } from "../../src/checkpoint/row-file.ts";
import { PuzzleEmbedding, type RowStart } from "../../src/model/puzzle-embedding.ts";
import { RowCache } from "../../src/model/row-store.ts";

const SIZE = 3;
const start: RowStart = (id, out) => {
  out[0] = id;
};

/** What can be done to a table. */
const step = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), id: fc.nat(30), value: fc.float({ noNaN: true }) }),
  fc.record({ kind: fc.constant("put" as const), id: fc.nat(30), value: fc.float({ noNaN: true }) }),
  fc.record({ kind: fc.constant("gather" as const), ids: fc.array(fc.nat(30), { maxLength: 12 }) }),
  fc.record({ kind: fc.constant("forget" as const), below: fc.nat(30) }),
);

test("a table with few rows in memory, the others in a file, is the same table", () => {
  const folder = mkdtempSync(join(tmpdir(), "trm-rows-"));
  try {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 10 }), (steps, capacity) => {
        const file = new RowFile(folder, SIZE);
        const whole = new PuzzleEmbedding(SIZE, start);
        const spilled = new PuzzleEmbedding(SIZE, start, new RowCache(SIZE, capacity, file));
        for (const action of steps) {
          for (const table of [whole, spilled]) {
            if (action.kind === "write") table.row(action.id)[1] = action.value;
            if (action.kind === "put") table.put(action.id, Float32Array.of(action.value, 1, 2));
            if (action.kind === "forget") table.forget((id) => id < action.below);
          }
          if (action.kind === "gather") assert.deepEqual(spilled.gather(action.ids), whole.gather(action.ids));
        }
        assert.deepEqual(spilled.touched(), whole.touched());
        assert.deepEqual(spilled.gather(spilled.touched()), whole.gather(whole.touched()));
        file.close();
      }),
    );
    assert.deepEqual(readdirSync(folder), [], "nobody sees the file");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a row that is put in place is what was put there, and where it would begin is not asked", () => {
  const asked: number[] = [];
  const table = new PuzzleEmbedding(SIZE, (id, out) => {
    asked.push(id);
    out.fill(9);
  });
  table.put(4, Float32Array.of(1, 2, 3));
  table.put(4, Float32Array.of(4, 5, 6));
  assert.deepEqual(table.gather([4, 5]), Float32Array.of(4, 5, 6, 9, 9, 9));
  assert.deepEqual(asked, [5]);
});

test("rows in memory never outnumber the capacity, and unchanged ones are not written again", () => {
  const written: number[] = [];
  const kept = new Map<number, Float32Array>();
  const spill = {
    read: (place: number, row: Float32Array) => row.set(kept.get(place)!),
    write: (place: number, row: Float32Array) => {
      written.push(place);
      kept.set(place, row.slice());
    },
  };
  const table = new PuzzleEmbedding(SIZE, start, new RowCache(SIZE, 4, spill));
  for (let id = 0; id < 10; id++) table.row(id);
  assert.deepEqual(written, [0, 1, 2, 3, 4, 5]);
  table.gather([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]); // the last four are written when they make room, the others are as they were
  assert.deepEqual(written, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  table.gather([0, 1, 2, 3, 4, 5]);
  assert.equal(written.length, 10);
});
