import assert from "node:assert/strict";
import { test } from "node:test";
import type { PredictionItem } from "../../../src/parallel/job.ts";
import { PredictionQueue } from "../../../src/parallel/prediction-queue.ts";

const items = (count: number): PredictionItem[] => Array.from({ length: count }, (_, variant) => ({ task: 0, testIndex: 0, variant }));
const any = (): boolean => true;
const variants = (chunk: readonly PredictionItem[]): number[] => chunk.map(({ variant }) => variant);

test("chunks come in order, and the queue is done when the last has been made", () => {
  const queue = new PredictionQueue(items(5), 2);
  const chunks = [queue.take(any), queue.take(any), queue.take(any)];
  assert.deepEqual(chunks.map(variants), [[0, 1], [2, 3], [4]]);
  assert.deepEqual(queue.take(any), []);
  for (let left = 3; left > 0; left--) {
    assert.equal(queue.isDone, false);
    queue.done();
  }
  assert.equal(queue.isDone, true);
});

test("a chunk over which a worker was lost comes again, one by one and before the others; who waits is woken", async () => {
  const queue = new PredictionQueue(items(4), 2);
  const chunk = queue.take(any);
  const changed = queue.changed();
  assert.deepEqual(queue.putBack(chunk, true), []);
  await changed;
  assert.deepEqual([queue.take(any), queue.take(any), queue.take(any)].map(variants), [[0], [1], [2, 3]]);
});

test("a prediction that costs a second worker, and was alone, is given up; its neighbours are not", () => {
  const queue = new PredictionQueue(items(4), 4);
  assert.deepEqual(queue.putBack(queue.take(any), true), []);
  const made: number[] = [];
  const givenUp: number[] = [];
  for (let chunk = queue.take(any); chunk.length > 0; chunk = queue.take(any)) {
    assert.equal(chunk.length, 1);
    if (chunk[0]!.variant === 2) givenUp.push(...variants(queue.putBack(chunk, true)));
    else {
      made.push(...variants(chunk));
      queue.done();
    }
  }
  assert.deepEqual([made, givenUp], [[0, 1, 3], [2]]);
  assert.equal(queue.isDone, true);
});

test("a chunk that was not made for another reason costs its items nothing", () => {
  const queue = new PredictionQueue(items(2), 2);
  for (let i = 0; i < 5; i++) assert.deepEqual(queue.putBack(queue.take(any), false), []);
  assert.deepEqual(variants(queue.take(any)), [0, 1]);
});

test("each takes only what it may", () => {
  const queue = new PredictionQueue(items(6), 2);
  const even = ({ variant }: PredictionItem): boolean => variant % 2 === 0;
  assert.deepEqual(variants(queue.take(even)), [0, 2]);
  assert.deepEqual(variants(queue.take((item) => !even(item))), [1, 3]);
  assert.deepEqual(variants(queue.take(even)), [4]);
  assert.deepEqual(queue.take(even), []);
  assert.equal(queue.isDone, false);
});

test("what is not wanted any more is dropped when its turn comes, also after it came back, and who waits is woken when nothing is left", async () => {
  let limit = 6;
  const queue = new PredictionQueue(items(6), 2, { wanted: ({ variant }) => variant < limit });
  const [first, second] = [queue.take(any), queue.take(any)];
  limit = 3; // decided meanwhile
  assert.deepEqual(queue.putBack(second, true), []);
  queue.done();
  assert.deepEqual(variants(first), [0, 1]);
  assert.deepEqual(variants(queue.take(any)), [2]);
  queue.putBack(items(6).slice(2, 3), false);
  limit = 0;
  const changed = queue.changed();
  assert.equal(queue.isDone, false);
  assert.deepEqual(
    queue.take(() => false),
    [],
    "also by one who may take none of them",
  );
  assert.equal(queue.isDone, true);
  await changed;
});

test("a chunk holds one kind: it is filled from further on, and what was passed over comes next", () => {
  const kind = ({ variant }: PredictionItem): number => variant % 2;
  const queue = new PredictionQueue(items(8), 3, { kind });
  assert.deepEqual([queue.take(any), queue.take(any), queue.take(any), queue.take(any), queue.take(any)].map(variants), [
    [0, 2, 4],
    [1, 3, 5],
    [6],
    [7],
    [],
  ]);
  const some = new PredictionQueue(items(8), 3, { kind, wanted: ({ variant }) => variant > 1 });
  const chunk = some.take(any);
  assert.deepEqual(variants(chunk), [2, 4, 6]);
  some.putBack(chunk, true);
  assert.deepEqual([some.take(any), some.take(any)].map(variants), [[2], [4]]);
});

test("with several kinds every item of the first round comes before any of a later one; after that chunks are filled with what is of their kind", () => {
  // three tests of kind 0, two of kind 1, one of kind 2, in two rounds; chunks of four
  const kinds = [0, 1, 0, 1, 2, 0];
  const rounds = [0, 1].flatMap((variant) => kinds.map((_, task): PredictionItem => ({ task, testIndex: 0, variant })));
  const queue = new PredictionQueue(rounds, 4, { kind: ({ task }) => kinds[task]! });
  const chunks: string[] = [];
  for (let chunk = queue.take(any); chunk.length > 0; chunk = queue.take(any))
    chunks.push(chunk.map(({ task, variant }) => `${task}.${variant}`).join(" "));
  assert.deepEqual(chunks, ["0.0 2.0 5.0", "1.0 3.0", "4.0 4.1", "0.1 2.1 5.1", "1.1 3.1"]);
  // those that another has to make hold nobody up
  const own = new PredictionQueue(rounds, 4, { kind: ({ task }) => kinds[task]! });
  assert.deepEqual(
    own.take(({ task }) => kinds[task] === 0).map(({ task, variant }) => `${task}.${variant}`),
    ["0.0", "2.0", "5.0", "0.1"],
  );
});
