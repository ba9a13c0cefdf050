import assert from "node:assert/strict";
import { test } from "node:test";
import { gridFromRows } from "../../../src/arc/grid.ts";
import type { Task } from "../../../src/arc/task.ts";
import { planPuzzles, variantPair } from "../../../src/data/build.ts";
import { gridHash, puzzleHash } from "../../../src/data/dedupe.ts";
import { ExampleStream } from "../../../src/data/sampler.ts";
import { pairToExample } from "../../../src/encode/canvas.ts";
import { InputError, UserError } from "../../../src/errors.ts";
import { createRandom } from "../../../src/random.ts";

const cell = (color: number) => gridFromRows([[color]]);
const pair = (a: number, b: number) => ({ input: cell(a), output: cell(b) });
const taskOf = (id: string, rest: Partial<Task> = {}): Task => ({
  id,
  train: [pair(1, 2), pair(3, 4)],
  test: [pair(5, 6), { input: cell(7) }],
  ...rest,
});
const planOf = (tasks: Task[], trainOnTests: boolean, shuffle = false) =>
  planPuzzles([{ tasks, trainOnTests }], { variants: 2, random: createRandom(1), shuffle });

test("a training subset is trained on with its solved tests too, in the order of its file", () => {
  const { groups } = planOf([taskOf("a"), taskOf("b", { testFirst: true })], true);
  assert.deepEqual(groups[0]!.train, [pair(1, 2), pair(3, 4), pair(5, 6)]);
  assert.deepEqual(groups[1]!.train, [pair(5, 6), pair(1, 2), pair(3, 4)]);
  assert.deepEqual(
    groups.map(({ test }) => test),
    [[], []],
  );
});

test("of tasks to be solved only the demonstrations are trained on", () => {
  const [group] = planOf([taskOf("a", { testFirst: true })], false).groups;
  assert.deepEqual(group!.train, [pair(1, 2), pair(3, 4)]);
  assert.deepEqual(group!.test, [pair(5, 6), { input: cell(7) }]);
});

test("puzzle ids start at 1 and go on through the variants of each task", () => {
  const { groups, puzzleCount, warnings } = planOf([taskOf("b"), taskOf("22168020")], false);
  assert.deepEqual(
    groups.map(({ task, firstPuzzleId }) => [task.id, firstPuzzleId]),
    [
      ["b", 1],
      ["22168020", 4],
    ],
  );
  assert.equal(puzzleCount, 7);
  assert.deepEqual(warnings, []);
});

test("tasks don't share their draws", () => {
  const [a, b] = planOf([taskOf("a"), taskOf("b")], false).groups;
  assert.notDeepEqual(a!.variants.bytes, b!.variants.bytes);
});

test("an example is its draw's pair in its draw's variant, under that variant's puzzle id", () => {
  const { groups } = planOf([taskOf("a"), taskOf("b")], false);
  const stream = new ExampleStream(groups, { side: 3, random: createRandom(1) });
  const seen = new Set<number>();
  for (let i = 0; i < 100; i++) {
    const { group, variant, pair, at, puzzleId } = stream.drawAt(i);
    assert.equal(puzzleId, group.firstPuzzleId + variant);
    const { demonstrate, ...example } = stream.exampleAt(i);
    assert.ok(demonstrate);
    assert.deepEqual(example, pairToExample(variantPair(group, variant, group.train[pair]!), 3, at, puzzleId));
    seen.add(puzzleId);
  }
  assert.deepEqual([...seen].sort(), [1, 2, 3, 4, 5, 6]);
});

test("a task with fewer distinct variants than asked for has fewer, and a warning", () => {
  const black: Task = { id: "black", train: [pair(0, 0)], test: [] };
  const { groups, puzzleCount, warnings } = planOf([black], false);
  assert.equal(groups[0]!.variants.length, 1);
  assert.equal(puzzleCount, 2);
  assert.deepEqual(warnings, ["[Puzzle black] augmentation not full, only 1"]);
});

test("a task id given twice is refused, with all that are", () => {
  assert.throws(
    () => planOf([taskOf("a"), taskOf("b"), taskOf("a"), taskOf("b"), taskOf("a")], true),
    (error) =>
      error instanceof InputError && error.problems.length === 2 && error.problems[1]!.startsWith("task b is given more than once"),
  );
});

test("shuffling puts tasks in another order, within their subset, and leaves their variants alone", () => {
  const ids = ["a", "b", "c", "d", "e", "f"];
  const plain = planOf(
    ids.map((id) => taskOf(id)),
    false,
  );
  const mixed = planOf(
    ids.map((id) => taskOf(id)),
    false,
    true,
  );
  const mixedIds = mixed.groups.map(({ task }) => task.id);
  assert.notDeepEqual(mixedIds, ids);
  assert.deepEqual(mixedIds.toSorted(), ids);
  for (const group of mixed.groups) {
    assert.deepEqual(group.variants.bytes, plain.groups.find(({ task }) => task.id === group.task.id)!.variants.bytes);
  }
});

test("variant 0 of a pair is the pair, and others are recoloured as their augmentation says", () => {
  const [group] = planOf([taskOf("a")], false).groups;
  assert.deepEqual(variantPair(group!, 0, pair(1, 2)), pair(1, 2));
  const colors = group!.variants.at(1).colorPermutation;
  assert.deepEqual(variantPair(group!, 1, pair(1, 2)), pair(colors[1]!, colors[2]!));
  assert.equal("output" in variantPair(group!, 1, { input: cell(7) }), false);
});

test("an answer that isn't known counts as one black cell in the puzzle hash", () => {
  assert.equal(puzzleHash([{ input: cell(7) }]), puzzleHash([pair(7, 0)]));
  // sha256 of the bytes 1 1 7, by coreutils: printf '\1\1\7' | sha256sum
  assert.equal(gridHash(cell(7)), "b44aeb3ea4489f5a532950e5ff789e718031e15cc04d6f00a26f627895b0ce08");
});

test("no pairs to train on is the user's to mend", () => {
  const none = planOf([taskOf("a", { train: [] })], false);
  assert.throws(() => new ExampleStream(none.groups, { side: 3, random: createRandom(1) }), UserError);
});

test("a task without demonstrations beside others is passed over", () => {
  const { groups } = planOf([taskOf("a", { train: [] }), taskOf("b")], false);
  const stream = new ExampleStream(groups, { side: 3, random: createRandom(1) });
  assert.equal(stream.epochLength, 2);
  assert.deepEqual(new Set([0, 1, 2, 3].map((i) => stream.drawAt(i).group.task.id)), new Set(["b"]));
});

test("shifts reach every place that holds both grids, or none when switched off", () => {
  const wide = { input: gridFromRows([[1, 2, 3]]), output: gridFromRows([[1], [2]]) };
  const { groups } = planOf([taskOf("a", { train: [wide, wide] })], false);
  const stream = (translate: boolean) => new ExampleStream(groups, { side: 4, random: createRandom(1), translate });
  const seen = (translate: boolean): string[] => {
    const draws = Array.from({ length: 600 }, (_, i) => stream(translate).drawAt(i)).filter(({ variant }) => variant === 0);
    return [...new Set(draws.map(({ at }) => `${at.row},${at.col}`))].sort();
  };
  assert.deepEqual(seen(true), ["0,0", "0,1", "1,0", "1,1", "2,0", "2,1"]);
  assert.deepEqual(seen(false), ["0,0"]);
});

test("the shift of a turned pair has the room that is left beside the turned grids", () => {
  const tall = { input: gridFromRows([[1], [2], [3], [4]]), output: gridFromRows([[1], [2], [3], [4]]) };
  const { groups } = planPuzzles([{ tasks: [{ id: "a", train: [tall, tall], test: [] }], trainOnTests: false }], {
    variants: 30,
    random: createRandom(5),
  });
  const stream = new ExampleStream(groups, { side: 4, random: createRandom(1) });
  let turned = 0;
  for (let i = 0; i < 200; i++) {
    const { at, variant, group } = stream.drawAt(i);
    stream.exampleAt(i); // throws where a grid crosses the edge
    const lies = [1, 3, 6, 7].includes(group.variants.dihedral(variant));
    assert.equal(lies ? at.col : at.row, 0);
    if (lies && at.row > 0) turned++;
  }
  assert.ok(turned > 0);
});
