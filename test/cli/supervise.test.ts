import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { listSnapshots } from "../../src/checkpoint/snapshots.ts";
import { RECORD_FILE } from "../../src/checkpoint/training-state.ts";
import {
  assertGone,
  assertValid,
  childrenOf,
  type Ended,
  folder,
  isAlive,
  lastLine,
  processesHere,
  type Running,
  runArguments,
  scratch,
  start,
  toyCheckpoint,
} from "./toy.ts";

/** ACT steps of a sample: all rows of the toy model begin theirs together. */
const ACT_STEPS = 3;
/** Steps enough to be disturbed in, rows that are not all drawn before that, a snapshot whenever the last one is paid for. */
const COURSE = "--limit 4 --train-variants 60 --snapshot-every 0.2s --json".split(" ");
/** Seconds of training that a fault is put into: a first snapshot and a kill take 1.2 s of them at most, and others may want the processor less by then. */
const TRAINING_SECONDS = [2.5, 12] as const;

interface Begun {
  readonly running: Running;
  readonly args: readonly string[];
  readonly out: string;
  readonly runDir: string;
}

/** A run with a folder of its own. */
async function begin(name: string, steps: number, ...options: string[]): Promise<Begun> {
  const { args, out } = await runArguments(name, "120s");
  const runDir = join(folder, name);
  const actSteps = options.includes("--halt-max-steps") ? [] : ["--halt-max-steps", String(ACT_STEPS)];
  const all = [...args, ...COURSE, "--steps", String(steps), ...actSteps, "--workers", "2", "--run-dir", runDir, ...options];
  return { running: start(...all), args: all, out, runDir };
}

/** Waits for a snapshot in a folder, for one in the middle of samples if it comes soon. */
async function firstSnapshot(at: string): Promise<void> {
  const began = performance.now();
  const waited = (): number => (performance.now() - began) / 1000;
  while (listSnapshots(at).length === 0) {
    assert.ok(waited() < 60, `no snapshot in ${at} after a minute`);
    await sleep(20);
  }
  const found = waited();
  while (listSnapshots(at)[0]!.step % ACT_STEPS === 0 && waited() < found + 0.6) await sleep(20);
}

/** What a run has learned and answered: the arrays of its last snapshots, and its candidates. */
function outcome({ out, runDir }: Begun): Record<string, string> {
  const roots = ["snapshot", "snapshot/worker-0", "snapshot/worker-1"].map((name) => join(runDir, name));
  const arrays = roots.flatMap((root) => {
    const [newest] = listSnapshots(root);
    return newest === undefined
      ? []
      : ["state.safetensors", "embeddings.safetensors", "puzzles.json"].map((name) => [
          join(root.slice(runDir.length), name),
          readFileSync(join(newest.folder, name)).toString("base64"),
        ]);
  });
  return Object.fromEntries([...arrays, ["candidates", readFileSync(join(out, "../candidates.json"), "utf8")]]);
}

/** Kills a run and its workers, as a machine that goes down would. */
async function killAll({ child, ended }: Running): Promise<void> {
  for (const pid of [child.pid!, ...childrenOf(child.pid!)]) process.kill(pid, "SIGKILL");
  await ended;
  for (const name of readdirSync(scratch)) rmSync(join(scratch, name), { recursive: true }); // a killed process can't clear up
}

/** Asserts that a run has ended in order, with nothing left behind. */
async function assertInOrder(begun: Begun): Promise<Ended & { result: Record<string, unknown> }> {
  const ended = await begun.running.ended;
  const result = lastLine(ended);
  await assertValid(begun.out);
  await assertGone(processesHere(), 2);
  assert.deepEqual(readdirSync(scratch), [], "something is left in the temporary folder");
  return { ...ended, result };
}

interface Course {
  readonly steps: number;
  readonly expected: Record<string, string>;
}

const undisturbed = new Map<string, Promise<Course>>();
/** The outcome of a run that nothing happens to, of as many steps as give time for a fault on this machine. */
function withoutFault(sync: string, ...options: string[]): Promise<Course> {
  const name = `undisturbed-${[sync, ...options].join("")}`;
  const known = undisturbed.get(name) ?? findCourse(name, ["--sync", sync, ...options]);
  undisturbed.set(name, known);
  return known;
}

async function findCourse(name: string, options: readonly string[]): Promise<Course> {
  const [least, most] = TRAINING_SECONDS;
  let steps = options.includes("none") ? 400 : options.includes("grouped") ? 70 : 180;
  for (let tries = 1; ; tries++) {
    const begun = await begin(`${name}-${tries}`, steps, ...options);
    const { result } = await assertInOrder(begun);
    assert.deepEqual([result.lost, result.steps], [0, steps]);
    const { adapt } = result.seconds as { adapt: number };
    if ((adapt >= least && adapt <= most) || tries === 4) return { steps, expected: outcome(begun) };
    steps = Math.ceil((steps * (least + 1)) / adapt);
  }
}

/** Tasks of two sizes, so many rows of each that two canvases pay. */
const GROUPED = ["--canvas", "grouped", "--batch-size", "64", "--tasks", "01134b03,24075e34,4bc37f08,530f694e"];

for (const [sync, ...options] of [["allreduce"], ["none"], ["allreduce", ...GROUPED]] as const) {
  const how = [sync, ...options.slice(0, 2)].join(" ");
  for (const rank of options.length > 0 ? [1] : [0, 1]) {
    test(`a run whose worker ${rank} was killed ends with the bits of an undisturbed one (--sync ${how})`, async () => {
      const { steps, expected } = await withoutFault(sync, ...options);
      const begun = await begin(`killed-${how}-${rank}`, steps, "--sync", sync, ...options);
      await firstSnapshot(join(begun.runDir, sync === "none" ? `snapshot/worker-${rank}` : "snapshot"));
      await sleep(400); // steps that are lost, and puzzle rows that were drawn in them
      process.kill(childrenOf(begun.running.child.pid!)[rank]!, "SIGKILL");
      const { stderr, result } = await assertInOrder(begun);
      assert.match(stderr, new RegExp(`worker ${rank} of 2 ended by SIGKILL; it is started again`));
      if (options.length > 0) assert.match(stderr, /on canvases of 7 x 7 \(2 tasks\) and 8 x 8 \(2 tasks\);/);
      assert.match(stderr, /the state after optimizer step [1-9]\d* is taken up/);
      assert.deepEqual([result.lost, result.steps], [1, steps]);
      assert.deepEqual(outcome(begun), expected);
    });
  }

  test(`a run that was killed and taken up again ends with the bits of an undisturbed one (--sync ${how})`, async () => {
    const { steps, expected } = await withoutFault(sync, ...options);
    const begun = await begin(`resumed-${how}`, steps, "--sync", sync, ...options);
    await firstSnapshot(join(begun.runDir, sync === "none" ? "snapshot/worker-1" : "snapshot"));
    await killAll(begun.running);
    const again = { ...begun, running: start("run", "--resume", begun.runDir, "--json") };
    const { stderr, result } = await assertInOrder(again);
    assert.match(stderr, /the run is taken up again in phase train/);
    assert.match(stderr, /the state after optimizer step [1-9]\d* is taken up/);
    assert.equal(result.steps, steps);
    assert.deepEqual(outcome(begun), expected);
  });
}

test("without any snapshot, a survivor's state brings a lost worker back; where no sample outlives a step nothing is lost by it", async () => {
  const options = ["--halt-max-steps", "1", "--snapshot-every", "1h"];
  const { steps, expected } = await withoutFault("allreduce", ...options);
  const begun = await begin("handed-over", steps, "--sync", "allreduce", ...options);
  await begun.running.said(/train +step/);
  await sleep(300);
  process.kill(childrenOf(begun.running.child.pid!)[0]!, "SIGKILL");
  const { stderr, result } = await assertInOrder(begun);
  assert.match(stderr, /worker 0 of 2 ended by SIGKILL; it is started again/);
  assert.match(stderr, /the state after optimizer step [1-9]\d* is taken up/);
  assert.deepEqual([result.lost, result.steps], [1, steps]);
  assert.deepEqual(outcome(begun), expected);
});

test("a damaged snapshot is passed over for the one before it, and the outcome is the same", async () => {
  const { steps, expected } = await withoutFault("allreduce");
  const begun = await begin("damaged", steps, "--sync", "allreduce");
  const root = join(begun.runDir, "snapshot");
  while (listSnapshots(root).length === 0) await sleep(20);
  await sleep(100); // all its files are in their place, and the next one is not due yet
  await killAll(begun.running);
  const [older] = listSnapshots(root);
  const newest = join(root, older!.folder.endsWith("a") ? "b" : "a");
  cpSync(older!.folder, newest, { recursive: true });
  const { record, ...rest } = JSON.parse(readFileSync(join(newest, RECORD_FILE), "utf8"));
  writeFileSync(join(newest, RECORD_FILE), JSON.stringify({ ...rest, record: { ...record, sequence: older!.sequence + 1 } }));
  truncateSync(join(newest, "state.safetensors"), 1000);
  const again = { ...begun, running: start("run", "--resume", begun.runDir, "--json") };
  const { stderr } = await assertInOrder(again);
  assert.match(
    stderr,
    /warning: .*state\.safetensors: is not the file that training\.json speaks of \(1000 bytes, not \d+\); it is not used/,
  );
  assert.match(stderr, new RegExp(`the state after optimizer step ${older!.step} is taken up`));
  assert.deepEqual(outcome(begun), expected);
});

test("a worker that is stopped is found out, ended and replaced", async () => {
  const { steps, expected } = await withoutFault("allreduce");
  const begun = await begin("stopped", steps, "--budget", "60s"); // silence is a 60th of the budget, 4 s at least
  await firstSnapshot(join(begun.runDir, "snapshot"));
  const stopped = childrenOf(begun.running.child.pid!)[1]!;
  process.kill(stopped, "SIGSTOP");
  const { stderr, result } = await assertInOrder(begun);
  assert.ok(!isAlive(stopped));
  assert.match(stderr, /worker 1 of 2 gave no sign of life for [4-9] s; it is started again/);
  assert.equal(result.steps, steps);
  assert.deepEqual(outcome(begun), expected);
});

test("a worker that keeps dying is left out, and the others carry its share of the batch", async () => {
  const { steps } = await withoutFault("allreduce");
  const begun = await begin("left-out", steps, "--workers", "3");
  await firstSnapshot(join(begun.runDir, "snapshot"));
  const { child } = begun.running;
  const others = childrenOf(child.pid!).slice(0, 2);
  for (let killed = 0; killed < 3; ) {
    assert.ok(isAlive(child.pid!), `the run had ended when its worker was killed ${killed} times`);
    const third = childrenOf(child.pid!).find((pid) => !others.includes(pid) && isAlive(pid));
    if (third === undefined) {
      await sleep(20);
      continue;
    }
    process.kill(third, "SIGKILL");
    killed++;
    await assertGone([third], 5);
  }
  const { stderr, result } = await assertInOrder(begun);
  assert.equal(stderr.match(/worker 2 of 3 ended by SIGKILL; it is started again/g)?.length, 2);
  assert.match(stderr, /worker 2 of 3 ended by SIGKILL; going on without it/);
  assert.deepEqual([result.lost, result.steps], [3, steps]);
  assert.deepEqual(childrenOf(child.pid!), []);
});

test("a worker that can't be started again is left out for the reason that it gives", async () => {
  const moved = mkdtempSync(join(folder, "checkpoint-"));
  const checkpoint = join(moved, "toy");
  renameSync(await copyOfToy(), checkpoint);
  const { steps } = await withoutFault("allreduce");
  const begun = await begin("no-checkpoint", steps, "--checkpoint", checkpoint);
  await firstSnapshot(join(begun.runDir, "snapshot"));
  renameSync(checkpoint, `${checkpoint}-gone`);
  process.kill(childrenOf(begun.running.child.pid!)[0]!, "SIGKILL");
  const { stderr, result } = await assertInOrder(begun);
  assert.match(stderr, /worker 0 of 2: .*toy.*; going on without it/);
  assert.equal(result.steps, steps);
});

async function copyOfToy(): Promise<string> {
  const copy = join(folder, "toy-copy");
  cpSync(await toyCheckpoint(), copy, { recursive: true });
  return copy;
}

test("a loss that is not finite takes the training back with half the rates, and after three times ends it", async () => {
  const { steps } = await withoutFault("allreduce");
  process.env.TRM_FAULT_INJECTION = "1";
  try {
    const once = await begin("nan-once", steps);
    await firstSnapshot(join(once.runDir, "snapshot"));
    process.kill(childrenOf(once.running.child.pid!)[1]!, "SIGUSR2");
    const first = await assertInOrder(once);
    assert.match(
      first.stderr,
      /loss is not finite in optimizer step \d+; back to the state after step [1-9]\d*, learning rates times 0\.5 \(1 of 3\)/,
    );
    assert.equal(first.result.steps, steps);

    const often = await begin("nan-often", 100_000, "--budget", "30s");
    await firstSnapshot(join(often.runDir, "snapshot"));
    const workers = childrenOf(often.running.child.pid!);
    for (let ended = false; !ended; ) {
      const poisoned = often.running.said(/training ends here/).then(() => true);
      process.kill(workers[0]!, "SIGUSR2");
      ended = await Promise.race([poisoned, sleep(200).then(() => false)]);
    }
    const second = await assertInOrder(often);
    assert.match(second.stderr, /learning rates times 0\.125 \(3 of 3\)/);
    assert.match(second.stderr, /8 predictions of 8 /, "the last good state predicts");
    assert.equal(second.result.lost, 0);
  } finally {
    delete process.env.TRM_FAULT_INJECTION;
  }
});
