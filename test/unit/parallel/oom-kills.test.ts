import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { countOomKills } from "../../../src/parallel/oom-kills.ts";

const folder = mkdtempSync(join(tmpdir(), "trm-oom-"));
after(() => rmSync(folder, { recursive: true }));

/** As the kernel writes them: control groups of version 2 and 1, and the whole machine. */
const TEXTS = {
  "memory.events": "low 0\nhigh 12\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n",
  "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
  vmstat: "pgfault 81245\noom_kill 9\ncompact_stall 0\n",
};

test("kills for want of memory are counted where the first place tells of them", () => {
  const paths = Object.entries(TEXTS).map(([name, text]) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  });
  const missing = join(folder, "none");
  const silent = join(folder, "silent");
  writeFileSync(silent, "oom_kill_disable 0\nunder_oom 0\n"); // older kernels
  assert.equal(countOomKills(paths), 2);
  assert.equal(countOomKills([missing, silent, ...paths.slice(1)]), 5);
  assert.equal(countOomKills([missing, paths[2]!]), 9);
  assert.equal(countOomKills([missing]), undefined);
});

test("this machine tells, if it has the usual places at all", (t) => {
  const count = countOomKills();
  t.diagnostic(`${count} so far`);
  assert.ok(count === undefined || (Number.isInteger(count) && count >= 0));
});
