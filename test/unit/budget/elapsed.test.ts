import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClockRecord, elapsedSince, workedSince } from "../../../src/budget/elapsed.ts";

/** A run that began when the monotonic clock stood at 5000 s, and noted itself 100 s later. */
const RECORD: ClockRecord = { bootId: "boot-1", monotonicStart: 5000, elapsedSeconds: 100, wallMillis: 1_700_000_000_000 };
const HOUR = 3_600_000;

test("on the same boot the monotonic clock alone tells, wherever the wall clock was set", () => {
  for (const wallMillis of [RECORD.wallMillis - 24 * HOUR, RECORD.wallMillis, RECORD.wallMillis + 24 * HOUR]) {
    assert.equal(elapsedSince(RECORD, { bootId: "boot-1", monotonicSeconds: 5340, wallMillis }), 340);
  }
});

test("after another boot, whose monotonic clock began anew, the wall clock tells how long nothing ran", () => {
  assert.equal(elapsedSince(RECORD, { bootId: "boot-2", monotonicSeconds: 20, wallMillis: RECORD.wallMillis + 240_000 }), 340);
});

test("a wall clock that was set back in between adds nothing, and takes nothing away", () => {
  assert.equal(elapsedSince(RECORD, { bootId: "boot-2", monotonicSeconds: 9000, wallMillis: RECORD.wallMillis - 5 * HOUR }), 100);
});

test("where the system does not name its boots, they count as different", () => {
  const record = { ...RECORD, bootId: "" };
  assert.equal(elapsedSince(record, { bootId: "", monotonicSeconds: 20, wallMillis: RECORD.wallMillis + 60_000 }), 160);
});

test("what was noted as passed stays passed, though a monotonic clock should tell otherwise", () => {
  assert.equal(elapsedSince(RECORD, { bootId: "boot-1", monotonicSeconds: 5050, wallMillis: RECORD.wallMillis }), 100);
});

test("where pauses are free, what passes is the time of the process that goes on, whatever the clocks say", () => {
  assert.equal(workedSince(RECORD, 0.5), 100.5);
  assert.equal(workedSince({ ...RECORD, timeScale: 0.01 }, 0.5), 150);
});

test("a rehearsal's clock runs faster, also while nothing runs", () => {
  const record = { ...RECORD, timeScale: 0.01, monotonicStart: 500_000 }; // 5000 s of the machine's clock
  const wallMillis = RECORD.wallMillis + 2_000;
  assert.equal(elapsedSince(record, { bootId: "boot-1", monotonicSeconds: 5003, wallMillis }), 300);
  assert.equal(elapsedSince(record, { bootId: "boot-2", monotonicSeconds: 20, wallMillis }), 300);
});
