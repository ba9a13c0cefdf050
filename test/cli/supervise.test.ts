import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { listSnapshots } from "../../src/checkpoint/snapshots.ts";
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
/** The same time for each way of training, in which a worker has more or less to do in a step. */
const stepsOf = (options: readonly string[]): number => (options.includes("none") ? 400 : options.includes("grouped") ? 60 : 120);

interface Begun {
  readonly running: Running;
  readonly args: readonly string[];
  readonly out: string;
  readonly runDir: string;
}

/** A run with a folder of its own. */
async function begin(name: string, ...options: string[]): Promise<Begun> {
  const { args, out } = await runArguments(name, "120s");
  const runDir = join(folder, name);
  const actSteps = options.includes("--halt-max-steps") ? [] : ["--halt-max-steps", String(ACT_STEPS)];
  const all = [...args, ...COURSE, "--steps", String(stepsOf(options)), ...actSteps, "--workers", "2", "--run-dir", runDir, ...options];
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
  while (listSnapshots(at)[0]!.step % ACT_STEPS === 0 && waited() < found + 1) await sleep(20);
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

/** Asserts that a run has ended in order, with nothing left behind. */
async function assertInOrder(begun: Begun): Promise<Ended & { result: Record<string, unknown> }> {
  const ended = await begun.running.ended;
  const result = lastLine(ended);
  await assertValid(begun.out);
  await assertGone(processesHere(), 2);
  assert.deepEqual(readdirSync(scratch), [], "something is left in the temporary folder");
  return { ...ended, result };
}

const undisturbed = new Map<string, Promise<Record<string, string>>>();
/** The outcome of a run that nothing happens to. */
function withoutFault(sync: string, ...options: string[]): Promise<Record<string, string>> {
  const name = `undisturbed-${[sync, ...options].join("")}`;
  const known =
    undisturbed.get(name) ??
    (async () => {
      const begun = await begin(name, "--sync", sync, ...options);
      const { result } = await assertInOrder(begun);
      assert.deepEqual([result.lost, result.steps], [0, stepsOf([sync, ...options])]);
      return outcome(begun);
    })();
  undisturbed.set(name, known);
  return known;
}

/** Tasks of two sizes, so many rows of each that two canvases pay. */
const GROUPED = ["--canvas", "grouped", "--batch-size", "64", "--tasks", "01134b03,24075e34,4bc37f08,530f694e"];

for (const [sync, ...options] of [["allreduce"], ["none"], ["allreduce", ...GROUPED]] as const) {
  const how = [sync, ...options.slice(0, 2)].join(" ");
  for (const rank of options.length > 0 ? [1] : [0, 1]) {
    test(`a run whose worker ${rank} was killed ends with the bits of an undisturbed one (--sync ${how})`, async () => {
      const expected = await withoutFault(sync, ...options);
      const begun = await begin(`killed-${how}-${rank}`, "--sync", sync, ...options);
      await firstSnapshot(join(begun.runDir, sync === "none" ? `snapshot/worker-${rank}` : "snapshot"));
      await sleep(400); // steps that are lost, and puzzle rows that were drawn in them
      process.kill(childrenOf(begun.running.child.pid!)[rank]!, "SIGKILL");
      const { stderr, result } = await assertInOrder(begun);
      assert.match(stderr, new RegExp(`worker ${rank} of 2 ended by SIGKILL; it is started again`));
      if (options.length > 0) assert.match(stderr, /on canvases of 7 x 7 \(2 tasks\) and 8 x 8 \(2 tasks\);/);
      assert.match(stderr, /the state after optimizer step [1-9]\d* is taken up/);
      assert.deepEqual([result.lost, result.steps], [1, stepsOf([sync, ...options])]);
      assert.deepEqual(outcome(begun), expected);
    });
  }

  test(`a run that was killed and taken up again ends with the bits of an undisturbed one (--sync ${how})`, async () => {
    const expected = await withoutFault(sync, ...options);
    const begun = await begin(`resumed-${how}`, "--sync", sync, ...options);
    await firstSnapshot(join(begun.runDir, sync === "none" ? "snapshot/worker-1" : "snapshot"));
    const workers = childrenOf(begun.running.child.pid!);
    for (const pid of [begun.running.child.pid!, ...workers]) process.kill(pid, "SIGKILL");
    await begun.running.ended;
    for (const name of readdirSync(scratch)) rmSync(join(scratch, name), { recursive: true }); // a killed process can't clear up
    const again = { ...begun, running: start("run", "--resume", begun.runDir, "--json") };
    const { stderr, result } = await assertInOrder(again);
    assert.match(stderr, /the run is taken up again in phase train/);
    assert.match(stderr, /the state after optimizer step [1-9]\d* is taken up/);
    assert.equal(result.steps, stepsOf([sync, ...options]));
    assert.deepEqual(outcome(begun), expected);
  });
}

test("without any snapshot, a survivor's state brings a lost worker back; where no sample outlives a step nothing is lost by it", async () => {
  const options = ["--halt-max-steps", "1", "--snapshot-every", "1h"];
  const expected = await withoutFault("allreduce", ...options);
  const begun = await begin("handed-over", "--sync", "allreduce", ...options);
  await begun.running.said(/train +step/);
  await sleep(300);
  process.kill(childrenOf(begun.running.child.pid!)[0]!, "SIGKILL");
  const { stderr, result } = await assertInOrder(begun);
  assert.match(stderr, /worker 0 of 2 ended by SIGKILL; it is started again/);
  assert.match(stderr, /the state after optimizer step [1-9]\d* is taken up/);
  assert.deepEqual([result.lost, result.steps], [1, 120]);
  assert.deepEqual(outcome(begun), expected);
});

test("a damaged snapshot is passed over for the one before it, and the outcome is the same", async () => {
  const expected = await withoutFault("allreduce");
  const begun = await begin("damaged", "--sync", "allreduce");
  const root = join(begun.runDir, "snapshot");
  while (listSnapshots(root).length < 2) await sleep(20);
  for (const pid of [begun.running.child.pid!, ...childrenOf(begun.running.child.pid!)]) process.kill(pid, "SIGKILL");
  await begun.running.ended;
  for (const name of readdirSync(scratch)) rmSync(join(scratch, name), { recursive: true });
  const [newest, older] = listSnapshots(root);
  truncateSync(join(newest!.folder, "state.safetensors"), 1000);
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
  const begun = await begin("stopped", "--budget", "60s"); // silence is a 60th of the budget, 4 s at least
  await firstSnapshot(join(begun.runDir, "snapshot"));
  const stopped = childrenOf(begun.running.child.pid!)[1]!;
  process.kill(stopped, "SIGSTOP");
  const { stderr, result } = await assertInOrder(begun);
  assert.ok(!isAlive(stopped));
  assert.match(stderr, /worker 1 of 2 gave no sign of life for [45] s; it is started again/);
  assert.equal(result.steps, 120);
  assert.deepEqual(outcome(begun), await withoutFault("allreduce"));
});

test("a worker that keeps dying is left out, and the others carry its share of the batch", async () => {
  const begun = await begin("left-out", "--workers", "3", "--budget", "60s", "--steps", "400");
  await firstSnapshot(join(begun.runDir, "snapshot"));
  const { child } = begun.running;
  const others = childrenOf(child.pid!).slice(0, 2);
  for (let killed = 0; killed < 3; ) {
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
  assert.deepEqual([result.lost, result.steps], [3, 400]);
  assert.deepEqual(childrenOf(child.pid!), []);
});

test("a worker that can't be started again is left out for the reason that it gives", async () => {
  const moved = mkdtempSync(join(folder, "checkpoint-"));
  const checkpoint = join(moved, "toy");
  renameSync(await copyOfToy(), checkpoint);
  const begun = await begin("no-checkpoint", "--checkpoint", checkpoint);
  await firstSnapshot(join(begun.runDir, "snapshot"));
  renameSync(checkpoint, `${checkpoint}-gone`);
  process.kill(childrenOf(begun.running.child.pid!)[0]!, "SIGKILL");
  const { stderr, result } = await assertInOrder(begun);
  assert.match(stderr, /worker 0 of 2: .*toy.*; going on without it/);
  assert.equal(result.steps, 120);
});

async function copyOfToy(): Promise<string> {
  const copy = join(folder, "toy-copy");
  cpSync(await toyCheckpoint(), copy, { recursive: true });
  return copy;
}

test("a loss that is not finite takes the training back with half the rates, and after three times ends it", async () => {
  process.env.TRM_FAULT_INJECTION = "1";
  try {
    const once = await begin("nan-once");
    await firstSnapshot(join(once.runDir, "snapshot"));
    process.kill(childrenOf(once.running.child.pid!)[1]!, "SIGUSR2");
    const first = await assertInOrder(once);
    assert.match(
      first.stderr,
      /loss is not finite in optimizer step \d+; back to the state after step [1-9]\d*, learning rates times 0\.5 \(1 of 3\)/,
    );
    assert.equal(first.result.steps, 120);

    const often = await begin("nan-often", "--steps", "100000", "--budget", "30s");
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
