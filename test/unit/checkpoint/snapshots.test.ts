import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { listSnapshots, removeSnapshots, writeSnapshot } from "../../../src/checkpoint/snapshots.ts";
import { loadTrainingState, type TrainingState } from "../../../src/checkpoint/training-state.ts";
import { InputError } from "../../../src/errors.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trm-snapshots-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function stateOf(step: number, value = step): TrainingState {
  return { record: { step }, state: new Map([["weights", { shape: [2], data: Float32Array.of(value, 1) }]]), puzzles: [step] };
}

const steps = (): number[] => listSnapshots(folder).map(({ step }) => step);
const weight = (at: string): number => loadTrainingState(at)!.state.get("weights")!.data[0]!;

test("the two newest snapshots are kept, newest first", () => {
  assert.deepEqual(steps(), []);
  for (const step of [3, 7, 9, 12]) {
    const { folder: at } = writeSnapshot(folder, stateOf(step));
    assert.equal(weight(at), step);
    assert.equal(listSnapshots(folder)[0]!.folder, at);
  }
  assert.deepEqual(steps(), [12, 9]);
  assert.equal(readdirSync(folder).length, 2);
});

test("newest is what was written last, also where training was taken back to fewer steps", () => {
  for (const step of [100, 200, 150]) writeSnapshot(folder, stateOf(step));
  assert.deepEqual(steps(), [150, 200]);
});

test("a snapshot whose record is damaged is passed over and written over, the good one stays", () => {
  for (const step of [1, 2]) writeSnapshot(folder, stateOf(step));
  const [newest] = listSnapshots(folder);
  truncateSync(join(newest!.folder, "training.json"), 20);
  assert.deepEqual(steps(), [1]);
  writeSnapshot(folder, stateOf(3));
  assert.deepEqual(steps(), [3, 1]);
  assert.deepEqual(
    listSnapshots(folder).map(({ folder: at }) => weight(at)),
    [3, 1],
  );
});

test("damage to its arrays shows when a snapshot is read", () => {
  for (const step of [1, 2]) writeSnapshot(folder, stateOf(step));
  const [newest, older] = listSnapshots(folder);
  const file = join(newest!.folder, "state.safetensors");
  const bytes = readFileSync(file);
  bytes[bytes.length - 3]! ^= 1;
  writeFileSync(file, bytes);
  assert.throws(() => loadTrainingState(newest!.folder), /state\.safetensors: is not the file that training\.json speaks of \(SHA-256/);
  assert.equal(weight(older!.folder), 1);
});

test("a state that is not finite is refused, and a disk without room for it is told by its code; what was there stays", () => {
  writeSnapshot(folder, stateOf(1));
  assert.throws(() => writeSnapshot(folder, stateOf(2, Number.NaN)), InputError);
  assert.deepEqual(steps(), [1]);
  const rows = { count: 2 ** 40, size: 512, pieces: () => [] };
  assert.throws(() => writeSnapshot(folder, { ...stateOf(3), rows }), {
    code: "ENOSPC",
    message: /no space for a snapshot of 2147483648\.0 MiB/,
  });
  assert.deepEqual(steps(), [1]);
});

test("what is removed are the snapshots, and the folder where nothing else is in it", () => {
  writeSnapshot(folder, stateOf(1));
  writeSnapshot(folder, stateOf(2));
  writeFileSync(join(folder, "thesis.txt"), "years of work");
  removeSnapshots(folder);
  assert.deepEqual(readdirSync(folder), ["thesis.txt"]);
  rmSync(join(folder, "thesis.txt"));
  removeSnapshots(folder);
  assert.ok(!existsSync(folder));
  removeSnapshots(folder);
  mkdirSync(folder);
});
