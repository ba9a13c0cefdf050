import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  assertGone,
  assertValid,
  childrenOf,
  type Ended,
  isAlive,
  largeTasks,
  lastLine,
  processesHere,
  type Running,
  roomySeconds,
  runArguments,
  scratch,
  start,
  toyCheckpoint,
} from "./toy.ts";

const STATUS = { SIGTERM: 143, SIGINT: 130 } as const;

/** Sends a signal and asserts what is promised of the end: in time, with its status, and with nothing left running or lying about. */
async function endBy(signal: keyof typeof STATUS, running: Running): Promise<Ended & { secondsToEnd: number }> {
  const sent = performance.now();
  running.child.kill(signal);
  const ended = await running.ended;
  const secondsToEnd = (performance.now() - sent) / 1000;
  assert.equal(ended.status, STATUS[signal], ended.stderr);
  assert.ok(secondsToEnd < 5, `${signal} took ${secondsToEnd} s`);
  await assertGone(processesHere(), 1);
  assert.deepEqual(readdirSync(scratch), [], "a socket folder is left over");
  return { ...ended, secondsToEnd };
}

/** Seconds after the start: two in the first 300 ms, before or about when the signals' handlers are there, the others later. */
const moments = [
  [0, 0.3],
  [0, 0.3],
  [0.3, 1],
  [1, 2],
  [2, 3],
].map(([from, to]) => from! + Math.random() * (to! - from!));

test("what a worker that is killed was about to compile does not stay in the temporary folder; folders of others do", async () => {
  await toyCheckpoint();
  for (const end of ["by a signal", "in the run's own time", "killed"] as const) {
    const { args } = await runArguments(`compiling-${end}`, `${await roomySeconds()}s`);
    const running = start(...args, "--workers", "2", "--limit", "2", "--steps", "20");
    await running.said(/train {3}step/);
    const workers = childrenOf(running.child.pid!);
    // A worker has it for some milliseconds, too short to be hit: it is made here in its name.
    for (const pid of [...workers, 999_999_999]) mkdirSync(join(scratch, `trm-process-${pid}-abcdef`));
    const killed = workers.at(-1)!;
    if (end === "by a signal") running.child.kill("SIGTERM");
    if (end === "killed") {
      process.kill(killed, "SIGKILL");
      await running.said(/worker 1 of 2 ended by SIGKILL/);
      assert.ok(!existsSync(join(scratch, `trm-process-${killed}-abcdef`)));
    }
    await running.ended;
    assert.deepEqual(readdirSync(scratch), ["trm-process-999999999-abcdef"], end);
    rmSync(join(scratch, "trm-process-999999999-abcdef"), { recursive: true });
  }
});

test("a signal at any moment ends a run within 5 s, its workers too, and the submission is valid from when it exists", async (t) => {
  await toyCheckpoint();
  for (const [i, seconds] of moments.entries()) {
    const signal = i % 2 === 0 ? "SIGTERM" : "SIGINT";
    const { args, out } = await runArguments(`moment-${i}`, "60s");
    const running = start(...args, "--workers", "2");
    await sleep(1000 * seconds);
    const existed = existsSync(out);
    const { stderr, secondsToEnd } = await endBy(signal, running);
    t.diagnostic(
      `${signal} after ${seconds.toFixed(3)} s: ended ${secondsToEnd.toFixed(2)} s later; last said: ${stderr.trim().split("\n").at(-1)}`,
    );
    if (existed) assert.ok(existsSync(out));
    if (existsSync(out)) await assertValid(out);
  }
});

for (const [stage, pattern] of [
  ["while its workers start", /2 workers on wasm/],
  ["in training", /train +step/],
] as const) {
  test(`SIGTERM to a run ${stage} ends its workers and clears away their sockets`, async () => {
    const { args, out } = await runArguments(stage, "60s");
    const running = start(...args, "--workers", "2");
    await running.said(pattern);
    const until = performance.now() + 5000;
    while (childrenOf(running.child.pid!).length < 2 && performance.now() < until) await sleep(20); // the line comes before they do
    await sleep(100);
    assert.equal(childrenOf(running.child.pid!).length, 2);
    const { stderr } = await endBy("SIGTERM", running);
    assert.match(stderr, /SIGTERM: the best submission so far is in .*submission\.json/);
    await assertValid(out);
  });
}

test("the workers of a run that is killed outright are gone within 5 s, even from the middle of a step that takes longer", async () => {
  const challenges = largeTasks(2);
  const { args, out } = await runArguments("orphans", "10m", challenges);
  const running = start(...args, "--workers", "2", "--batch-size", "384");
  await running.said(/plan of /);
  await sleep(500);
  const workers = childrenOf(running.child.pid!);
  assert.equal(workers.length, 2);
  assert.ok(workers.every(isAlive));
  running.child.kill("SIGKILL");
  assert.equal((await running.ended).status, 137);
  await assertGone(workers, 5);
  await assertValid(out, challenges);
});

for (const [how, signal, sync] of [
  ["killed", "SIGKILL", "allreduce"],
  ["killed", "SIGKILL", "none"],
  ["stopped", "SIGSTOP", "allreduce"],
] as const) {
  test(`a run ends in time and in order though a worker is ${how} in training (--sync ${sync})`, async () => {
    const budget = await roomySeconds();
    const { args, out } = await runArguments(`${how}-${sync}`, `${budget}s`);
    const running = start(...args, "--workers", "2", "--limit", "4", "--sync", sync, "--json");
    await running.said(/train +step/);
    process.kill(childrenOf(running.child.pid!)[1]!, signal);
    const ended = await running.ended;
    const result = lastLine(ended);
    assert.ok(ended.seconds <= budget + 2, `took ${ended.seconds} s\n${ended.stderr}`);
    assert.ok((result.steps as number) > 0);
    await assertValid(out);
    await assertGone(processesHere(), 1);
    if (how === "stopped") return;
    assert.match(ended.stderr, /error: worker 1 of 2 ended by SIGKILL; it is started again/);
    assert.match(ended.stderr, /8 predictions of 8 /);
  });
}
