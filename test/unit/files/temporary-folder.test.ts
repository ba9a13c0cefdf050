import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { makeTemporaryFolder } from "../../../src/files/temporary-folder.ts";

test("a temporary folder is had though the usual place has gone, is none, or is too long", () => {
  const before = process.env.TMPDIR;
  const own = mkdtempSync(join(tmpdir(), "trm-temporary-"));
  const made: string[] = [];
  const make = (place: string, longest?: number): string => {
    process.env.TMPDIR = place;
    made.push(makeTemporaryFolder("trm-try-", longest));
    return made.at(-1)!;
  };
  try {
    const gone = join(own, "gone");
    assert.equal(dirname(make(gone)), gone, "made again");
    assert.equal(statSync(made[0]!).mode & 0o777, 0o700);
    const file = join(own, "file");
    writeFileSync(file, "");
    const other = make(file);
    assert.ok(existsSync(other) && dirname(other) !== file);
    assert.equal(dirname(make(join(own, "long".repeat(20)), 60)), "/tmp");
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    for (const path of [own, ...made]) rmSync(path, { recursive: true, force: true });
  }
});
