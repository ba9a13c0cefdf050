import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDuration, parseDuration } from "../../../src/budget/duration.ts";
import { UserError } from "../../../src/errors.ts";

test("durations are read in all their forms", () => {
  const forms: [string, number][] = [
    ["11h30m", 41400],
    ["90s", 90],
    ["1m30s", 90],
    ["45", 45],
    ["1.5h", 5400],
    ["2H 5M", 7500],
    ["0", 0],
    ["0.25", 0.25],
    ["1h1s", 3601],
  ];
  for (const [text, seconds] of forms) assert.equal(parseDuration(text), seconds, text);
});

test("anything else is refused with the forms that are accepted", () => {
  for (const text of ["", " ", "h", "-5", "5x", "30m11h", "1h1h", "1e3", "Infinity", "1:30", "5 min"]) {
    assert.throws(
      () => parseDuration(text, "--budget"),
      (error) => error instanceof UserError && /^--budget ".*" is not a duration; write it as 11h30m, 1m30s, 90s/.test(error.message),
      text,
    );
  }
});

test("durations are written as people say them", () => {
  assert.equal(formatDuration(41400), "11h30m");
  assert.equal(formatDuration(90), "1m30s");
  assert.equal(formatDuration(41.2), "41s");
  assert.equal(formatDuration(9.44), "9.4s");
  assert.equal(formatDuration(9.97), "10s");
  assert.equal(formatDuration(59.7), "1m");
  assert.equal(formatDuration(0), "0s");
  assert.equal(formatDuration(-75), "-1m15s");
  assert.equal(formatDuration(Infinity), "unlimited");
});
