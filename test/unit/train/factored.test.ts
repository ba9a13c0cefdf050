import assert from "node:assert/strict";
import { before, test } from "node:test";
import { gridFromRows } from "../../../src/arc/grid.ts";
import type { Task } from "../../../src/arc/task.ts";
import { startEngine } from "../../../src/backend/select.ts";
import type { TrainingState } from "../../../src/checkpoint/training-state.ts";
import {
  CODE_COUNT,
  codeRate,
  codesOf,
  colorCode,
  dihedralCode,
  FIRST_CODE_ID,
  factoredParts,
  isCode,
} from "../../../src/data/augmentation-codes.ts";
import { planPuzzles } from "../../../src/data/build.ts";
import { openPretraining } from "../../../src/data/pretraining-stream.ts";
import { PuzzleEmbedding, type RowStart } from "../../../src/model/puzzle-embedding.ts";
import { signSgd } from "../../../src/optim/sign-sgd.ts";
import type { Job } from "../../../src/parallel/job.ts";
import { rowStartOf, trunkOf } from "../../../src/parallel/work-data.ts";
import { createRandom } from "../../../src/random.ts";
import { trainingStateOf } from "../../../src/train/resume.ts";
import { difference } from "../../golden/npz.ts";
import { exampleAt, pairOfRanks, RATES, stream, tinyReplica } from "./tiny-replica.ts";

before(() => startEngine("wasm"));

const taskOf = (id: string): Task => ({
  id,
  train: [1, 2, 3].map((color) => ({ input: gridFromRows([[color, 0, 4]]), output: gridFromRows([[color]]) })),
  test: [],
});
const TASKS = [taskOf("a"), taskOf("b")];
const plan = planPuzzles([{ tasks: TASKS, trainOnTests: false }], { variants: 20, random: createRandom("plan") });

test("what an augmentation changes has codes, what stays as it is has none; no two codes are the same", () => {
  const swapped = Uint8Array.of(0, 2, 1, 3, 4, 5, 6, 7, 8, 9);
  assert.deepEqual(codesOf({ dihedral: 0, colorPermutation: Uint8Array.from({ length: 10 }, (_, i) => i) }), []);
  assert.deepEqual(
    codesOf({ dihedral: 3, colorPermutation: swapped }),
    [dihedralCode(3), colorCode(1, 2), colorCode(2, 1)].map((code) => FIRST_CODE_ID + code),
  );
  const all = [...Array(8).keys()].map(dihedralCode).concat([...Array(100).keys()].map((i) => colorCode(Math.floor(i / 10), i % 10)));
  assert.deepEqual(all, [...Array(CODE_COUNT).keys()]);
});

test("all variants of a task have its row, the original nothing else; puzzles of no task have their own", () => {
  const parts = factoredParts(plan);
  for (const { firstPuzzleId, variants } of plan.groups) {
    assert.deepEqual(parts(firstPuzzleId), [firstPuzzleId]);
    for (let v = 0; v < variants.length; v++) assert.deepEqual(parts(firstPuzzleId + v), [firstPuzzleId, ...codesOf(variants.at(v))]);
  }
  for (const id of [0, plan.puzzleCount, plan.puzzleCount + 5, 2 ** 16 + 1]) assert.deepEqual(parts(id), [id]);
  // Rows that compete have a row for each task and start, and the codes in common.
  const { firstPuzzleId, variants } = plan.groups[0]!;
  const [second, third] = [1, 2].map((start) => start * plan.puzzleCount);
  const competing = factoredParts(plan, 2);
  assert.deepEqual(competing(second! + firstPuzzleId + 1), [second! + firstPuzzleId, ...codesOf(variants.at(1))]);
  assert.deepEqual(competing(third! + firstPuzzleId), [third! + firstPuzzleId]);
});

test("an embedding is the sum of its rows, and its gradient that of each of them, summed over the batch, by a hand calculation", () => {
  const code = FIRST_CODE_ID + 1;
  const rows = new PuzzleEmbedding(
    2,
    (id, out) => out.set(isCode(id) ? [10, 20] : [id, -id]),
    undefined,
    (id) => [id & ~1, ...(id & 1 ? [code] : [])],
  );
  assert.deepEqual([...rows.embeddings([3, 2, 5])], [12, 18, 2, -2, 14, 16]);
  // puzzle 3 = row 2 + code, puzzle 2 = row 2, puzzle 5 = row 4 + code
  signSgd(rows, [3, 2, 5], Float32Array.of(1, 1, -3, 1, 1, -4), 0.5, { weightDecay: 0, rateOf: codeRate });
  assert.deepEqual([...rows.row(2)], [2.5, -2.5], "sums -2 and 2");
  assert.deepEqual([...rows.row(4)], [3.5, -3.5], "sums 1 and -4");
  const moved = Math.fround(0.05);
  assert.deepEqual([...rows.row(code)], [Math.fround(10 - moved), Math.fround(20 + moved)], "sums 2 and -3, a tenth of the rate");
  assert.deepEqual(new Set(rows.touched()), new Set([2, 4, code]));
});

test("codes begin at the checkpoint's, or at zero; a table of variants begins with the checkpoint's codes worked in", () => {
  const codes = Float32Array.from({ length: CODE_COUNT * 2 }, (_, i) => i);
  const start: RowStart = (id, out) => out.set([id, 1000]);
  const rows = (factored: boolean, known?: Float32Array) => {
    const job = { model: { puzzleEmbeddingSize: 2 }, data: { factored } } as unknown as Job;
    const data = { plan, exampleAt: () => assert.fail(), epochLength: 1 };
    return new PuzzleEmbedding(2, rowStartOf(job, { start, codes: known }, data), undefined, factored ? factoredParts(plan) : undefined);
  };
  const { firstPuzzleId, variants } = plan.groups[1]!;
  assert.deepEqual([...rows(true, codes).row(FIRST_CODE_ID + 3)], [6, 7]);
  assert.deepEqual([...rows(true).row(FIRST_CODE_ID + 3)], [0, 0]);
  assert.deepEqual([...rows(true, codes).row(firstPuzzleId)], [firstPuzzleId, 1000]);
  const ids = Array.from({ length: variants.length }, (_, v) => firstPuzzleId + v);
  const [ofTable, factored, plain] = [rows(false, codes).embeddings(ids), rows(true, codes).embeddings(ids), rows(false).embeddings(ids)];
  ids.forEach((id, v) => {
    const added = [0, 1].map((i) => codesOf(variants.at(v)).reduce((sum, code) => sum + codes[2 * (code - FIRST_CODE_ID) + i]!, 0));
    assert.deepEqual([...ofTable.subarray(2 * v, 2 * v + 2)], [id + added[0]!, 1000 + added[1]!]);
    assert.deepEqual([...factored.subarray(2 * v, 2 * v + 2)], [firstPuzzleId + added[0]!, 1000 + added[1]!]);
    assert.deepEqual([...plain.subarray(2 * v, 2 * v + 2)], [id, 1000]);
  });
});

/** Puzzles 0 to 4 of the tiny stream as variants of two tasks. */
const partsOfTiny = (id: number): number[] => [id < 3 ? 1000 : 1001, ...(id % 3 === 0 ? [] : [FIRST_CODE_ID + (id % 3)])];

test("a factored table has as many rows as tasks, beside the codes; what one variant teaches, another of the task knows", async () => {
  const replica = tinyReplica({ rowRate: codeRate }, partsOfTiny);
  const loss = async (): Promise<number> => (await replica.predict([{ ...exampleAt(0), puzzleId: 4 }], 1, true)).losses![0]!;
  const before = await loss();
  const rowsBefore = replica.rows.embeddings([0, 1, 4], true);
  const next = stream(6);
  const alike = (row: number) => ({ ...next(row), puzzleId: 3 }); // variant 0 of the second task: its row alone
  for (let step = 0; step < 2; step++) await replica.trainStep(alike, { ...RATES, frozen: true });
  assert.deepEqual(replica.rows.touched(), [1001]);
  const rowsAfter = replica.rows.embeddings([0, 1, 4], true);
  assert.deepEqual(rowsAfter.subarray(0, 32), rowsBefore.subarray(0, 32), "the other task stands still");
  assert.ok(difference(rowsAfter.subarray(32), rowsBefore.subarray(32)).max > 1e-3);
  assert.notEqual(await loss(), before);
  for (let step = 0; step < 4; step++) await replica.trainStep(next, RATES);
  assert.deepEqual(
    replica.rows.touched().sort((a, b) => a - b),
    [1000, 1001, FIRST_CODE_ID + 1, FIRST_CODE_ID + 2],
  );
  replica.dispose();
});

test("two ranks come to the rows and codes of one", async () => {
  const settings = { rowRate: codeRate };
  const alone = tinyReplica(settings, partsOfTiny);
  const ranks = pairOfRanks().map((exchange) => {
    const replica = tinyReplica(settings, partsOfTiny);
    replica.join(exchange);
    return replica;
  });
  const streams = [alone, ...ranks].map(() => stream(6));
  for (let step = 0; step < 3; step++) {
    await alone.trainStep(streams[0]!, RATES);
    await Promise.all(ranks.map((replica, i) => replica.trainStep(streams[i + 1]!, RATES)));
  }
  for (const id of alone.rows.touched()) {
    assert.deepEqual(ranks[1]!.rows.row(id), ranks[0]!.rows.row(id));
    const off = difference(ranks[0]!.rows.row(id), alone.rows.row(id));
    assert.ok(off.max <= 1e-6, `row ${id} off by ${off.max}`);
  }
  for (const each of [alone, ...ranks]) each.dispose();
});

test("a life stands for a task under several variants, with one row; a code is never forgotten", () => {
  const data = { tasks: TASKS.map((task) => ({ ...task, test: [] })), variants: 20, translate: false, generatedShare: 0 };
  const lives = { slots: 6, visits: 12 };
  const {
    exampleAt,
    partsOf,
    isOver,
    livingRows,
    taskOf,
    plan: own,
  } = openPretraining({ ...data, lives, factored: true }, { side: 4, random: createRandom(1) });
  const seen = new Map<number, Set<string>>();
  for (let place = 0; place < 72; place++) {
    const { puzzleId, inputs } = exampleAt(place);
    const [row, ...codes] = partsOf!(puzzleId);
    assert.ok(codes.every(isCode) && !isCode(row!));
    seen.set(row!, (seen.get(row!) ?? new Set()).add(codes.join()));
    const task = TASKS.find(({ id }) => id === taskOf!(row!))!;
    const group = own.groups.find((each) => each.task.id === task.id)!;
    // The canvas is that of a pair of the task under the variant whose codes the embedding has.
    const variant = [...Array(group.variants.length).keys()].find((v) => codesOf(group.variants.at(v)).join() === codes.join())!;
    const { colorPermutation } = group.variants.at(variant);
    const inked = [...inputs].filter((token) => token > 2).map((token) => token - 2);
    assert.ok(inked.includes(colorPermutation[4]!) && inked.length === 2, `${inked} under ${colorPermutation}`);
  }
  assert.ok(seen.size >= lives.slots && seen.size <= 2 * lives.slots, `${seen.size} rows`);
  assert.ok([...seen.values()].filter((variants) => variants.size > 1).length >= lives.slots / 2);
  assert.equal(isOver!(FIRST_CODE_ID + 9, 10 ** 6), false);
  const [someone] = [...seen.keys()];
  assert.equal(isOver!(someone!, 10 ** 6), true);
  for (const { puzzleId, group, variant } of livingRows!(30))
    assert.deepEqual(partsOf!(puzzleId).slice(1), codesOf(own.groups[group]!.variants.at(variant)));
});

test("codes that new rows begin with are kept in the training's state: one that goes on with it begins rows alike", async () => {
  const startCodes = Float32Array.from({ length: 4 }, (_, i) => i);
  const replica = tinyReplica();
  const kept = { draws: new Int32Array(6), rowStart: new Float32Array(2), plannedSteps: 1, record: {} };
  const { state } = await trainingStateOf(replica, { ...kept, startCodes });
  const saved = { state, record: {} } as unknown as TrainingState;
  const job = { trunk: { kind: "state", folder: "" }, model: replica.settings.model } as unknown as Job;
  const shown = () => assert.fail();
  const running = {} as Parameters<typeof trunkOf>[3];
  assert.deepEqual(trunkOf(job, createRandom(1), saved, running, shown).codes, startCodes);
  const without = await trainingStateOf(replica, kept);
  assert.ok(!without.state.has("startCodes"));
  replica.dispose();
});
