/** Parity with TRM's dataset/build_arc_dataset.py, dataset/common.py, puzzle_dataset.py and the crop of evaluators/arc.py. Source: test/fixtures, section 7. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gridFromRows, gridToRows } from "../../src/arc/grid.ts";
import type { Pair, Task } from "../../src/arc/task.ts";
import {
  type Augmentation,
  applyAugmentation,
  augmentationId,
  augmentTask,
  identityAugmentation,
  isIdentity,
  parseAugmentationId,
  undoAugmentation,
} from "../../src/augment/augmentation.ts";
import { applyDihedral, inverseDihedral, undoDihedral } from "../../src/augment/dihedral.ts";
import { translationRoom } from "../../src/augment/translation.ts";
import { planPuzzles, splitPairs } from "../../src/data/build.ts";
import { type DatasetSplit, encodeDataset } from "../../src/data/dataset.ts";
import { writeDataset } from "../../src/data/dataset-file.ts";
import { distinctVariants, gridHash, puzzleHash } from "../../src/data/dedupe.ts";
import { gridToCanvas, pairToExample } from "../../src/encode/canvas.ts";
import { cropToGrid } from "../../src/encode/crop.ts";
import { EOS, FIRST_COLOR, IGNORE_LABEL, PAD } from "../../src/encode/vocabulary.ts";
import { createRandom } from "../../src/random.ts";
import { Npz, readFixtureJson } from "./npz.ts";

type Rows = number[][];
type PuzzleJson = { train: { input: Rows; output: Rows }[]; test: { input: Rows; output: Rows }[] };
const SIDE = 30;
const TOKENS = SIDE * SIDE;

const arrays = new Npz("data");
const json = readFixtureJson("data");
/** The lists of the side file; each test takes its own, so that one that no test took is noticed. */
const taken = new Set<string>();
// biome-ignore lint/suspicious/noExplicitAny: the fixture has a form of its own, described in test/fixtures/README.md
const take = (key: string): any => {
  taken.add(key);
  return json[key];
};

function toTask(id: string, puzzle: PuzzleJson): Task {
  const pairs = (list: PuzzleJson["train"]): Pair[] =>
    list.map(({ input, output }) => ({ input: gridFromRows(input), output: gridFromRows(output) }));
  return {
    id,
    train: pairs(puzzle.train),
    test: pairs(puzzle.test),
    testFirst: Object.keys(puzzle).indexOf("test") < Object.keys(puzzle).indexOf("train"),
  };
}

const tasks = new Map<string, Task>(
  Object.entries(take("tasks") as Record<string, PuzzleJson>).map(([id, puzzle]) => [id, toTask(id, puzzle)]),
);
const allPairs = ({ train, test }: Task): Pair[] => [...train, ...(test as Pair[])];
const toAugmentation = (trans_id: number | null, mapping: number[] | null): Augmentation =>
  mapping === null ? identityAugmentation() : { dihedral: trans_id!, colorPermutation: Uint8Array.from(mapping) };
const canvasOf = (name: string, row: number): Int32Array => arrays.ints(name).subarray(row * TOKENS, (row + 1) * TOKENS);

test("each symmetry and its inverse give the official grids", () => {
  const original = gridFromRows([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  const cases = take("dihedral");
  assert.equal(cases.length, 8);
  for (const { trans_id, grid, inverse_trans_id, inverse_of_result, inverse_of_grid } of cases) {
    assert.deepEqual(gridToRows(applyDihedral(original, trans_id)), grid);
    assert.equal(inverseDihedral(trans_id), inverse_trans_id);
    assert.deepEqual(gridToRows(undoDihedral(gridFromRows(grid), trans_id)), inverse_of_result);
    assert.deepEqual(gridToRows(undoDihedral(original, trans_id)), inverse_of_grid);
  }
});

test("an identifier names its task and undoes its augmentation as the official one does", () => {
  assert.equal(take("separator"), "|||");
  const ids = take("ids");
  assert.equal(ids.length, 4);
  for (const { id, original, grid, inverse_of_grid } of ids) {
    const { taskId, augmentation } = parseAugmentationId(id);
    assert.equal(taskId, original);
    assert.deepEqual(gridToRows(undoAugmentation(gridFromRows(grid), augmentation)), inverse_of_grid);
  }
});

test("the tokens are the official ones", () => {
  assert.deepEqual({ pad: PAD, eos: EOS, "colour c": `c + ${FIRST_COLOR}` }, take("tokens"));
});

test("a given augmentation and shift gives the official identifier, hashes and tokens, in all 156 cases", () => {
  const cases = take("cases");
  assert.equal(cases.length, 156);
  let identities = 0;
  for (const item of cases) {
    const task = tasks.get(item.task)!;
    const augmentation = toAugmentation(item.trans_id, item.mapping);
    if (item.mapping !== null && isIdentity(augmentation))
      identities++; // the one name that is written differently here
    else assert.equal(augmentationId(task.id, augmentation), item.id);
    assert.deepEqual(parseAugmentationId(item.id), { taskId: item.task, augmentation });
    const variant = allPairs(augmentTask(task, augmentation).task);
    const { input, output } = variant[item.example]!;
    assert.equal(puzzleHash(variant), item.puzzle_hash);
    assert.deepEqual([gridHash(input), gridHash(output)], [item.input_grid_hash, item.output_grid_hash]);
    assert.deepEqual(
      [input, output].map((grid) => gridHash(undoAugmentation(grid, augmentation))),
      [item.original_input_grid_hash, item.original_output_grid_hash],
    );
    assert.deepEqual(translationRoom([input, output], SIDE), { row: item.pad_r_max, col: item.pad_c_max });
    const at = { row: item.pad_r, col: item.pad_c };
    const labels = canvasOf("labels", item.row);
    assert.deepEqual(gridToCanvas(input, SIDE, at), canvasOf("inputs", item.row));
    assert.deepEqual(gridToCanvas(output, SIDE, at), labels);
    assert.deepEqual(
      pairToExample({ input, output }, SIDE, at, 7).labels,
      labels.map((token) => (token === PAD ? IGNORE_LABEL : token)),
    );
  }
  assert.ok(identities > 0);
});

test("given draws, the same ones are kept and the same warning is given as by the official de-duplication", () => {
  const cases = take("dedupe");
  assert.equal(cases.length, 5);
  for (const { task: id, puzzle, num_aug, original_hash, draws, group, message } of cases) {
    const task = puzzle ? toTask(id, puzzle) : tasks.get(id)!;
    assert.equal(puzzleHash(allPairs(task)), original_hash);
    const plans: Augmentation[] = draws.map((draw: { trans_id: number; mapping: number[] }) => toAugmentation(draw.trans_id, draw.mapping));
    plans.forEach((plan, i) => {
      assert.equal(puzzleHash(allPairs(augmentTask(task, plan).task)), draws[i].hash);
    });
    let drawn = 0;
    const variants = distinctVariants(task, num_aug, () => plans[drawn++]!);
    assert.equal(drawn, draws.length);
    const kept = Array.from({ length: variants.augmentations.length }, (_, v) => augmentationId(id, variants.augmentations.at(v)));
    assert.deepEqual(kept, group);
    assert.deepEqual(
      kept.slice(1),
      plans.filter((_, i) => draws[i].accepted).map((plan) => augmentationId(id, plan)),
    );
    assert.equal(variants.message ?? "", message);
  }
});

test("the official crops come out of clean and broken canvases", () => {
  const cases = take("crop");
  assert.equal(cases.length, 12);
  for (const { about, row, shape, grid } of cases) {
    const crop = cropToGrid(arrays.ints("crop_tokens"), SIDE, row * TOKENS);
    assert.deepEqual([crop.rows, crop.cols], shape, about);
    assert.deepEqual(gridToRows(crop), grid, about);
    assert.deepEqual(cropToGrid(canvasOf("crop_tokens", row), SIDE), crop, about);
  }
});

/** The places of a canvas where a pair, so encoded, gives exactly these tokens. */
function shiftsThatGive(pair: Pair, inputs: Int32Array, labels: Int32Array): { row: number; col: number }[] {
  const room = translationRoom([pair.input, pair.output], SIDE);
  const found = [];
  for (let row = 0; row <= room.row; row++) {
    for (let col = 0; col <= room.col; col++) {
      if (gridToCanvas(pair.input, SIDE, { row, col }).every((token, i) => token === inputs[i])) {
        assert.deepEqual(gridToCanvas(pair.output, SIDE, { row, col }), labels);
        found.push({ row, col });
      }
    }
  }
  return found;
}

/** Asserts that a split holds the pairs that the names of its puzzles say, in key order, at places that the official builder may choose. */
function assertSplitIsWhatItsNamesSay(
  name: "train" | "test",
  split: DatasetSplit,
  names: readonly string[],
  testIds: readonly string[],
): void {
  split.puzzleIds.forEach((id, p) => {
    const { taskId, augmentation } = parseAugmentationId(names[id]!);
    const pairs = splitPairs(tasks.get(taskId)!, !testIds.includes(taskId))[name] as readonly Pair[];
    const start = split.puzzleStarts[p]!;
    assert.equal(split.puzzleStarts[p + 1]! - start, pairs.length);
    const shifts = pairs.map(({ input, output }, i) => {
      const variant = { input: applyAugmentation(input, augmentation), output: applyAugmentation(output, augmentation) };
      const tokensOf = (stored: Uint8Array): Int32Array => Int32Array.from(stored.subarray((start + i) * TOKENS, (start + i + 1) * TOKENS));
      const found = shiftsThatGive(variant, tokensOf(split.inputs), tokensOf(split.labels));
      assert.equal(found.length, 1, `${names[id]}, pair ${i}`);
      return found[0]!;
    });
    const unshifted = shifts.filter(({ row, col }) => row === 0 && col === 0).length;
    assert.ok(name === "test" ? unshifted === pairs.length : unshifted >= 1, `${names[id]}: ${unshifted} pairs at (0, 0)`);
  });
}

test("the official data set and ours are what their names say, pair by pair, and have the same structure", () => {
  const { identifiers, num_aug, subsets, npy_dtypes, test_puzzles_keys, ...metadata } = take("dataset");
  const [trainIds, testIds] = Object.values(subsets) as [string[], string[]];
  const inOrder = (list: string[]): Task[] => list.map((id) => tasks.get(id)!);
  const ours = encodeDataset(
    planPuzzles(
      [
        { tasks: inOrder(trainIds), trainOnTests: true },
        { tasks: inOrder(testIds), trainOnTests: false },
      ],
      { variants: num_aug, random: createRandom(1) },
    ),
    { side: SIDE, random: createRandom(2) },
  );
  const folder = mkdtempSync(join(tmpdir(), "trm-data-"));
  after(() => rmSync(folder, { recursive: true }));
  writeDataset(folder, ours);
  const withoutVariant = (names: readonly string[]): string[] => names.map((name) => name.split("|||")[0]!);
  assert.deepEqual(withoutVariant(ours.names), withoutVariant(identifiers));
  assert.deepEqual(Object.keys(JSON.parse(readFileSync(join(folder, "test_puzzles.json"), "utf8"))), test_puzzles_keys);

  for (const name of ["train", "test"] as const) {
    const field = (field: string): Int32Array => arrays.ints(`dataset_${name}_${field}`);
    const official: DatasetSplit = {
      tokens: TOKENS,
      inputs: Uint8Array.from(field("inputs")),
      labels: Uint8Array.from(field("labels")),
      puzzleIds: field("puzzle_identifiers"),
      puzzleStarts: field("puzzle_indices"),
      groupStarts: field("group_indices"),
    };
    assertSplitIsWhatItsNamesSay(name, official, identifiers, testIds);
    assertSplitIsWhatItsNamesSay(name, ours[name], ours.names, testIds);
    const { inputs: _inputs, labels: _labels, ...structure } = official;
    const { inputs, labels, ...ourStructure } = ours[name];
    assert.deepEqual(ourStructure, structure);
    assert.deepEqual([inputs.length, labels.length], [official.inputs.length, official.labels.length]);
    assert.deepEqual(JSON.parse(readFileSync(join(folder, name, "dataset.json"), "utf8")), metadata[name]);
    for (const [field, dtype] of Object.entries(npy_dtypes)) {
      const header = readFileSync(join(folder, name, `all__${field}.npy`)).toString("latin1", 10, 60);
      assert.ok(header.includes(`'descr': '${dtype === "uint8" ? "|u1" : "<i4"}'`), header);
    }
  }
});

after(() => {
  assert.deepEqual(arrays.unread, []);
  const words = ["source", "about", "cases_about", "dedupe_about", "file", "arrays"];
  assert.deepEqual(
    Object.keys(json).filter((key) => !taken.has(key) && !words.includes(key)),
    [],
  );
});
