import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createRingFolder, joinRing, PeerError, type Ring } from "../../../src/parallel/all-reduce.ts";

const TOKEN = "a token";

/** The work of a child process: this file, started again with RING_CHILD set. */
async function child(): Promise<void> {
  const { rank, worldSize, folder, steps, length, timeoutMillis } = JSON.parse(process.env.RING_CHILD!);
  process.send!({ ready: true });
  await once(process, "message"); // all are there
  try {
    const ring = await joinRing({ rank, worldSize, folder, token: TOKEN, timeoutMillis });
    const data = new Float32Array(length);
    for (let step = 0; step < steps; step++) {
      for (let i = 0; i < length; i++) data[i] = (rank + 1) * ((i % 97) + step);
      await ring.allReduceSum(data);
      const factor = (worldSize * (worldSize + 1)) / 2;
      const wrong = data.findIndex((value, i) => value !== factor * ((i % 97) + step));
      if (wrong >= 0) throw new Error(`step ${step}: ${data[wrong]} at ${wrong}`);
      process.send!({ step });
    }
    ring.close();
    process.send!({ done: true });
  } catch (error) {
    process.send!({ error: (error as Error).message, peer: (error as PeerError).peer, failure: (error as PeerError).failure });
  }
  process.disconnect();
}

interface Report {
  readonly ready?: boolean;
  readonly step?: number;
  readonly done?: boolean;
  readonly error?: string;
  readonly peer?: number;
  readonly failure?: string;
}

if (process.env.RING_CHILD) await child();
else {
  let folder = "";
  let rings: Ring[] = [];
  let children: ChildProcess[] = [];

  beforeEach(() => {
    folder = createRingFolder();
    rings = [];
    children = [];
  });
  afterEach(() => {
    for (const ring of rings) ring.close();
    for (const process of children) if (process.exitCode === null) process.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  const joinAll = async (worldSize: number, timeoutMillis = 5000): Promise<Ring[]> => {
    rings = await Promise.all(
      Array.from({ length: worldSize }, (_, rank) => joinRing({ rank, worldSize, folder, token: TOKEN, timeoutMillis })),
    );
    return rings;
  };

  interface Worker {
    readonly process: ChildProcess;
    /** of its steps, and of its end */
    readonly reports: readonly Report[];
    readonly last: Promise<Report>;
  }

  /** Starts processes that join a ring together: none waits for another to start. */
  const spawnAll = async (worldSize: number, options: object): Promise<Worker[]> => {
    const workers = Array.from({ length: worldSize }, (_, rank) => {
      const { NODE_TEST_CONTEXT: _context, ...env } = process.env; // it is no test file of the runner
      const RING_CHILD = JSON.stringify({ rank, worldSize, folder, steps: 3, length: 1000, timeoutMillis: 10_000, ...options });
      const started = fork(fileURLToPath(import.meta.url), { env: { ...env, RING_CHILD } });
      children.push(started);
      const reports: Report[] = [];
      const ready = new Promise<void>((resolve) => {
        started.on("message", (report: Report) => (report.ready ? resolve() : reports.push(report)));
      });
      const last = once(started, "exit").then(() => reports.at(-1) ?? {});
      return { process: started, reports, last, ready: Promise.race([ready, last]) };
    });
    await Promise.all(workers.map(({ ready }) => ready));
    for (const worker of workers) worker.process.send("join");
    return workers;
  };

  /** Waits until all of them are in their steps. */
  const inSteps = async (workers: readonly Worker[]): Promise<void> => {
    while (workers.some(({ reports }) => reports.length < 3)) {
      for (const { process, reports } of workers) assert.equal(process.exitCode, null, reports.at(-1)?.error ?? "a process ended early");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };

  /** What a promise was rejected with, as a PeerError. */
  const rejection = async (promise: Promise<unknown>): Promise<PeerError> => {
    try {
      await promise;
    } catch (error) {
      assert.ok(error instanceof PeerError, String((error as Error).stack));
      return error;
    }
    return assert.fail("was not rejected");
  };

  for (const worldSize of [1, 2, 3, 4, 5]) {
    test(`${worldSize} ranks get the same sums, for lengths from nothing to many segments`, async () => {
      await joinAll(worldSize);
      for (const length of [0, 1, 2, worldSize - 1, worldSize, 7, 1001, 65536 * worldSize + 1, 200_003]) {
        const arrays = Array.from({ length: worldSize }, (_, rank) =>
          Float32Array.from({ length }, (_, i) => Math.fround(Math.sin(i + 1.5) * 10 ** rank)),
        );
        const exact = Array.from({ length }, (_, i) => arrays.reduce((sum, array) => sum + array[i]!, 0));
        await Promise.all(rings.map((ring, rank) => ring.allReduceSum(arrays[rank]!)));
        const bits = arrays.map((array) => new Uint32Array(array.buffer));
        for (const other of bits) assert.deepEqual(other, bits[0]);
        exact.forEach((sum, i) => {
          assert.ok(Math.abs(arrays[0]![i]! - sum) <= 2 ** -20 * 10 ** worldSize, `${arrays[0]![i]} is not ${sum}`);
        });
      }
    });
  }

  test("a sum is taken in the order of the ring that starts at the rank the piece belongs to", async () => {
    await joinAll(3);
    // In float32 the three orders of the ring give different sums.
    const x = [1, 2 ** 24, -(2 ** 24)];
    const arrays = x.map((value) => new Float32Array(3).fill(value));
    await Promise.all(rings.map((ring, rank) => ring.allReduceSum(arrays[rank]!)));
    const order = (c: number) => Math.fround(Math.fround(x[c]! + x[(c + 1) % 3]!) + x[(c + 2) % 3]!);
    assert.deepEqual([...arrays[0]!], [order(0), order(1), order(2)]);
    assert.deepEqual([...arrays[0]!], [0, 1, 1]);
  });

  test("arrays of different lengths, empty ones too, are gathered by rank", async () => {
    await joinAll(4);
    const lengths = [3, 0, 65536 * 2, 1];
    const arrays = lengths.map((length, rank) => Float32Array.from({ length }, (_, i) => rank * 1000 + (i % 1000)));
    for (const gathered of await Promise.all(rings.map((ring, rank) => ring.allGather(arrays[rank]!)))) {
      assert.deepEqual(gathered, arrays);
    }
    const alone = await joinRing({ rank: 0, worldSize: 1, folder: "/nowhere", token: "", timeoutMillis: 1 });
    assert.deepEqual(await alone.allGather(arrays[0]!), [arrays[0]]);
    await alone.allReduceSum(arrays[0]!);
    assert.deepEqual([...arrays[0]!], [0, 1, 2]);
  });

  test("a rank may be late or ahead: frames wait for the exchange they belong to", async () => {
    await joinAll(3);
    const totals = await Promise.all(
      rings.map(async (ring, rank) => {
        let total = 0;
        for (let step = 0; step < 30; step++) {
          if ((step * 7 + rank) % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
          const data = new Float32Array(step % 2 ? 100_000 : 5).fill(step);
          if (step % 3 === 2) total += (await ring.allGather(data.subarray(0, rank + 1))).flatMap((array) => [...array]).length;
          else {
            await ring.allReduceSum(data);
            total += data[0]! + data.at(-1)!;
          }
        }
        return total;
      }),
    );
    const sums = Array.from({ length: 30 }, (_, step) => (step % 3 === 2 ? 6 : 2 * 3 * step)).reduce((a, b) => a + b);
    assert.deepEqual(totals, [sums, sums, sums]);
  });

  test("a part of a larger array is summed in place, its neighbours untouched", async () => {
    await joinAll(2);
    const whole = [0, 1].map(() => new Float32Array(9).fill(1));
    await Promise.all(rings.map((ring, rank) => ring.allReduceSum(whole[rank]!.subarray(2, 7))));
    assert.deepEqual([...whole[1]!], [1, 1, 2, 2, 2, 2, 2, 1, 1]);
  });

  test("ranks that don't make the same call are told so", async () => {
    await joinAll(2);
    const outcomes = [rings[0]!.allReduceSum(new Float32Array(10)), rings[1]!.allReduceSum(new Float32Array(12))].map(rejection);
    const messages = (await Promise.all(outcomes)).map(({ message }) => message);
    assert.ok(
      messages.some((message) => /worker [01] of 2 sent total 1[02] where 1[20] was expected \(exchange 0\)/.test(message)),
      messages.join("\n"),
    );
    await assert.rejects(rings[0]!.allReduceSum(new Float32Array(1)), PeerError);
  });

  test("one exchange at a time", async () => {
    await joinAll(2);
    const first = rings[0]!.allReduceSum(new Float32Array(1));
    await assert.rejects(rings[0]!.allReduceSum(new Float32Array(1)), /one exchange at a time/);
    await rings[1]!.allReduceSum(new Float32Array(1));
    await first;
  });

  test("a rank that leaves in good order is named, and what it still took part in is finished", async () => {
    await joinAll(3);
    const work = rings.map(async (ring, rank) => {
      const data = new Float32Array(300_000).fill(1);
      await ring.allReduceSum(data);
      if (rank === 1) ring.close();
      return data[299_999];
    });
    assert.deepEqual(await Promise.all(work), [3, 3, 3]);
    const errors = await Promise.all([0, 2].map((rank) => rejection(rings[rank]!.allReduceSum(new Float32Array(8)))));
    for (const error of errors) {
      assert.equal(error.peer, 1);
      assert.equal(error.failure, "left");
      assert.equal(error.message, "worker 1 of 3 left the ring");
    }
    await assert.rejects(rings[1]!.allReduceSum(new Float32Array(8)), /the ring is closed/);
  });

  test("a rank that never comes to an exchange is named by all, whoever waits for it", async () => {
    await joinAll(4, 300);
    const started = performance.now();
    const errors = await Promise.all([0, 1, 3].map((rank) => rejection(rings[rank]!.allReduceSum(new Float32Array(100)))));
    assert.ok(performance.now() - started < 2500);
    for (const error of errors) {
      assert.equal(error.peer, 2, error.message);
      assert.equal(error.failure, "timeout");
      assert.match(error.message, /worker 2 of 4 is alive but has not begun exchange 0 for 0\.3 s/);
    }
  });

  test("once an exchange has failed the array is the caller's again: nothing more is written into it", async () => {
    await joinAll(2);
    const data = new Float32Array(8_000_000).fill(1);
    const outcomes = [rings[0]!.allReduceSum(data), rings[1]!.allReduceSum(new Float32Array(data.length).fill(2))].map((promise) =>
      promise.then(
        () => "done",
        (error: Error) => error.message,
      ),
    );
    while (data[0] === 1) await new Promise(setImmediate); // until the sums come in, straight into the array
    rings[0]!.close();
    data.fill(5);
    assert.deepEqual(await Promise.all(outcomes), ["the ring was closed during an exchange", "worker 0 of 2 left the ring"]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(data.every((value) => value === 5));
  });

  test("a peer that does not join is named", async () => {
    const error = await rejection(joinRing({ rank: 1, worldSize: 3, folder, token: TOKEN, timeoutMillis: 120 }));
    assert.equal(error.peer, 0);
    assert.match(error.message, /worker 0 of 3 could not be reached within 0\.12 s/);
  });

  test("ranks that were busy themselves for longer than the timeout join all the same", async () => {
    const joining = joinAll(3, 200);
    for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
    const until = performance.now() + 500;
    while (performance.now() < until);
    await joining;
  });

  test("a wrong token is refused, by those who join and by those who are joined", async () => {
    const outcomes = [
      joinRing({ rank: 0, worldSize: 2, folder, token: TOKEN, timeoutMillis: 2000 }),
      joinRing({ rank: 1, worldSize: 2, folder, token: "another", timeoutMillis: 2000 }),
    ].map(rejection);
    for (const { message, failure } of await Promise.all(outcomes)) {
      assert.equal(failure, "refused", message);
      assert.match(message, /refused this worker: the token is wrong/);
    }
  });

  test("strangers on the socket disturb no one", async () => {
    const joining = [joinRing({ rank: 0, worldSize: 2, folder, token: TOKEN, timeoutMillis: 5000 })];
    await new Promise((resolve) => setTimeout(resolve, 50));
    const garbage = connect(join(folder, "0.sock"));
    garbage.on("error", () => {});
    garbage.end("GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n");
    await once(garbage, "close");
    const silent = connect(join(folder, "0.sock"));
    joining.push(joinRing({ rank: 1, worldSize: 2, folder, token: TOKEN, timeoutMillis: 5000 }));
    rings = await Promise.all(joining);
    const data = [Float32Array.of(1), Float32Array.of(2)];
    await Promise.all(rings.map((ring, rank) => ring.allReduceSum(data[rank]!)));
    assert.deepEqual(
      data.map(([value]) => value),
      [3, 3],
    );
    silent.destroy();
  });

  test("arguments that make no ring are refused", async () => {
    const options = { rank: 0, worldSize: 2, folder, token: TOKEN, timeoutMillis: 100 };
    await assert.rejects(joinRing({ ...options, rank: 2 }), /rank 2 is not 0\.\.1/);
    await assert.rejects(joinRing({ ...options, worldSize: 0 }), /world size 0/);
    await assert.rejects(
      joinRing({ ...options, folder: `/tmp/${"x".repeat(110)}` }),
      /may have 107 bytes, this folder makes it 122; use a shorter one/,
    );
  });

  test("four processes sum a few million numbers, right and in step", async () => {
    const workers = await spawnAll(4, { steps: 3, length: 3_000_001 });
    for (const { last } of workers) assert.deepEqual(await last, { done: true });
  });

  test("a process that is killed is named by all others long before the timeout", async () => {
    const workers = await spawnAll(4, { steps: 1e9, length: 1_000_000 });
    await inSteps(workers);
    const killedAt = performance.now();
    workers[2]!.process.kill("SIGKILL");
    for (const rank of [0, 1, 3]) {
      const { error, peer, failure } = await workers[rank]!.last;
      assert.equal(peer, 2, error);
      assert.equal(failure, "lost");
      assert.match(error!, /^worker 2 of 4 has ended/);
    }
    assert.ok(performance.now() - killedAt < 5000, `${performance.now() - killedAt} ms`);
  });

  test("a process that is stopped is named by all others once the timeout is over", async () => {
    const workers = await spawnAll(4, { steps: 1e9, length: 1_000_000, timeoutMillis: 700 });
    await inSteps(workers);
    workers[1]!.process.kill("SIGSTOP");
    for (const rank of [0, 2, 3]) {
      const { error, peer, failure } = await workers[rank]!.last;
      assert.equal(peer, 1, `worker ${rank}: ${error}`);
      assert.equal(failure, "timeout");
    }
  });
}
