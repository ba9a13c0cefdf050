import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gridFromRows } from "../../../src/arc/grid.ts";
import type { Task } from "../../../src/arc/task.ts";
import { planPuzzles } from "../../../src/data/build.ts";
import { encodeDataset } from "../../../src/data/dataset.ts";
import { readDataset, writeDataset } from "../../../src/data/dataset-file.ts";
import { npyBytes, parseNpy } from "../../../src/data/npy.ts";
import { officialEpoch, officialTestBatches } from "../../../src/data/official-loader.ts";
import { InputError, UserError } from "../../../src/errors.ts";
import { createRandom } from "../../../src/random.ts";

const cell = (color: number) => gridFromRows([[color]]);
const tasks = ["b", "22168020", "c"].map(
  (id, t): Task => ({
    id,
    train: Array.from({ length: 2 + t }, (_, i) => ({ input: cell(1 + t), output: cell(i) })),
    test: [{ input: cell(9) }],
  }),
);
const dataset = encodeDataset(planPuzzles([{ tasks, trainOnTests: false }], { variants: 3, random: createRandom(1) }), {
  side: 3,
  random: createRandom(2),
});

function inFolder(body: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "trm-dataset-"));
  try {
    body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a data set comes back from its files", () => {
  inFolder((folder) => {
    writeDataset(folder, dataset);
    const { testTasks, ...rest } = dataset;
    assert.deepEqual(readDataset(folder), rest);
    assert.equal(testTasks.length, 3);
  });
});

test("test_puzzles.json keeps the order of its tasks, also where ids look like numbers", () => {
  inFolder((folder) => {
    writeDataset(folder, dataset);
    const text = readFileSync(join(folder, "test_puzzles.json"), "utf8");
    assert.deepEqual(
      Array.from(text.matchAll(/"([^"]+)": \{"train"/g), ([, id]) => id),
      ["b", "22168020", "c"],
    );
    assert.deepEqual(JSON.parse(text).c.test, [{ input: [[9]], output: [[0]] }]);
  });
});

test("arrays that don't belong together are refused with everything that is wrong", () => {
  inFolder((folder) => {
    writeDataset(folder, dataset);
    const put = (field: string, array: Parameters<typeof npyBytes>[0]) =>
      writeFileSync(join(folder, "train", `all__${field}.npy`), Buffer.concat(npyBytes(array)));
    put("puzzle_identifiers", { shape: [1], data: Int32Array.of(99) });
    put("labels", { shape: [1, 9], data: new Uint8Array(9).fill(12) });
    assert.throws(
      () => readDataset(folder),
      (error) => {
        assert.ok(error instanceof InputError);
        for (const word of [
          /labels must hold tokens/,
          /they must be equal/,
          /group_indices must rise/,
          /puzzle_indices has/,
          /identifiers\.json has 13 names/,
        ]) {
          assert.ok(
            error.problems.some((problem) => word.test(problem)),
            String(word),
          );
        }
        return true;
      },
    );
  });
});

test("a missing file and a file of another kind are named", () => {
  inFolder((folder) => {
    assert.throws(
      () => readDataset(folder),
      (error) => error instanceof UserError && /identifiers\.json/.test(error.message),
    );
    writeDataset(folder, dataset);
    writeFileSync(join(folder, "test", "all__labels.npy"), "no array at all");
    assert.throws(
      () => readDataset(folder),
      (error) => error instanceof UserError && /all__labels\.npy: not a \.npy file/.test(error.message),
    );
  });
});

test(".npy files that are cut short, in Fortran order or of other numbers are refused", () => {
  const whole = Buffer.concat(npyBytes({ shape: [2], data: Int32Array.of(1, 2) }));
  const changed = (from: string, to: string) => Buffer.from(whole.toString("latin1").replace(from, to), "latin1");
  assert.throws(() => parseNpy(whole.subarray(0, -1), "x.npy"), /7 bytes of numbers, shape \(2,\) needs 8/);
  assert.throws(() => parseNpy(whole.subarray(0, 40), "x.npy"), /header is cut short/);
  assert.throws(() => parseNpy(changed("False", "True "), "x.npy"), /unexpected header/);
  assert.throws(() => parseNpy(changed("<i4", "<i8"), "x.npy"), /its numbers are '<i8'/);
});

test("a .npy file has the bytes that its format asks for, numbers at a multiple of 64", () => {
  // version 1.0, a header of 0x76 bytes, so that numbers start at 128; filled up with spaces, closed by a line feed (numpy.lib.format)
  const [header, body] = npyBytes({ shape: [1, 2], data: Uint8Array.of(1, 2) });
  const text = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2), }";
  assert.equal(Buffer.from(header).toString("latin1"), `\x93NUMPY\x01\x00\x76\x00${text.padEnd(0x76 - 1)}\n`);
  assert.deepEqual([...body], [1, 2]);
});

test("an official epoch takes one puzzle of each group, cuts it where the batch is full and drops a short last batch", () => {
  const { train } = dataset; // groups of 2, 3 and 4 pairs in up to 4 puzzles each
  const groupOf = (puzzleId: number): number => {
    const puzzle = train.puzzleIds.indexOf(puzzleId);
    return train.groupStarts.findLastIndex((start) => start <= puzzle);
  };
  for (let seed = 0; seed < 20; seed++) {
    for (const size of [1, 2, 4, 5, 9, 10]) {
      const batches = [...officialEpoch(train, size, createRandom(seed))];
      assert.ok(batches.every((batch) => batch.size === size));
      const ids = batches.flatMap((batch) => [...batch.puzzleIds]);
      assert.equal(new Set(ids.map(groupOf)).size, new Set(ids).size);
      if (size === 1) assert.equal(ids.length, 3); // one example of each group, the others cut off
      if (size === 9)
        assert.equal(
          new Set(
            batches.flatMap((b) =>
              Array.from(
                { length: 9 },
                (_, r) => `${b.puzzleIds[r]}:${b.labels.subarray(r * 9, r * 9 + 9)}:${b.inputs.subarray(r * 9, r * 9 + 9)}`,
              ),
            ),
          ).size,
          9,
        );
      if (size === 10) assert.equal(batches.length, 0);
    }
  }
});

test("over many official epochs every puzzle comes up", () => {
  const ids = Array.from({ length: 60 }, (_, seed) =>
    [...officialEpoch(dataset.train, 3, createRandom(seed))].flatMap((batch) => [...batch.puzzleIds]),
  );
  assert.equal(new Set(ids.flat()).size, dataset.train.puzzleIds.length);
});

test("all tests of a puzzle lie at the canvas's top left", () => {
  const twoTests: Task = {
    id: "two",
    train: [],
    test: [
      { input: cell(1), output: cell(2) },
      { input: cell(3), output: cell(4) },
    ],
  };
  const plan = planPuzzles([{ tasks: [twoTests], trainOnTests: false }], { variants: 6, random: createRandom(1) });
  const { test: split } = encodeDataset(plan, { side: 4, random: createRandom(2) });
  assert.equal(split.inputs.length, 14 * 16);
  for (let row = 0; row < 14; row++) assert.ok(split.inputs[row * 16]! > 2 && split.labels[row * 16]! > 2);
});

test("official test batches have every example in order, labels without PAD, and padding rows at the end", () => {
  const { test: split } = dataset;
  const examples = split.puzzleStarts.at(-1)!;
  const batches = [...officialTestBatches(split, 5)];
  assert.equal(batches.length, Math.ceil(examples / 5));
  const inputs = batches.flatMap((batch) => [...batch.inputs]);
  const labels = batches.flatMap((batch) => [...batch.labels]);
  assert.deepEqual(inputs.slice(0, examples * 9), [...split.inputs]);
  assert.deepEqual(
    labels.slice(0, examples * 9),
    Array.from(split.labels, (token) => token || -100),
  );
  assert.ok(inputs.slice(examples * 9).every((token) => token === 0) && labels.slice(examples * 9).every((label) => label === -100));
  const ids = batches.flatMap((batch) => [...batch.puzzleIds]);
  assert.deepEqual(ids, [...split.puzzleIds, ...new Array(ids.length - examples).fill(0)]); // one test a puzzle
});
