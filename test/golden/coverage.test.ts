import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { FIXTURES } from "./npz.ts";

const files = readdirSync(FIXTURES);
const sources = readdirSync(join("test", "golden"))
  .filter((name) => name.endsWith(".test.ts") && name !== "coverage.test.ts")
  .map((name) => readFileSync(join("test", "golden", name), "utf8"));

test("every npz fixture is opened by a golden test, which asserts that all of its arrays were read", () => {
  const archives = files.filter((name) => name.endsWith(".npz")).map((name) => name.replace(/\.npz$/, ""));
  assert.ok(archives.length >= 14);
  for (const name of archives) {
    const covered = sources.some((source) =>
      // the variable that holds the archive, and the same variable's `unread`
      [...source.matchAll(/const (\w+) = new Npz\("([\w-]+)"\)|(\w+) = new Npz\("([\w-]+)"\)/g)].some((match) => {
        const [variable, opened] = [match[1] ?? match[3]!, match[2] ?? match[4]!];
        return opened === name && source.includes(`assert.deepEqual(${variable}.unread, [])`);
      }),
    );
    assert.ok(covered, `${name}.npz: no golden test opens it and asserts that nothing of it is unread`);
  }
});

test("every other fixture is named by a golden test", () => {
  const others = files.filter((name) => /\.(json|pt)$/.test(name));
  for (const name of others) {
    const stem = name.replace(/\.json$/, "");
    // Side files describe an archive; those that hold results are read by name.
    const described = files.includes(`${stem}.npz`) || stem === "tolerances";
    assert.ok(described || sources.some((source) => source.includes(`"${stem}"`)), `${name} is read by no golden test`);
  }
});
