/** What a command must not write over: what it reads, and what an earlier run has left. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { childrenOf, folder, lastLine, put, runArguments, SAMPLE, start, trm } from "./toy.ts";

const textOf = (path: string): string => readFileSync(path, "utf8");

test("a run that can't begin leaves submission and folder of the one before as they are; one that begins over an unfinished one sets it aside", async () => {
  const { args, out } = await runArguments("keeps", "300s");
  const runDir = join(folder, "keeps", "run");
  const all = [...args, "--run-dir", runDir, "--limit", "2", "--snapshot-every", "0.2s", "--workers", "1"];
  const running = start(...all, "--steps", "100000");
  await running.said(/train +step/);
  for (let i = 0; i < 200 && !existsSync(join(runDir, "snapshot", "a", "training.json")); i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  for (const pid of [running.child.pid!, ...childrenOf(running.child.pid!)]) process.kill(pid, "SIGKILL");
  await running.ended;
  const files = (): Record<string, string> =>
    Object.fromEntries(
      [out, ...["config.json", "run.json", "candidates.json", "submission.json", "events.jsonl"].map((name) => join(runDir, name))].map(
        (path) => [path, textOf(path)],
      ),
    );
  const before = files();
  for (const [message, ...options] of [
    [/nosuch\.json/, "--solutions", join(folder, "nosuch.json")],
    [/nosuch: no such folder/, "--checkpoint", join(folder, "nosuch")],
    [/--require-gpus 64/, "--require-gpus", "64"],
    [/--canvas 99/, "--canvas", "99"],
  ] as const) {
    const { status, stderr } = await trm(...all, ...options);
    assert.equal(status, 1, stderr);
    assert.match(stderr, message);
    assert.deepEqual(files(), before, options.join(" "));
  }

  const anew = await trm(...all, "--steps", "1", "--json");
  assert.equal(lastLine(anew).steps, 1);
  assert.match(
    anew.stderr,
    /warning: .*run held a run that had not come to its end: it lies in .*previous-1 now, where `run --resume .*previous-1` goes on with it/,
  );
  const previous = join(runDir, "previous-1");
  assert.equal(textOf(join(previous, "run.json")), before[join(runDir, "run.json")]);
  const resumed = start("run", "--resume", previous, "--json");
  await resumed.said(/the state after optimizer step [1-9]\d* is taken up/);
  resumed.child.kill("SIGTERM");
  await resumed.ended;
  // A run that came to its end is no loss.
  assert.doesNotMatch((await trm(...all, "--steps", "1")).stderr, /had not come to its end/);
});

test("an output that is an input, or another output, is refused, whatever it is called; nothing is written", async () => {
  const { args } = await runArguments("clash", "30s");
  const here = join(folder, "clash");
  const challenges = put("clash/challenges.json", textOf(SAMPLE));
  symlinkSync(challenges, join(here, "link.json"));
  const before = readdirSync(here);
  const refused = async (message: RegExp, ...words: string[]): Promise<void> => {
    const { status, stderr } = await trm(...words);
    assert.equal(status, 1, stderr);
    assert.match(stderr, message);
  };
  const run = [...args, "--challenges", challenges];
  await refused(/--out .*challenges\.json is --challenges too, which would be written over/, ...run, "--out", challenges);
  await refused(/--out .*link\.json is --challenges too/, ...run, "--out", join(here, "link.json"));
  await refused(/--out .*candidates\.json is a file of the run too/, ...run, "--out", join(here, "candidates.json"));
  await refused(
    /--out .*events\.jsonl is a file of the run too/,
    ...run,
    "--run-dir",
    join(here, "run"),
    "--out",
    join(here, "run", "events.jsonl"),
  );
  const settings = put("clash/run/config.json", '{"batchSize": 8}');
  await refused(/a file of the run .*config\.json is --config too/, ...run, "--run-dir", join(here, "run"), "--config", settings);
  assert.equal(textOf(settings), '{"batchSize": 8}');
  const [a, b] = ["a", "b"].map((name) => put(`merge/${name}.json`, '{"t": [{"attempt_1": [[1]], "attempt_2": [[2]]}]}')) as [
    string,
    string,
  ];
  await refused(/--out .*a\.json is a file to merge too/, "merge", a, b, "--out", a);
  await refused(/--candidates .*x\.json is --out too/, "merge", a, b, "--out", join(here, "x.json"), "--candidates", join(here, "x.json"));
  await refused(/--out .*challenges\.json is --challenges too/, "merge", a, b, "--challenges", challenges, "--out", challenges);
  assert.equal(textOf(challenges), textOf(SAMPLE));
  assert.deepEqual(
    readdirSync(here).filter((name) => name !== "run"),
    before,
  );
});

test("where the file system refuses a path, that is told in a line, and the status is that of what can be mended", async () => {
  const file = put("refusals/a.json", '{"t": [{"attempt_1": [[1]], "attempt_2": [[2]]}]}');
  for (const words of [
    ["merge", file, "--out", folder],
    ["merge", file, "--out", join(file, "x.json")],
    ["generate", "--tasks", "1", "--out", folder],
    ["score", join(file, "x"), "--solutions", file],
  ]) {
    const { status, stderr } = await trm(...words);
    assert.equal(status, 1, `${words.join(" ")}: ${stderr}`);
    assert.doesNotMatch(stderr, /\n\s+at |internal:/);
  }
  const unknown = await trm("nosuch");
  assert.equal(unknown.stderr, "nosuch: no such command\nsee `trm --help`\n");
  assert.match((await trm("rum")).stderr, /^rum: no such command\. Did you mean run\?\nsee `trm --help`/);
});
