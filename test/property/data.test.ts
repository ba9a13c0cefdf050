import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { equalGrids } from "../../src/arc/grid.ts";
import type { Pair, Task } from "../../src/arc/task.ts";
import { type Augmentation, augmentTask, drawAugmentation, identityAugmentation } from "../../src/augment/augmentation.ts";
import { planPuzzles, variantPair } from "../../src/data/build.ts";
import { distinctVariants, drawVariants, fingerprintsOf, puzzleHash } from "../../src/data/dedupe.ts";
import { npyBytes, parseNpy } from "../../src/data/npy.ts";
import { PuzzleIds } from "../../src/data/puzzle-ids.ts";
import { ExampleStream, type StreamOptions } from "../../src/data/sampler.ts";
import { layDemonstrations } from "../../src/encode/demonstrations.ts";
import { createRandom } from "../../src/random.ts";
import { anyAugmentation, smallTask } from "./any-grid.ts";

/** Up to four tasks with ids of their own. */
const someTasks = fc
  .array(smallTask, { minLength: 1, maxLength: 4 })
  .map((tasks) => tasks.map((task, i): Task => ({ ...task, id: `${task.id}${i}` })));
const planOf = (tasks: readonly Task[]) => planPuzzles([{ tasks, trainOnTests: false }], { variants: 5, random: createRandom(3) });
const hashOf = (task: Task, augmentation: Augmentation): string => {
  const { train, test } = augmentTask(task, augmentation).task;
  return puzzleHash([...train, ...test]);
};

test("two variants have the same fingerprint exactly where they have the same puzzle hash", () => {
  let equal = 0;
  fc.assert(
    fc.property(smallTask, anyAugmentation, anyAugmentation, fc.boolean(), (task, a, b, onlyTurn) => {
      const second = onlyTurn ? { ...b, colorPermutation: a.colorPermutation } : b;
      const fingerprint = fingerprintsOf([...task.test, ...task.train]);
      const same = hashOf(task, a) === hashOf(task, second);
      assert.equal(fingerprint(a) === fingerprint(second), same);
      equal += Number(same);
    }),
    { numRuns: 500 },
  );
  assert.ok(equal > 0);
});

test("a fingerprint does not depend on the order of the pairs", () => {
  fc.assert(
    fc.property(smallTask, anyAugmentation, ({ train, test }, augmentation) => {
      const pairs = [...train, ...test];
      assert.equal(fingerprintsOf(pairs)(augmentation), fingerprintsOf(pairs.toReversed())(augmentation));
    }),
  );
});

test("the variants drawn are those that comparing puzzle hashes would keep", () => {
  fc.assert(
    fc.property(smallTask, fc.nat(), fc.integer({ min: 0, max: 20 }), (task, seed, count) => {
      const random = createRandom(seed);
      const kept = [identityAugmentation()];
      const seen = new Set([hashOf(task, kept[0]!)]);
      for (let trial = 0; trial < 5 * count && kept.length <= count; trial++) {
        const draw = drawAugmentation(random);
        const hash = hashOf(task, draw);
        if (!seen.has(hash)) kept.push(draw);
        seen.add(hash);
      }
      const { augmentations, message } = drawVariants(task, count, createRandom(seed));
      assert.deepEqual(
        Array.from({ length: augmentations.length }, (_, v) => ({
          ...augmentations.at(v),
          colorPermutation: augmentations.at(v).colorPermutation.slice(),
        })),
        kept,
      );
      assert.equal(message !== undefined, kept.length < count + 1);
    }),
  );
});

test("no draw is made once enough variants are found, and at most five for each asked for", () => {
  fc.assert(
    fc.property(smallTask, fc.nat(), fc.nat(10), (task, seed, count) => {
      const random = createRandom(seed);
      let draws = 0;
      const { augmentations } = distinctVariants(task, count, () => {
        draws++;
        return drawAugmentation(random);
      });
      assert.ok(draws <= 5 * count && (augmentations.length === count + 1 || draws === 5 * count));
    }),
  );
});

test("every puzzle id but the blank one leads to a variant and back, and ids have no gaps", () => {
  fc.assert(
    fc.property(someTasks, (tasks) => {
      const plan = planOf(tasks);
      const ids = new PuzzleIds(plan);
      assert.equal(ids.variant(0), undefined);
      assert.equal(ids.variant(ids.count), undefined);
      assert.equal(ids.names().length, ids.count);
      for (let id = 1; id < ids.count; id++) {
        const { group, index, augmentation } = ids.variant(id)!;
        assert.equal(ids.puzzleId(group.task.id, index), id);
        assert.equal(augmentTask(group.task, augmentation).task.id, ids.names()[id]);
      }
    }),
  );
});

test("a task's variants depend on the seed and its id, not on the tasks beside it", () => {
  fc.assert(
    fc.property(someTasks, (tasks) => {
      const alone = planOf([tasks.at(-1)!]).groups[0]!;
      assert.deepEqual(planOf(tasks).groups.at(-1)!.variants.bytes, alone.variants.bytes);
    }),
  );
});

const anyOrder = fc.constantFrom<"grouped" | "shuffled">("grouped", "shuffled");

test("an epoch has every training pair exactly once, in one variant for each task", () => {
  fc.assert(
    fc.property(someTasks, anyOrder, fc.nat(20), (tasks, order, epoch) => {
      const plan = planOf(tasks);
      const stream = new ExampleStream(plan.groups, { side: 4, random: createRandom(1), order });
      const draws = Array.from({ length: stream.epochLength }, (_, i) => stream.drawAt(epoch * stream.epochLength + i));
      const seen = draws.map(({ group, pair }) => `${group.task.id}/${pair}`).sort();
      assert.deepEqual(seen, plan.groups.flatMap((group) => group.train.map((_, p) => `${group.task.id}/${p}`)).sort());
      assert.equal(new Set(draws.map(({ group, variant }) => `${group.task.id}/${variant}`)).size, tasks.length);
      if (order === "grouped") {
        const changes = draws.filter(({ group }, i) => i > 0 && group !== draws[i - 1]!.group).length;
        assert.equal(changes, tasks.length - 1);
      }
      for (const group of plan.groups) {
        assert.ok(draws.some((draw) => draw.group === group && draw.at.row === 0 && draw.at.col === 0));
      }
    }),
  );
});

test("the same seed gives the same stream, in any order of reading and with any cache", () => {
  fc.assert(
    fc.property(someTasks, anyOrder, fc.array(fc.nat(400), { minLength: 1, maxLength: 40 }), (tasks, order, indices) => {
      const { groups } = planOf(tasks);
      const options: StreamOptions = { side: 5, random: createRandom(8), order };
      const once = new ExampleStream(groups, options);
      const again = new ExampleStream(groups, { ...options, random: createRandom(8), cachedEpochs: 1 });
      const open = (stream: ExampleStream, index: number) => ({
        ...stream.exampleAt(index),
        demonstrate: stream.exampleAt(index).demonstrate!(2),
      });
      const forward = new Map([...indices].sort((a, b) => a - b).map((index) => [index, open(once, index)]));
      for (const index of indices) assert.deepEqual(open(again, index), forward.get(index));
    }),
  );
});

test("an example's demonstrations are other pairs of the same variant, in no case the one that is asked about", () => {
  fc.assert(
    fc.property(someTasks, anyOrder, fc.nat(400), fc.integer({ min: 1, max: 3 }), (tasks, order, index, atMost) => {
      const stream = new ExampleStream(planOf(tasks).groups, { side: 5, random: createRandom(8), order });
      const { group, variant, pair: place } = stream.drawAt(index);
      const asked = group.train[place]!;
      const others = group.train.filter(({ input }) => !equalGrids(input, asked.input));
      const laid = (pair: Pair): string => String(layDemonstrations([variantPair(group, variant, pair)], 5));
      const shown = stream.exampleAt(index).demonstrate!(atMost);
      const each = Array.from({ length: shown.length / 50 }, (_, i) => String(shown.subarray(50 * i, 50 * (i + 1))));
      assert.equal(each.length, Math.min(atMost, others.length));
      const allowed = others.map(laid);
      for (const one of each) {
        const at = allowed.indexOf(one);
        assert.ok(at >= 0 && one !== laid(asked), one);
        allowed.splice(at, 1);
      }
    }),
  );
});

test("an array comes back from its .npy bytes", () => {
  const dimensions = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 3 });
  const kinds = fc.constantFrom(Uint8Array, Int32Array, Float32Array);
  fc.assert(
    fc.property(dimensions, kinds, fc.nat(255), (shape, Kind, start) => {
      const data = new Kind(Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (start + i) % 256));
      const [header, body] = npyBytes({ shape, data });
      assert.equal(header.length % 64, 0);
      assert.deepEqual(parseNpy(Buffer.concat([header, body]), "x.npy"), { shape, data });
    }),
  );
});
