import assert from "node:assert/strict";
import { test } from "node:test";
import { firstOfEach } from "../../../src/adapt/items.ts";

const items = [0, 2, 4, 1, 6, 3].map((task) => ({ task, testIndex: 0, variant: 0 }));
const tasks = (list: readonly { task: number }[]): number[] => list.map(({ task }) => task);

test("the first items are as many for each worker: any where all may make them, its own where each has its own", () => {
  const any = { owner: () => -1, workers: 2 };
  assert.deepEqual(firstOfEach(items, 1, any).map(tasks), [
    [0, 2],
    [4, 1, 6, 3],
  ]);
  assert.deepEqual(firstOfEach(items, 2, any).map(tasks), [
    [0, 2, 4, 1],
    [6, 3],
  ]);
  const apart = { owner: ({ task }: { task: number }) => task % 2, workers: 2 };
  assert.deepEqual(firstOfEach(items, 1, apart).map(tasks), [
    [0, 1],
    [2, 4, 6, 3],
  ]);
  assert.deepEqual(firstOfEach(items, 2, apart).map(tasks), [
    [0, 2, 1, 3],
    [4, 6],
  ]);
});
