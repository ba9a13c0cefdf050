import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { Deadline, fakeClock, monotonicSeconds, realClock } from "../../../src/budget/clock.ts";

test("the real clock counts from the start of the process, plus what had passed before", () => {
  const began = monotonicSeconds();
  const clock = realClock();
  const spent = realClock(100);
  const slack = 1e-3 + monotonicSeconds() - began; // a clock is off by what setting it took, which may be long on a busy machine
  const isAmid = (from: number, value: number, to: number): void =>
    assert.ok(from - slack <= value && value <= to + slack, `${from} .. ${value} .. ${to}`);
  const ofProcess = (): number => performance.now() / 1000;
  isAmid(ofProcess(), clock.now(), ofProcess());
  isAmid(clock.now() + 100, spent.now(), clock.now() + 100);
  const [before, now, after] = [monotonicSeconds(), clock.now(), monotonicSeconds()];
  isAmid(before, clock.processStart + now, after);
});

test("the machine's clock is the same in another process", () => {
  const before = monotonicSeconds();
  const { stdout } = spawnSync(process.execPath, ["-e", "console.log(Number(process.hrtime.bigint()) / 1e9)"], { encoding: "utf8" });
  assert.ok(before < Number(stdout) && Number(stdout) < monotonicSeconds());
});

test("a deadline counts down to below zero, here and where its instant was handed over", () => {
  const clock = fakeClock(500);
  const deadline = Deadline.sinceStart(clock, 60);
  clock.advance(20);
  assert.equal(deadline.monotonicSeconds, 560);
  assert.equal(deadline.remainingSeconds, 40);
  assert.equal(deadline.earlierBy(15).remainingSeconds, 25);
  const worker = fakeClock(510); // started 10 s later
  worker.advance(10);
  assert.equal(new Deadline(worker, deadline.monotonicSeconds).remainingSeconds, 40);
  assert.equal(Deadline.fromNow(clock, 5).monotonicSeconds, 525);
  clock.advance(40);
  assert.equal(deadline.passed, true);
  clock.advance(1);
  assert.equal(deadline.remainingSeconds, -1);
  assert.throws(() => clock.advance(-1), RangeError);
});
