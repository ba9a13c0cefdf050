import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { EarlierRun } from "../../src/adapt/run-folder.ts";
import { RUN_DEFAULTS, type RunArgs } from "../../src/cli/run-args.ts";
import { optionsOf } from "../../src/cli/run-resume.ts";
import type { EventLog } from "../../src/events.ts";
import {
  assertGone,
  assertValid,
  childrenOf,
  folder,
  lastLine,
  processesHere,
  put,
  type Running,
  roomySeconds,
  runArguments,
  SAMPLE,
  start,
  trm,
} from "./toy.ts";

interface Event {
  readonly event: string;
  readonly seconds: number;
  readonly text: string;
}

const events = (runDir: string): Event[] =>
  readFileSync(join(runDir, "events.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Event);

/** Kills a run and its workers, as a machine that goes down would. */
async function killAll(running: Running): Promise<void> {
  const workers = childrenOf(running.child.pid!);
  for (const pid of [running.child.pid!, ...workers]) process.kill(pid, "SIGKILL");
  await running.ended;
}

async function begin(
  name: string,
  budget: string,
  ...options: string[]
): Promise<{ running: Running; args: string[]; out: string; runDir: string }> {
  const { args, out } = await runArguments(name, budget);
  const runDir = join(folder, name, "run");
  const all = [...args, "--run-dir", runDir, "--workers", "2", "--limit", "4", "--snapshot-every", "0.2s", ...options];
  return { running: start(...all), args: all, out, runDir };
}

test("a run that is taken up again ends when the first one would have, and keeps its votes", async () => {
  const budget = (await roomySeconds()) + 4;
  const began = performance.now();
  const { running, out, runDir } = await begin("deadline", `${budget}s`);
  await running.said(/train +step/);
  await killAll(running);
  const before = readFileSync(out, "utf8");
  const votes = events(runDir).find(({ event }) => event === "measured")!.text;
  await sleep(1500);
  const ended = await trm("run", "--resume", runDir, "--json");
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds <= budget + 2 && seconds >= 0.7 * budget, `${seconds} s of ${budget} s`);
  const result = lastLine(ended);
  assert.match(votes, /unadapted answers to 4 of 4 test inputs/);
  assert.match(ended.stderr, /taken up again in phase train, with \d+ votes/);
  assert.doesNotMatch(ended.stderr, /a prediction takes/, "what was measured is not measured again");
  assert.ok((result.votes as number) >= 4 + 8);
  assert.ok((result.steps as number) > 0);
  assert.notEqual(readFileSync(out, "utf8"), before);
  await assertValid(out);
});

test("killed at any moment: before it has begun, while workers start, in the first round, in training, while it predicts", async (t) => {
  const budget = (await roomySeconds()) + 10;
  const moments: [name: string, pattern: RegExp | undefined][] = [
    ["nothing", undefined],
    ["fallback", /fallback answers for all/],
    ["start", /2 workers on wasm/],
    ["measured", /a prediction takes/],
    ["training", /train +step/],
    ["predicting", /predict +\d+\/\d+/],
  ];
  for (const [name, pattern] of moments) {
    const { running, args, out, runDir } = await begin(`at-${name}`, `${budget}s`, "--vote-variants", "4", "--steps", "10");
    if (pattern) await running.said(pattern);
    await killAll(running);
    const taken = existsSync(join(runDir, "config.json"));
    const began = performance.now();
    const ended = await trm(
      "run",
      "--resume",
      runDir,
      ...(taken ? ["--json"] : [...args.slice(1).filter((arg, i, all) => arg !== "--run-dir" && all[i - 1] !== "--run-dir"), "--json"]),
    );
    const result = lastLine(ended);
    const seconds = (performance.now() - began) / 1000;
    t.diagnostic(
      `${name}: ${taken ? "taken up" : "begun anew"}, ended ${seconds.toFixed(1)} s later, ${result.steps} steps, ${result.votes} votes`,
    );
    assert.ok(seconds <= budget + 2);
    if (name === "predicting") assert.match(ended.stderr, /taken up again in phase predict/);
    assert.equal(result.steps, 10);
    assert.match(ended.stderr, /16 predictions of 16 /);
    await assertValid(out);
  }
  await assertGone(processesHere(), 2);
});

test("a worker that was stopped outlives its parent no longer than until the run is taken up again", async () => {
  const { running, runDir, out } = await begin("orphan", "10m", "--steps", "100");
  await running.said(/train +step/);
  const [stopped] = childrenOf(running.child.pid!) as [number];
  const noted = (): { pid: number }[] => JSON.parse(readFileSync(join(runDir, "run.json"), "utf8")).processes;
  while (!noted().some(({ pid }) => pid === stopped)) await sleep(50);
  process.kill(stopped, "SIGSTOP");
  running.child.kill("SIGKILL");
  await running.ended;
  assert.deepEqual(processesHere().includes(stopped), true, "a stopped process can't end by itself");
  const again = start("run", "--resume", runDir, "--json");
  await again.said(/workers ready/);
  await assertGone([stopped], 2);
  lastLine(await again.ended);
  await assertValid(out);
});

test("a run whose time is over is taken up to its best answers, at once", async () => {
  const { running, runDir, out } = await begin("over", `${await roomySeconds()}s`);
  await running.said(/train +step/);
  await killAll(running);
  rmSync(out);
  const record = JSON.parse(readFileSync(join(runDir, "run.json"), "utf8"));
  record.clock.monotonicStart -= 3600;
  writeFileSync(join(runDir, "run.json"), JSON.stringify(record));
  const began = performance.now();
  const ended = await trm("run", "--resume", runDir, "--json");
  assert.ok((performance.now() - began) / 1000 < (await roomySeconds()));
  const result = lastLine(ended);
  assert.equal(result.fallbackInputs, 18, "the votes of the first round count");
  await assertValid(out);
});

test("a run that had ended is left as it is", async () => {
  const { running, runDir, out } = await begin("ended", "10m", "--steps", "2", "--json");
  const first = lastLine(await running.ended);
  const submission = readFileSync(out, "utf8");
  const ended = await trm("run", "--resume", runDir, "--json");
  const result = lastLine(ended);
  assert.match(ended.stderr, /phase done/);
  assert.deepEqual([result.votes, result.steps], [first.votes, first.steps]);
  assert.equal(readFileSync(out, "utf8"), submission);
});

test("a run folder is used by one run at a time, and goes on with its own tasks and options alone", async () => {
  const { running, args, runDir } = await begin("single", "10m", "--steps", "100000");
  await running.said(/train +step/);
  for (const options of [args, ["run", "--resume", runDir]]) {
    const second = await trm(...options);
    assert.equal(second.status, 1);
    assert.match(second.stderr, new RegExp(`the run folder .*run is in use by process ${running.child.pid}; wait for it to end`));
  }
  await killAll(running);

  const other = put("single/other.json", readFileSync(SAMPLE, "utf8").replace("[[", "[[9,"));
  const copy = join(folder, "single", "copy");
  cpSync(runDir, copy, { recursive: true });
  const config = JSON.parse(readFileSync(join(copy, "config.json"), "utf8"));
  config.arguments.challenges = other;
  writeFileSync(join(copy, "config.json"), JSON.stringify(config));
  const refused = await trm("run", "--resume", copy);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /other\.json does not hold the tasks that the run began with; start a new run/);

  const ended = start("run", "--resume", runDir, "--json", "--workers", "1", "--lr-trunk", "0.5", "--limit", "4", "--preset", "nvarc");
  await ended.said(/train +step/);
  ended.child.kill("SIGTERM");
  const { status, stderr } = await ended.ended;
  assert.equal(status, 143);
  assert.match(stderr, /warning: --workers 1 is ignored: the run goes on with what it began with \(2\)/);
  assert.match(stderr, /warning: --lr-trunk 0\.5 is ignored: the run goes on with what it began with \(0\.0001\)/);
  assert.match(stderr, /warning: --preset nvarc is ignored: the run goes on with what it began with \(nothing\)/);
  assert.doesNotMatch(stderr, /--limit/);
});

test("the way of attention may be changed when a run is taken up again, and is kept otherwise; a run of before has none", () => {
  const log = { emit: (...[, , text]: unknown[]) => assert.fail(String(text)) } as unknown as EventLog;
  const taken = (kept: object, given: "auto" | "composed", words: readonly string[] = []): unknown => {
    const earlier = { config: { arguments: kept } } as unknown as EarlierRun;
    return optionsOf(earlier, { ...RUN_DEFAULTS, attention: given } as unknown as RunArgs, log, words).attention;
  };
  assert.equal(taken({ attention: "fused" }, "composed"), "composed");
  assert.equal(taken({ attention: "composed" }, "auto"), "composed"); // not given: the default
  assert.equal(taken({ attention: "composed" }, "auto", ["--attention", "auto"]), "auto"); // given, though it is the default
  assert.equal(taken({ attention: "composed" }, "auto", ["--attention=auto"]), "auto");
  assert.equal(taken({}, "auto"), undefined);
  assert.equal(taken({}, "composed"), "composed");
});

test("a folder without a run can't be taken up, and neither can one whose config is damaged", async () => {
  const empty = join(folder, "empty");
  mkdirSync(empty);
  const nothing = await trm("run", "--resume", empty);
  assert.equal(nothing.status, 1);
  assert.match(nothing.stderr, /--challenges and --checkpoint must be given; .*empty holds no run that could be taken up/);
  const damaged = put("damaged-config/config.json", '{"format": "trm-run-config"');
  const { status, stderr } = await trm("run", "--resume", join(damaged, ".."));
  assert.equal(status, 1);
  assert.match(stderr, /config\.json: is not the config of a run that can be taken up again/);
  assert.doesNotMatch(stderr, /\n\s+at /);
});

test("GPUs that are required are there, or the run does not begin", async () => {
  const { args, out } = await runArguments("gpus", "20s");
  const ended = await trm(...args, "--require-gpus", "4");
  assert.equal(ended.status, 1);
  assert.match(ended.stderr, /--require-gpus 4: the wasm engine uses none; check the machine/);
  assert.ok(existsSync(out), "the fallback answers stand all the same");
});
