import assert from "node:assert/strict";
import { test } from "node:test";
import { gridFromRows } from "../../../src/arc/grid.ts";
import type { Task } from "../../../src/arc/task.ts";
import { openPretraining, type PretrainingData } from "../../../src/data/pretraining-stream.ts";
import type { Example } from "../../../src/encode/batch.ts";
import { createRandom } from "../../../src/random.ts";

const SIDE = 8;
/** Tasks told apart by the shape of their inputs: 1 x n, which a turn makes n x 1. */
const TASKS: Task[] = [1, 2, 3, 4].map((n) => ({
  id: `task${n}`,
  train: [5, 6, 7].map((color) => ({
    input: gridFromRows([Array.from({ length: n }, () => color)]),
    output: gridFromRows([[color, 1, 2, 3, 4]]),
  })),
  test: [{ input: gridFromRows([[8]]) }],
}));
const DATA: PretrainingData = {
  tasks: TASKS,
  variants: 20,
  translate: true,
  generated: { rulesPerKind: 2, kinds: ["recolor", "mirror"], seed: 0 },
  generatedShare: 0.25,
};
const LIVES = { slots: 12, visits: 9 };

const open = (data: Partial<PretrainingData>, seed = 1) =>
  openPretraining({ ...DATA, ...data }, { side: SIDE, random: createRandom(seed) });
const take = (stream: { exampleAt(index: number): Example }, count: number, from = 0): Example[] =>
  Array.from({ length: count }, (_, i) => stream.exampleAt(from + i));
/** Examples with all their demonstrations laid out. */
const shown = (examples: Example[]) => examples.map((example) => ({ ...example, demonstrate: example.demonstrate!(4) }));
/** Rows x columns and cells of the grid on a canvas, wherever it lies. */
function textOf(canvas: Int32Array): string {
  const cells = [...canvas.keys()].filter((i) => canvas[i]! >= 2);
  const rows = new Set(cells.map((i) => Math.floor(i / SIDE))).size;
  return `${rows} x ${cells.length / rows}: ${cells.map((i) => canvas[i])}`;
}
/** Cells of colour in the input: 1..4 for the tasks above, more for generated scenes. */
const isReal = ({ inputs }: Example): boolean => inputs.filter((token) => token >= 2).length <= 4;

for (const [kind, lives] of [
  ["rows that keep their tasks", undefined],
  ["rows with lives", LIVES],
] as const) {
  test(`what lies at a place depends on seed and place alone: ${kind}`, () => {
    const [one, other] = [open({ lives }), open({ lives })];
    const far = 123_456;
    other.exampleAt(far + 7);
    assert.deepEqual(shown(take(one, 40, far)), shown(take(other, 40, far)));
    assert.notDeepEqual(shown(take(open({ lives }, 2), 40, far)), shown(take(one, 40, far)));
  });

  test(`demonstrations never show what is asked, and show the same task: ${kind}`, () => {
    for (const example of take(open({ lives }), 400)) {
      const laid = example.demonstrate!(4);
      const canvases = Array.from({ length: laid.length / SIDE ** 2 }, (_, i) => laid.subarray(i * SIDE ** 2, (i + 1) * SIDE ** 2));
      const inputs = canvases.filter((_, i) => i % 2 === 0).map((canvas) => textOf(canvas));
      const asked = textOf(example.inputs);
      assert.ok(!inputs.includes(asked), asked);
      if (isReal(example)) {
        assert.equal(inputs.length, 2); // of three pairs
        const [shape] = asked.split(":");
        assert.ok(
          inputs.every((input) => input.startsWith(`${shape}:`)),
          "turned as the question is",
        );
      } else assert.ok(inputs.length >= 1 && inputs.length <= 4, `${inputs.length} of a generated task`);
    }
  });
}

test("generated tasks have their share of every hundred places, and each real pair comes equally often", () => {
  const stream = open({});
  assert.equal(stream.epochLength, 16); // 12 real pairs are three quarters
  const examples = take(stream, 1600);
  for (let i = 0; i < 1600; i += 100) assert.equal(examples.slice(i, i + 100).filter((example) => !isReal(example)).length, 25);
  const counts = [1, 2, 3, 4].map(
    (n) => examples.filter((example) => isReal(example) && example.inputs.filter((token) => token >= 2).length === n).length,
  );
  assert.deepEqual(counts, [300, 300, 300, 300]);
  // Rows of real variants and of generated rules don't meet.
  const rowsOf = (real: boolean) => new Set(examples.filter((example) => isReal(example) === real).map(({ puzzleId }) => puzzleId));
  const [realRows, generatedRows] = [rowsOf(true), rowsOf(false)];
  assert.deepEqual(
    [...realRows].filter((id) => generatedRows.has(id)),
    [],
  );
  assert.equal(generatedRows.size, 4);
  assert.ok(realRows.size > 4 * 15, `${realRows.size} of the ${4 * 21} variants came up`);
});

test("a row with lives stands for one variant, is visited so many times and never again", () => {
  const stream = open({ lives: LIVES, generatedShare: 0 });
  const visits = new Map<number, { places: number[]; examples: Example[] }>();
  const epochs = 60;
  take(stream, LIVES.slots * epochs).forEach((example, place) => {
    const life = visits.get(example.puzzleId) ?? { places: [], examples: [] };
    visits.set(example.puzzleId, life);
    life.places.push(place);
    life.examples.push(example);
  });
  const whole = [...visits.values()].filter(({ places }) => places[0]! >= LIVES.slots && places.at(-1)! < LIVES.slots * (epochs - 1));
  assert.ok(whole.length > 40);
  for (const { places, examples } of whole) {
    assert.equal(places.length, LIVES.visits);
    assert.ok(places.at(-1)! - places[0]! < LIVES.slots * (LIVES.visits + 1), "one visit an epoch");
    // One task in one orientation: the grid's shape stays; the pairs come in turn, each in every round of three, one of them unshifted.
    const shape = (example: Example): string => {
      const cells = [...example.inputs.keys()].filter((i) => example.inputs[i]! >= 2);
      return `${cells.length}:${cells.length > 1 ? cells[1]! - cells[0]! : 0}`;
    };
    assert.equal(new Set(examples.map(shape)).size, 1);
    for (let i = 0; i < 9; i += 3) {
      const round = examples.slice(i, i + 3);
      assert.equal(new Set(round.map(({ inputs }) => inputs.find((token) => token >= 2))).size, 3);
      assert.ok(round.some(({ inputs }) => inputs[0]! >= 2));
    }
  }
});

test("a row is over exactly when no place behind asks for it", () => {
  const stream = open({ lives: LIVES });
  const count = LIVES.slots * 40;
  const last = new Map(take(stream, count).map(({ puzzleId }, place) => [puzzleId, place]));
  const from = LIVES.slots * 20;
  for (const [puzzleId, place] of last) {
    const epochOfLast = Math.floor(place / LIVES.slots);
    if (place >= from) assert.equal(stream.isOver!(puzzleId, from), false, `row ${puzzleId} comes at ${place}`);
    else if (epochOfLast < 20) assert.equal(stream.isOver!(puzzleId, from), true, `row ${puzzleId} last came at ${place}`);
  }
});

test("about the given share of lives stands for generated tasks, kinds equally", () => {
  const stream = open({ lives: { slots: 400, visits: 1 }, generatedShare: 0.3 });
  const share = take(stream, 4000).filter((example) => !isReal(example)).length / 4000;
  assert.ok(Math.abs(share - 0.3) < 0.04, `${share}`);
});

test("without translation every pair lies at the top left", () => {
  for (const lives of [undefined, LIVES]) {
    for (const { inputs } of take(open({ translate: false, lives }), 200)) assert.ok(inputs[0]! >= 2);
  }
});
