import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatDuration, parseDuration } from "../../src/budget/duration.ts";

test("whole seconds survive being written and read", () => {
  fc.assert(
    fc.property(fc.nat({ max: 10 ** 7 }), (seconds) => {
      assert.equal(parseDuration(formatDuration(seconds)), seconds);
    }),
  );
});
