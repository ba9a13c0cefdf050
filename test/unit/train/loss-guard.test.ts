import assert from "node:assert/strict";
import { test } from "node:test";
import { LossGuard } from "../../../src/train/loss-guard.ts";

/** Noise between -1 and 1, the same every time. */
const noise = (step: number): number => Math.sin(12.9898 * step * step);

/** The first step at which a loss is found to have exploded, of so many. */
function explodes(guard: LossGuard, loss: (step: number) => number, steps = 2000): number | undefined {
  for (let step = 1; step <= steps; step++) if (guard.note(loss(step)) !== undefined) return step;
  return undefined;
}

test("a loss that falls, is noisy, or has a bad step now and then is none that explodes", () => {
  assert.equal(
    explodes(new LossGuard(), (step) => 0.05 + 2 * Math.exp(-step / 100)),
    undefined,
  );
  assert.equal(
    explodes(new LossGuard(), (step) => 0.3 * (1 + 0.9 * noise(step))),
    undefined,
  );
  assert.equal(
    explodes(new LossGuard(), (step) => (step % 40 === 0 ? 5 : 0.1)),
    undefined,
  );
  // puzzle rows that change their task: what is trained on is new at every hundredth step
  assert.equal(
    explodes(new LossGuard(), (step) => 0.2 + 0.6 * Math.exp(-(step % 100) / 30)),
    undefined,
  );
});

test("one that leaps up, or creeps up, and stays there is found within a hundred steps", () => {
  for (const [after, loss] of [
    [1000, (step: number) => (step <= 1000 ? 0.1 : 1.5) * (1 + 0.3 * noise(step))],
    [1000, (step: number) => (step <= 1000 ? 0.4 : 2.5)],
    [1000, (step: number) => 0.1 + Math.max(0, step - 1000) / 50],
  ] as const) {
    const found = explodes(new LossGuard(), loss)!;
    assert.ok(found > after && found <= after + 100, `${found}`);
  }
  const guard = new LossGuard();
  for (let step = 1; step <= 200; step++) guard.note(0.1);
  let said: string | undefined;
  for (let step = 1; step <= 200; step++) said ??= guard.note(2);
  assert.match(said!, /^the loss has risen to [12]\.\d+, from 0\.100 at its least$/);
});

test("on its way up no snapshot is worth it; where it stays short of exploding snapshots go on", () => {
  const guard = new LossGuard();
  for (let step = 1; step <= 200; step++) guard.note(0.1);
  assert.equal(guard.isRising, false);
  for (let step = 1; step <= 30; step++) guard.note(0.75);
  assert.equal(guard.isRising, true);
  for (let step = 1; step <= 400; step++) assert.equal(guard.note(0.75), undefined);
  assert.equal(guard.isRising, false);
});

test("after a state of before was put in place the mean is measured anew, and a second collapse is found as well", () => {
  const guard = new LossGuard();
  assert.ok(explodes(guard, (step) => (step < 300 ? 0.1 : 2)));
  guard.restart();
  assert.equal(guard.isRising, false);
  assert.equal(
    explodes(guard, () => 0.12, 300),
    undefined,
  );
  assert.ok(explodes(guard, () => 2, 150));
});

test("where what is trained on changes, a loss that leaps is none that explodes; one that explodes after that is found", () => {
  const guard = new LossGuard();
  for (let step = 1; step <= 1000; step++) guard.note(0.2);
  guard.forget();
  // rows that are all new, after some that had competed for long
  const anew = (step: number): number => 0.2 + 1.5 * Math.exp(-step / 300);
  assert.equal(explodes(guard, anew, 1500), undefined);
  assert.equal(guard.isRising, false);
  assert.ok(explodes(guard, () => 2)! <= 100);
});
