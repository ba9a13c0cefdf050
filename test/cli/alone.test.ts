import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { assertValid, BUNDLE, folder, QUICK, roomySeconds, SAMPLE, toyCheckpoint } from "./toy.ts";

test("the bundle and a checkpoint run alone: nothing around them, an empty home, no network, nothing that may be changed", async (t) => {
  const place = join(folder, "alone");
  const home = join(folder, "home");
  mkdirSync(home);
  mkdirSync(join(place, "checkpoint"), { recursive: true });
  const checkpoint = await toyCheckpoint();
  const copies = [
    [BUNDLE, join(place, "trm.mjs")],
    [SAMPLE, join(place, "challenges.json")],
    ...readdirSync(checkpoint).map((name) => [join(checkpoint, name), join(place, "checkpoint", name)]),
  ] as [string, string][];
  for (const [from, to] of copies) {
    copyFileSync(from, to);
    chmodSync(to, 0o444);
  }
  for (const name of ["checkpoint", "."]) chmodSync(join(place, name), 0o555);

  const unshare = ["unshare", "--map-root-user", "--net", "--"];
  const cutOff = spawnSync(unshare[0]!, [...unshare.slice(1), "true"]).status === 0;
  if (!cutOff) t.diagnostic("`unshare --net` does not work here: run with the network in reach");
  const budget = await roomySeconds();
  const out = join(folder, "out", "submission.json");
  const options = [
    "run",
    "--challenges",
    "challenges.json",
    "--checkpoint",
    "checkpoint",
    "--out",
    out,
    "--budget",
    `${budget}s`,
    "--json",
  ];
  const env = ["env", "-i", `PATH=${dirname(process.execPath)}`, `HOME=${home}`];
  const [command, ...rest] = [...(cutOff ? unshare : []), ...env, process.execPath, "trm.mjs", ...options, ...QUICK];
  const began = performance.now();
  const { status, stdout, stderr } = spawnSync(command!, rest, { cwd: place, encoding: "utf8" });
  const seconds = (performance.now() - began) / 1000;
  assert.equal(status, 0, stderr);
  const result = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as Record<string, number>;
  assert.ok(seconds <= budget + 2, `took ${seconds} s`);
  assert.ok(result.steps! > 0 && result.votes! > 0, stderr);
  await assertValid(out);
  assert.deepEqual(readdirSync(home), [], "it wrote into the home folder");
  assert.deepEqual(readdirSync(place).sort(), ["challenges.json", "checkpoint", "trm.mjs"], "it wrote beside the bundle");
  for (const name of ["checkpoint", "."]) chmodSync(join(place, name), 0o755); // so that the folder can be removed
});
