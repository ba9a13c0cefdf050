import assert from "node:assert/strict";
import { test } from "node:test";
import { gridFromRows } from "../../../src/arc/grid.ts";
import type { Task, TestPair } from "../../../src/arc/task.ts";
import { augmentTask } from "../../../src/augment/augmentation.ts";
import { selectTrainingTasks } from "../../../src/data/training-tasks.ts";

/** Pair number n, like no other up to symmetry and recolouring: n of the first row's cells are of another colour. */
const pair = (n: number) => ({
  input: gridFromRows([Array.from({ length: 16 }, (_, i) => (i < n ? 1 : 2)), Array.from({ length: 16 }, () => 3)]),
  output: gridFromRows([[n % 10, 5, 5]]),
});
const task = (id: string, pairs: number[], test: TestPair[] = []): Task => ({ id, train: pairs.map(pair), test });
const CHANGE = { dihedral: 3, colorPermutation: Uint8Array.of(0, 5, 1, 9, 4, 2, 6, 7, 8, 3) };
const changed = (id: string, original: Task): Task => ({ ...augmentTask(original, CHANGE).task, id });
const set = (name: string, ...tasks: Task[]) => ({ name, tasks });
const idsOf = ({ tasks }: { tasks: readonly Task[] }) => tasks.map(({ id }) => id);

test("of tasks with one id, or the same pairs in other colours and orientation, the first is kept", () => {
  const a = task("a", [1, 2]);
  const selection = selectTrainingTasks(
    [set("one", a, task("b", [2, 3])), set("two", task("a", [4]), changed("c", a), task("d", [5]))],
    [],
    30,
  );
  assert.deepEqual(idsOf(selection), ["a", "b", "d"]);
  assert.deepEqual(selection.sets, [
    { name: "one", given: 2, repeated: 0, tooLarge: 0, heldOut: 0, kept: 2 },
    { name: "two", given: 3, repeated: 2, tooLarge: 0, heldOut: 0, kept: 1 },
  ]);
});

test("tasks with any grid larger than the canvas are left out, an answer to a test counts", () => {
  const large = { input: gridFromRows([[1]]), output: gridFromRows(Array.from({ length: 17 }, () => [1])) };
  const tasks = [task("fits", [1]), { ...task("test", [2]), test: [large] }, { ...task("pair", [3]), train: [large] }];
  const selection = selectTrainingTasks([set("s", ...tasks)], [], 16);
  assert.deepEqual(idsOf(selection), ["fits"]);
  assert.equal(selection.sets[0]!.tooLarge, 2);
});

test("a task that is held out is found by its id, its content, one pair of it, or the input of a test without an answer", () => {
  const held = [
    task("by-id", [1]),
    task("by-content", [2, 3]),
    task("by-pair", [4, 5]),
    task("by-input", [6], [{ input: pair(7).input }]),
    task("by-small-input", [8], [{ input: gridFromRows([[1, 2]]) }]),
  ];
  const small = { input: gridFromRows([[1, 2]]), output: gridFromRows([[3]]) };
  const trained = [
    task("by-id", [9]),
    changed("same", held[1]!),
    changed("shares", task("x", [10, 5])),
    task("asks", [11, 7]),
    { ...task("free", [12]), train: [pair(12), small] },
  ];
  const selection = selectTrainingTasks([set("training", ...trained)], [set("evaluation", ...held)], 16);
  assert.deepEqual(
    selection.overlaps.map(({ id, heldOutId, how }) => [id, heldOutId, how]),
    [
      ["by-id", "by-id", "same id"],
      ["same", "by-content", "same task"],
      ["shares", "by-pair", "a pair in common"],
      ["asks", "by-input", "a test input in common"],
    ],
  );
  assert.deepEqual(idsOf(selection), ["free"]);
  assert.equal(selection.sets[0]!.heldOut, 4);
});
