import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { RowTable } from "../../../src/checkpoint/row-table.ts";
import { loadTrainingState, saveTrainingState, type TrainingState } from "../../../src/checkpoint/training-state.ts";
import { UserError } from "../../../src/errors.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trm-state-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function stateOf(step: number, lastNumber = 3): TrainingState {
  return {
    record: { step, random: [1, "a", null] },
    state: new Map([["m/H_init", { shape: [2], data: Float32Array.of(step, -0.5) }]]),
    rows: tableOf([step, 2, 3], [step, step, lastNumber]),
    puzzles: { "00d62c1b": [0, step] },
  };
}

function tableOf(...rows: number[][]): RowTable {
  return {
    count: rows.length,
    size: 3,
    *pieces() {
      for (const row of rows) yield Float32Array.from(row);
    },
  };
}

/** A state with its table gone through. */
function whole(state: TrainingState | undefined): unknown {
  return state && { ...state, rows: state.rows && [...state.rows.pieces()].flatMap((piece) => [...piece]) };
}

function assertState(found: TrainingState | undefined, expected: TrainingState): void {
  assert.deepEqual(whole(found), whole(expected));
}

const FILES = ["embeddings.safetensors", "puzzles.json", "state.safetensors", "training.json"];

test("a training state comes back as it was saved; without one there is none", () => {
  assert.equal(loadTrainingState(folder), undefined);
  saveTrainingState(folder, stateOf(1));
  saveTrainingState(folder, stateOf(2));
  assert.deepEqual(readdirSync(folder).sort(), FILES);
  assertState(loadTrainingState(folder), stateOf(2));
  const { record, state } = stateOf(3);
  saveTrainingState(folder, { record, state });
  assert.deepEqual(loadTrainingState(folder), { record, state, rows: undefined, puzzles: undefined });
  assert.deepEqual(readdirSync(folder).sort(), ["state.safetensors", "training.json"]);
});

test("a save cut off at any of its steps leaves the old state or the new one, also through the next save that is cut off", () => {
  // The folder after each step of a save, in its order: new files waiting one by one, the record, then moves one by one.
  const stages = (from: string, to: TrainingState): string[] => {
    const finished = join(folder, "finished");
    rmSync(finished, { recursive: true, force: true });
    cpSync(from, finished, { recursive: true });
    saveTrainingState(finished, to);
    const work = join(folder, "work");
    rmSync(work, { recursive: true, force: true });
    cpSync(from, work, { recursive: true });
    const out: string[] = [];
    const keep = (): void => {
      const stage = mkdtempSync(join(folder, "stage-"));
      cpSync(work, stage, { recursive: true });
      out.push(stage);
    };
    for (const name of ["state.safetensors", "embeddings.safetensors", "puzzles.json"]) {
      cpSync(join(finished, name), join(work, `${name}.new`));
      keep();
    }
    cpSync(join(finished, "training.json"), join(work, "training.json"));
    keep();
    for (const name of ["state.safetensors", "embeddings.safetensors", "puzzles.json"]) {
      renameSync(join(work, `${name}.new`), join(work, name));
      keep();
    }
    return out;
  };
  const start = mkdtempSync(join(folder, "start-"));
  saveTrainingState(start, stateOf(1));
  const first = stages(start, stateOf(2));
  assert.deepEqual(
    first.map((stage) => loadTrainingState(stage)!.record.step),
    [1, 1, 1, 2, 2, 2, 2],
  );
  for (const stage of first) {
    const step = loadTrainingState(stage)!.record.step as number;
    assertState(loadTrainingState(stage), stateOf(step));
    // The next save is refused for its content (nothing is written then), or cut off in its first file: the state of before has survived.
    assert.throws(() => saveTrainingState(stage, stateOf(3, Number.NaN)), /tensor rows holds NaN/);
    writeFileSync(join(stage, "state.safetensors.new"), "cut off");
    assertState(loadTrainingState(stage), stateOf(step));
  }
});

test("what a killed process left half-written is gone with the next save", () => {
  writeFileSync(join(folder, ".embeddings.safetensors.new.4711.abc123.tmp"), "half");
  writeFileSync(join(folder, ".other.tmp"), "not ours");
  saveTrainingState(folder, stateOf(1));
  assert.deepEqual(readdirSync(folder).sort(), [".other.tmp", ...FILES]);
});

test("a save first puts in place what an earlier one left waiting, so that it cannot overwrite it", () => {
  saveTrainingState(folder, stateOf(2));
  for (const name of FILES.slice(0, 3)) renameSync(join(folder, name), join(folder, `${name}.new`)); // the record was the last thing written
  assertState(loadTrainingState(folder), stateOf(2));
  const unwritable = { ...stateOf(3), puzzles: 1n as never }; // JSON refuses it before anything is written
  assert.throws(() => saveTrainingState(folder, unwritable), TypeError);
  assert.deepEqual(readdirSync(folder).sort(), FILES);
  assertState(loadTrainingState(folder), stateOf(2));
});

test("a file that is missing, changed or cut is refused by name", () => {
  saveTrainingState(folder, stateOf(1));
  const path = join(folder, "embeddings.safetensors");
  const bytes = readFileSync(path);
  bytes[bytes.byteLength - 1]! ^= 1;
  writeFileSync(path, bytes);
  assert.throws(() => loadTrainingState(folder), /embeddings\.safetensors: is not the file that training\.json speaks of \(SHA-256/);
  writeFileSync(path, bytes.subarray(0, 20));
  assert.throws(() => loadTrainingState(folder), /\(20 bytes, not \d+\)/);
  rmSync(path);
  assert.throws(() => loadTrainingState(folder), /embeddings\.safetensors: is missing/);
  writeFileSync(join(folder, "training.json"), "{");
  assert.throws(() => loadTrainingState(folder), UserError);
  writeFileSync(join(folder, "training.json"), '{"format":"trm-training","formatVersion":1,"files":{},"record":{}}');
  assert.throws(() => loadTrainingState(folder), /training\.json: files\.state\.safetensors/);
});
