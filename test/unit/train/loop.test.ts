import assert from "node:assert/strict";
import { test } from "node:test";
import { type FakeClock, fakeClock } from "../../../src/budget/clock.ts";
import type { Example } from "../../../src/encode/batch.ts";
import { type Course, type Progress, ratesAt, TrainingLoop, type Until } from "../../../src/train/loop.ts";
import { Diverged, type Replica, type StepRates } from "../../../src/train/replica.ts";

const COURSE: Course = {
  lrTrunk: 1e-4,
  lrPuzzle: 1e-2,
  warmupSteps: 2000,
  lrMinRatio: 1,
  emaDecay: 0.999,
  emaWarmup: false,
  frozenShare: 0,
};
const B = 4;

/** Stands where a replica stands: its steps only take time, and each row's sample is done after every step. */
class PacedReplica {
  step = 0;
  readonly settings = { globalBatch: B };
  readonly rates: StepRates[] = [];
  loss: (step: number) => number = () => 1;
  readonly #clock: FakeClock;
  readonly #seconds: (step: number) => number;
  readonly exchange: { rank: number; worldSize: number };
  /** what the other ranks add to the control numbers */
  readonly others: (control: Float32Array) => void;

  constructor(
    clock: FakeClock,
    seconds: (step: number) => number,
    rank = 0,
    worldSize = 1,
    others: (control: Float32Array) => void = () => {},
  ) {
    this.#clock = clock;
    this.#seconds = seconds;
    this.exchange = { rank, worldSize };
    this.others = others;
  }

  globalRows(): number[] {
    return [0, 1, 2, 3];
  }

  async trainStep(next: (row: number) => Example, rates: StepRates, control: Float32Array) {
    for (const row of this.globalRows()) next(row);
    this.#clock.advance(this.#seconds(this.step));
    this.others(control);
    this.step++;
    this.rates.push(rates);
    return { lmLoss: this.loss(this.step), qHaltLoss: 0, finished: 0, accuracy: 0, exact: 0, qHaltAccuracy: 0, actSteps: 0 };
  }
}

interface Run {
  readonly loop: TrainingLoop;
  readonly replica: PacedReplica;
  readonly clock: FakeClock;
  readonly places: number[];
  readonly told: Progress[];
  run(until: Partial<Until> & { seconds: number }, each?: (progress: Progress) => void): Promise<string>;
}

function start(seconds: (step: number) => number, course: Partial<Course> = {}, make?: (clock: FakeClock) => PacedReplica): Run {
  const clock = fakeClock(5000);
  const replica = make?.(clock) ?? new PacedReplica(clock, seconds);
  const places: number[] = [];
  const told: Progress[] = [];
  const exampleAt = (index: number): Example => {
    places.push(index);
    return { inputs: new Int32Array(0), labels: new Int32Array(0), puzzleId: 0 };
  };
  const loop = new TrainingLoop(replica as unknown as Replica, { ...COURSE, ...course }, exampleAt, clock);
  const run: Run["run"] = ({ seconds: left, ...until }, each) => {
    const deadline = 5000 + clock.now() + left;
    return loop.run({ deadline, finalDeadline: deadline, ...until }, (progress) => {
      told.push(progress);
      each?.(progress);
    });
  };
  return { loop, replica, clock, places, told, run };
}

test("training stops before a step that would not end by the deadline", async () => {
  const { run, replica, clock } = start(() => 1);
  assert.equal(await run({ seconds: 10.5 }), "deadline");
  assert.equal(replica.step, 10);
  assert.equal(clock.now(), 10);
});

test("with a deadline that has passed a first step is still made, and none after it", async () => {
  const { run, replica } = start(() => 1);
  assert.equal(await run({ seconds: 0 }), "deadline");
  assert.equal(replica.step, 1);
  assert.equal(await run({ seconds: 0 }), "deadline");
  assert.equal(replica.step, 1);
});

test("a loss that explodes ends the training as diverged", async () => {
  const { run, replica, loop } = start(() => 1);
  replica.loss = (step) => (step < 200 ? 0.1 : 2);
  await assert.rejects(
    run({ seconds: 1e6, maxSteps: 1000 }),
    (error) => error instanceof Diverged && /the loss has risen to/.test(error.message),
  );
  assert.ok(replica.step > 200 && replica.step < 300);
  // Taken back to a state of before, and the rates lower, it goes on.
  loop.restore({ draws: new Int32Array(B) });
  replica.loss = () => 0.1;
  assert.equal(await run({ seconds: 1e6, maxSteps: 1000 }), "steps");
});

test("a given number of steps ends the run, and a pause interrupts it", async () => {
  const { run, replica, told } = start(() => 1);
  assert.equal(await run({ seconds: 1e6, maxSteps: 8, pauseAtStep: 3 }), "paused");
  assert.equal(replica.step, 3);
  assert.equal(await run({ seconds: 1e6, maxSteps: 8 }), "steps");
  assert.equal(replica.step, 8);
  assert.ok(told.every(({ plannedSteps }) => plannedSteps === 8));
  assert.equal(await run({ seconds: 1e6, maxSteps: 8 }), "steps");
  assert.equal(replica.step, 8);
});

test("stop ends after the step under way, and the loop can go on later", async () => {
  const { run, replica, loop } = start(() => 1);
  const stopAt5 = ({ step }: Progress): void => {
    if (step === 5) loop.stop();
  };
  assert.equal(await run({ seconds: 1e6 }, stopAt5), "stopped");
  assert.equal(replica.step, 5);
  assert.equal(await run({ seconds: 1e6, pauseAtStep: 7 }), "paused");
  assert.equal(replica.step, 7);
});

test("the planned steps follow the measured speed", async () => {
  const { run, told } = start((step) => (step < 50 ? 1 : 2));
  await run({ seconds: 200 });
  assert.equal(told[10]!.plannedSteps, 200);
  const last = told.at(-1)!;
  assert.ok(Math.abs(last.plannedSteps - told.length) <= 3, `${last.plannedSteps} planned, ${told.length} made`);
  assert.ok(Math.abs(last.stepSeconds - 2) < 0.05);
});

test("each row goes through its own places of the stream, in order, also across pauses", async () => {
  const { run, places, loop } = start(() => 1);
  await run({ seconds: 1e6, pauseAtStep: 2 });
  await run({ seconds: 1e6, pauseAtStep: 3 });
  assert.deepEqual(
    places,
    Array.from({ length: 3 * B }, (_, i) => i),
  );
  assert.deepEqual([...loop.draws], [3, 3, 3, 3]);
});

test("with several ranks, another rank's wish to stop ends this one after the same step, and rank 0 plans for all", async () => {
  const { run, replica, told } = start(
    () => 1,
    {},
    (clock) =>
      new PacedReplica(
        clock,
        () => 1,
        1,
        2,
        (control) => {
          assert.equal(control[1], 0, "rank 1 adds nothing to the plan");
          control[1]! += 40;
          if (replica.step === 3) control[0]! += 1;
        },
      ),
  );
  assert.equal(await run({ seconds: 1e6 }), "deadline");
  assert.equal(replica.step, 4);
  assert.ok(told.every(({ plannedSteps }) => plannedSteps === 40));
});

test("with several ranks the last step that ends in time is announced on the way, by rank 0", async () => {
  const { run, replica, clock } = start(
    () => 1,
    {},
    (clock) => new PacedReplica(clock, () => 1, 0, 2),
  );
  assert.equal(await run({ seconds: 10.5 }), "deadline");
  assert.equal(replica.step, 10);
  assert.equal(clock.now(), 10);
});

test("warm-up takes at most a tenth of the planned steps", () => {
  assert.equal(ratesAt(0, 100, COURSE).lrTrunk, 1e-4 / 10);
  assert.equal(ratesAt(4, 100, COURSE).lrTrunk, 1e-4 / 2);
  assert.equal(ratesAt(9, 100, COURSE).lrTrunk, 1e-4);
  assert.equal(ratesAt(999, 100000, COURSE).lrTrunk, 1e-4 / 2); // 2000 steps of warm-up where there are enough
  assert.equal(ratesAt(0, 5, COURSE).lrPuzzle, 1e-2); // too short for any
});

test("along half a cosine the rates reach their end on the last step and stay there", () => {
  const course = { ...COURSE, warmupSteps: 0, lrMinRatio: 0.1 };
  assert.ok(Math.abs(ratesAt(49, 100, course).lrTrunk - 0.55e-4) < 1e-18);
  assert.ok(Math.abs(ratesAt(99, 100, course).lrTrunk - 0.1e-4) < 1e-18);
  // A plan that shrinks leaves steps behind its end: the cosine must not rise again.
  for (const step of [100, 150, 199, 300]) assert.ok(Math.abs(ratesAt(step, 100, course).lrTrunk - 0.1e-4) < 1e-18, `step ${step}`);
});

test("the trunk is frozen for its share of the steps, from the start", () => {
  const course = { ...COURSE, frozenShare: 0.25 };
  assert.deepEqual(
    [0, 24, 25, 99].map((step) => ratesAt(step, 100, course).frozen),
    [true, true, false, false],
  );
  assert.equal(ratesAt(99, 100, { ...COURSE, frozenShare: 1 }).frozen, true);
  assert.equal(ratesAt(150, 100, { ...COURSE, frozenShare: 1 }).frozen, true); // "embeddings" never thaws, even behind a plan's end
  assert.equal(ratesAt(0, 100, COURSE).frozen, false);
});

test("the average lengthens with the steps up to its full decay", () => {
  const course = { ...COURSE, emaWarmup: true, emaDecay: 0.9 };
  assert.equal(ratesAt(0, 100, course).emaDecay, 0.1);
  assert.equal(ratesAt(90, 1000, course).emaDecay, 0.9);
  assert.equal(ratesAt(0, 100, { ...course, emaWarmup: false }).emaDecay, 0.9);
});

test("what a step that fails has drawn is drawn again by the next one", async () => {
  let fails = true;
  const { run, places, loop, replica } = start(() => {
    if (replica.step === 1 && fails) {
      fails = false;
      throw new Error("another rank is lost");
    }
    return 1;
  });
  await assert.rejects(run({ seconds: 1e6, pauseAtStep: 3 }), /lost/);
  assert.deepEqual([...loop.draws], [1, 1, 1, 1]);
  await run({ seconds: 1e6, pauseAtStep: 3 });
  const step = (n: number): number[] => Array.from({ length: B }, (_, row) => n * B + row);
  assert.deepEqual(places, [...step(0), ...step(1), ...step(1), ...step(2)]);
});

test("a loop that takes up a saved state goes on with its draws, plan and step time", async () => {
  const { run, places, loop, told, clock } = start(() => 2);
  loop.restore({ draws: Int32Array.of(5, 5, 5, 5), plannedSteps: 77, stepSeconds: 2 });
  assert.equal(loop.plannedSteps, 77);
  assert.equal(await run({ seconds: 5 }), "deadline");
  assert.equal(clock.now(), 4, "no step that would end late is begun, though none was timed in this process");
  assert.deepEqual(places.slice(0, B), [20, 21, 22, 23]);
  assert.deepEqual(told.length, 2);
});

test("halved rates are halved on top of their course", async () => {
  const { run, replica, loop } = start(() => 1, { lrMinRatio: 0.1, warmupSteps: 0 });
  await run({ seconds: 1e6, maxSteps: 100, pauseAtStep: 50 });
  loop.rateScale = 0.5;
  await run({ seconds: 1e6, maxSteps: 100, pauseAtStep: 51 });
  const whole = ratesAt(50, 100, { ...COURSE, lrMinRatio: 0.1, warmupSteps: 0 });
  assert.equal(replica.rates[50]!.lrTrunk, whole.lrTrunk / 2);
  assert.equal(replica.rates[50]!.lrPuzzle, whole.lrPuzzle / 2);
  assert.equal(replica.rates[50]!.emaDecay, whole.emaDecay);
});

test("a snapshot is taken after the step in which rank 0 finds that it is time, on every rank", async () => {
  const due = [false, true, false, true];
  for (const rank of [0, 1]) {
    const made = start(
      () => 1,
      {},
      (clock) =>
        new PacedReplica(
          clock,
          () => 1,
          rank,
          2,
          (control) => {
            if (rank === 1) control[2]! += due[made.replica.step] ? 1 : 0; // what rank 0 says
            if (rank === 1) control[1]! += 4;
          },
        ),
    );
    const taken: number[] = [];
    const asked: number[] = [];
    const snapshots = {
      due: () => {
        asked.push(made.replica.step);
        return due[made.replica.step]!;
      },
      take: async () => void taken.push(made.replica.step),
    };
    await made.loop.run({ deadline: 1e9, finalDeadline: 1e9, maxSteps: 4 }, () => {}, snapshots);
    assert.deepEqual(taken, [2, 4], `rank ${rank}`);
    assert.deepEqual(asked, rank === 0 ? [0, 1, 2, 3] : []);
  }
});

test("the first step's time, which compiles, counts until the second; a single odd one not at all, two in a row do", async () => {
  const times = [20, 1, 1, 1, 30, 1, 1, 8, 8, 8];
  const { run, told } = start((step) => times[step]!);
  await run({ seconds: 1000, maxSteps: times.length });
  const means = told.map(({ stepSeconds }) => Math.round(stepSeconds * 100) / 100);
  assert.deepEqual(means, [20, 1, 1, 1, 1, 1, 1, 1, 1.7, 2.33]);
});

test("a first step that compiles may end a stretch early; the next one goes on with the second's time", async () => {
  const { run, replica } = start((step) => (step === 0 ? 60 : 1));
  assert.equal(await run({ seconds: 170.5 }), "deadline");
  assert.equal(replica.step, 2);
  assert.equal(await run({ seconds: 170.5 - 61 }), "deadline");
  assert.equal(replica.step, 2 + 109);
});
