import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePulses } from "../../../src/parallel/pulse.ts";
import { type Patience, Vigil } from "../../../src/parallel/vigil.ts";
import { workOf } from "../../../src/parallel/worker-process.ts";

const PATIENCE: Patience = { silence: 10, firstPulse: 30, firstBeat: 100, beat: 20, factor: 5 };

/** A process that pulses every second from `from` to `to`; its counter rises every `beatEvery` seconds. @returns the first verdict and when */
function watch(vigil: Vigil, from: number, to: number, beatEvery: number, waiting = false): { at: number; verdict: string } | undefined {
  for (let now = from; now <= to; now++) {
    vigil.pulse({ count: Math.floor(now / beatEvery), waiting }, now);
    const verdict = vigil.verdict(now);
    if (verdict) return { at: now, verdict };
  }
  return undefined;
}

test("a process without pulses is hung: after the silence, and at its start after the first one's time", () => {
  const vigil = new Vigil(PATIENCE, 0);
  assert.equal(vigil.verdict(30), undefined);
  assert.match(vigil.verdict(31)!, /no sign of life for 31 s/);
  vigil.pulse({ count: 0, waiting: false }, 31);
  assert.equal(vigil.verdict(41), undefined);
  assert.match(vigil.verdict(42)!, /no sign of life for 11 s/);
});

test("a long step, and the first one that compiles, are no hang; the same time without any is one", () => {
  const steady = new Vigil(PATIENCE, 0);
  steady.begin("train", 0);
  assert.equal(watch(steady, 0, 99, 90), undefined, "a first step of 90 s");
  assert.equal(watch(steady, 100, 1000, 90), undefined, "steps of 90 s");
  const hung = watch(steady, 1001, 2000, 10_000);
  assert.ok(hung && hung.at >= 990 + 5 * 90 && hung.at <= 1001 + 5 * 90 + 90, JSON.stringify(hung));
  assert.match(hung.verdict, /completed nothing for \d+ s \(train\)/);

  const quick = new Vigil(PATIENCE, 0);
  quick.begin("train", 0);
  assert.equal(watch(quick, 0, 50, 1), undefined);
  assert.equal(watch(quick, 51, 200, 1000)?.at, 50 + 20 + 1 + 1, "steps of a second: hung after the least time, 20 s");

  const compiling = new Vigil(PATIENCE, 0);
  compiling.begin("train", 0);
  assert.equal(watch(compiling, 0, 300, 1000)?.at, 101);
});

test("the times of one kind of work say nothing of another", () => {
  const vigil = new Vigil(PATIENCE, 0);
  vigil.begin("train", 0);
  watch(vigil, 0, 50, 1);
  vigil.end();
  assert.equal(watch(vigil, 51, 500, 1000), undefined, "idle");
  vigil.begin("predict", 500);
  assert.equal(watch(vigil, 501, 599, 1000), undefined, "its first prediction may compile");
});

test("a worker that waits for other ranks is not to blame, and has its own time after that", () => {
  const vigil = new Vigil(PATIENCE, 0);
  vigil.begin("train", 0);
  watch(vigil, 0, 50, 1);
  assert.equal(watch(vigil, 51, 500, 1000, true), undefined);
  assert.equal(watch(vigil, 501, 600, 1000)?.at, 500 + 20 + 1);
});

test("time in which the watcher itself stood still is excused", () => {
  const vigil = new Vigil(PATIENCE, 0);
  vigil.pulse({ count: 1, waiting: false }, 5);
  vigil.excuse(600);
  assert.equal(vigil.verdict(612), undefined);
  assert.ok(vigil.verdict(620));
});

test("pulses are read however the pipe cuts them", () => {
  const text = "3 0\n4 0\n5 1\n";
  for (let cut = 0; cut <= text.length; cut++) {
    const first = parsePulses(text.slice(0, cut), "");
    const second = parsePulses(text.slice(cut), first.rest);
    assert.deepEqual(
      [...first.pulses, ...second.pulses],
      [
        { count: 3, waiting: false },
        { count: 4, waiting: false },
        { count: 5, waiting: true },
      ],
    );
    assert.equal(second.rest, "");
  }
});

test("the first predictions on another canvas may take as long as the first of all: their steps are compiled", () => {
  const vigil = new Vigil(PATIENCE, 0);
  let now = 0;
  const alive = (seconds: number, count: number): string | undefined => {
    for (const end = now + seconds; now < end; ) vigil.pulse({ count, waiting: false }, ++now);
    return vigil.verdict(now);
  };
  const predict = (canvas?: number): void => vigil.begin(workOf({ kind: "predict", id: 0, items: [], actSteps: 1, canvas }), now);
  predict(0);
  assert.equal(alive(1, 1), undefined);
  vigil.end();
  predict(0);
  assert.match(alive(PATIENCE.beat + 1, 1)!, /completed nothing for 21 s \(predict on canvas 1\)/);
  predict(1);
  assert.equal(alive(PATIENCE.firstBeat - 1, 1), undefined);
  assert.match(alive(2, 1)!, /predict on canvas 2/);
  assert.deepEqual([workOf({ kind: "predict", id: 0, items: [], actSteps: 1 }), workOf({ kind: "diagnose" })], ["predict", "diagnose"]);
});

test("a step that is compiled in the middle of the work is given the time of a first one, and says nothing of how long others take", () => {
  const vigil = new Vigil(PATIENCE, 0);
  vigil.begin("train", 0);
  watch(vigil, 0, 50, 1);
  vigil.otherwise(true, 51);
  assert.equal(watch(vigil, 52, 130, 1000), undefined, "80 s of compiling after steps of a second");
  vigil.otherwise(false, 130);
  assert.equal(watch(vigil, 131, 180, 1), undefined);
  assert.equal(watch(vigil, 181, 400, 1000)?.at, 180 + 20 + 1 + 1, "hung as soon as before");
  const first = new Vigil(PATIENCE, 0);
  first.begin("train", 0);
  first.otherwise(true, 0);
  assert.equal(watch(first, 0, 90, 1000), undefined);
  first.otherwise(false, 90);
  watch(first, 91, 99, 1);
  assert.ok(watch(first, 100, 400, 1000)!.at <= 100 + 22, "not twenty times the first step's compilation");
  const endless = new Vigil(PATIENCE, 0);
  endless.begin("train", 0);
  watch(endless, 0, 50, 1);
  endless.otherwise(true, 51);
  assert.ok(watch(endless, 52, 400, 1000));
});
