import assert from "node:assert/strict";
import { before, test } from "node:test";
import { leaveOut, withLeftOut } from "../../../src/adapt/left-out.ts";
import { gridFromRows } from "../../../src/arc/grid.ts";
import type { Pair, Task } from "../../../src/arc/task.ts";
import { startEngine } from "../../../src/backend/select.ts";
import { planPuzzles, variantPair } from "../../../src/data/build.ts";
import { heldBackPair } from "../../../src/data/competitors.ts";
import { openPretraining } from "../../../src/data/pretraining-stream.ts";
import { layDemonstrations, NO_PAIR } from "../../../src/encode/demonstrations.ts";
import type { RowStart } from "../../../src/model/puzzle-embedding.ts";
import { encoderStart } from "../../../src/parallel/encoder-start.ts";
import type { Job } from "../../../src/parallel/job.ts";
import { birthOf, shownTasksOf, type WorkData } from "../../../src/parallel/work-data.ts";
import { createRandom } from "../../../src/random.ts";
import type { TrainedEncoder } from "../../../src/train/trained-encoder.ts";

const SIDE = 3;
const PAIR = 2 * SIDE * SIDE;
const pair = (color: number): Pair => ({ input: gridFromRows([[color, 0]]), output: gridFromRows([[color], [color]]) });
const TASKS: Task[] = [
  { id: "few", train: [pair(1), pair(2), pair(3)], test: [{ input: gridFromRows([[9]]) }] },
  { id: "many", train: [4, 5, 6, 7, 8].map(pair), test: [{ input: gridFromRows([[9]]) }] },
];

before(() => startEngine("wasm"));

/** The one number of a row where it begins. */
function numberOf(start: RowStart, id: number): number {
  const out = new Float32Array(1);
  start(id, out);
  return out[0]!;
}

/** The start under a plan of these tasks, and what its encoder was shown, pair by pair. */
function startOf(tasks: readonly Task[], competition?: { chosen: readonly number[] | undefined }) {
  const seen: string[][] = [];
  const encoder = {
    config: { layers: 1, pairs: 3 },
    demonstrationSize: 3 * PAIR,
    rows: (_weights: unknown, shown: Int32Array): Float32Array => {
      const each = Array.from({ length: 3 }, (_, k) => shown.subarray(k * PAIR, (k + 1) * PAIR));
      seen.push(each.filter(([first]) => first !== NO_PAIR).map(String));
      return Float32Array.of(seen.length);
    },
  };
  const plan = planPuzzles([{ tasks, trainOnTests: false }], { variants: 6, random: createRandom("plan") });
  const shown = shownTasksOf({ canvas: SIDE } as Job, { plan, competition } as WorkData);
  const start = encoderStart(encoder, Float32Array.of(0), {
    other: (_, out) => out.fill(-1),
    random: createRandom("start"),
    tasks: () => shown,
  });
  const rowOf = (id: number): number => numberOf(start, id);
  const laid = (task: number, variant: number, pairs: readonly Pair[]): string[] =>
    pairs.map((each) => String(layDemonstrations([variantPair(plan.groups[task]!, variant, each)], SIDE)));
  return { rowOf, seen, groups: plan.groups, laid };
}

test("a row begins with all demonstrations of its variant, turned and recoloured as it is; each is computed once", () => {
  const { rowOf, seen, groups, laid } = startOf(TASKS);
  const [few] = groups;
  for (let variant = 0; variant < few!.variants.length; variant++) {
    const row = rowOf(few!.firstPuzzleId + variant);
    assert.deepEqual(seen.at(-1), laid(0, variant, few!.train));
    assert.equal(rowOf(few!.firstPuzzleId + variant), row);
    assert.equal(seen.length, variant + 1, "asked for again it is not computed again");
  }
  assert.equal(rowOf(0), -1, "a row that stands for no variant begins as others do");
});

test("of more demonstrations than the encoder takes in, variants show different ones, the same in every process", () => {
  const [one, other] = [startOf(TASKS), startOf(TASKS)];
  const many = one.groups[1]!;
  const places = new Set<number>();
  for (let variant = many.variants.length - 1; variant >= 0; variant--) {
    one.rowOf(many.firstPuzzleId + variant);
    const all = one.laid(1, variant, many.train);
    assert.equal(new Set(one.seen.at(-1)).size, 3);
    for (const shown of one.seen.at(-1)!) places.add(all.indexOf(shown));
    other.rowOf(many.firstPuzzleId + variant);
    assert.deepEqual(other.seen.at(-1), one.seen.at(-1));
  }
  assert.deepEqual([...places].sort(), [0, 1, 2, 3, 4]);
});

test("what is held back is not shown: by --leave-out, and of rows that compete the pair that they are scored by", () => {
  const held = startOf(withLeftOut(leaveOut(TASKS, 1)));
  held.rowOf(held.groups[0]!.firstPuzzleId);
  assert.deepEqual(held.seen[0], held.laid(0, 0, TASKS[0]!.train.slice(0, 2)));
  const competition: { chosen: readonly number[] | undefined } = { chosen: undefined };
  const { rowOf, seen, groups, laid } = startOf(TASKS, competition);
  const few = groups[0]!;
  for (const variant of [0, 1]) {
    rowOf(few.firstPuzzleId + variant);
    const others = few.train.filter((_, i) => i !== heldBackPair(few.train.length, variant));
    assert.deepEqual(seen.at(-1), laid(0, variant, others));
  }
  rowOf(few.firstPuzzleId + 2);
  assert.deepEqual(seen.at(-1), laid(0, 2, few.train), "variants that do not compete show all");
});

test("of rows with lives the share that was asked for begins at the encoder's row for all that the life's task shows", () => {
  const stream = openPretraining(
    {
      tasks: TASKS.map((task) => ({ ...task, test: [] })),
      variants: 4,
      translate: true,
      generatedShare: 0,
      lives: { slots: 6, visits: 3 },
    },
    { side: SIDE, random: createRandom("lives") },
  );
  const lives = Array.from({ length: 400 }, (_, i) => stream.exampleAt(i).puzzleId);
  const startWith = (births: number) => {
    let shown: string[] = [];
    const trained = {
      encoder: { demonstrationSize: 5 * PAIR },
      rows: (seen: Int32Array): Float32Array => {
        shown = Array.from({ length: 5 }, (_, k) => seen.subarray(k * PAIR, (k + 1) * PAIR)).flatMap((one) =>
          one[0] === NO_PAIR ? [] : String(one),
        );
        return Float32Array.of(2);
      },
    } as unknown as TrainedEncoder;
    const job = { encoder: { config: { layers: 1, pairs: 5 }, share: 0.5, births } } as Job;
    const base: RowStart = (_, out) => out.fill(1);
    const start = birthOf(job, stream, base, createRandom("births"), () => trained);
    return { shown: () => shown, rowOf: (id: number): number => numberOf(start, id) };
  };
  const all = startWith(1);
  for (const id of new Set(lives)) {
    assert.equal(all.rowOf(id), 2);
    const { of } = stream.livingRows!(lives.indexOf(id))
      .map((row) => ({ of: row }))
      .find((row) => row.of.puzzleId === id)!;
    const group = stream.plan.groups[of.group]!;
    const expected = group.train.map((each) => String(layDemonstrations([variantPair(group, of.variant, each)], SIDE)));
    assert.deepEqual(all.shown(), expected);
  }
  const half = startWith(0.5);
  const begun = [...new Set(lives)].filter((id) => half.rowOf(id) === 2).length / new Set(lives).size;
  assert.ok(begun > 0.3 && begun < 0.7, `${begun}`);
  assert.ok(lives.every((id) => startWith(0).rowOf(id) === 1));
});
