import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { parseModelConfig } from "../../src/checkpoint/config.ts";
import { withFile } from "../../src/checkpoint/file.ts";
import { splitStateDict } from "../../src/checkpoint/pytorch/names.ts";
import { readPickle, type TensorReference } from "../../src/checkpoint/pytorch/pickle.ts";
import { openStateDict } from "../../src/checkpoint/pytorch/state-dict.ts";
import { readStoredZip } from "../../src/checkpoint/pytorch/zip.ts";
import { resizeRows, rowsOf } from "../../src/checkpoint/resize.ts";
import { expectedShapes, notFiniteProblems, shapeProblems } from "../../src/checkpoint/shapes.ts";
import { rowStatistics } from "../../src/model/puzzle-embedding.ts";
import { difference, FIXTURES, Npz, readFixtureJson } from "./npz.ts";

interface Side {
  readonly file: string;
  readonly entries: readonly string[];
  readonly state_dict: readonly { key: string; dtype: string; shape: number[]; stride: number[] }[];
}

const SIDES = readFixtureJson("model-small-weights").checkpoints as readonly Side[];
const DTYPES: Record<string, string> = { FloatStorage: "float32", BFloat16Storage: "bfloat16" };

assert.deepEqual(
  SIDES.map(({ file }) => file),
  ["model-small.pt", "model-small-bf16.pt"],
);

for (const { file, entries, state_dict } of SIDES) {
  const path = join(FIXTURES, file);

  test(`${file} holds the weights of the fixture, exactly, and nothing else`, () => {
    const npz = new Npz("model-small-weights");
    withFile(path, (source) => {
      const { tensors, savedAs } = openStateDict(source, file);
      assert.equal(savedAs, "step_1200");
      assert.deepEqual(
        [...tensors].map(([key, { dtype }]) => ({ key, dtype })),
        state_dict.map(({ key, dtype }) => ({ key, dtype })),
      );
      for (const [key, tensor] of tensors) {
        const expected = npz.get(key);
        assert.deepEqual(tensor.shape, expected.shape);
        assert.deepEqual(tensor.read(), expected.data, key);
        assert.deepEqual(Array.from(tensor.pieces(7), (piece) => [...piece]).flat(), [...expected.data], key);
      }
    });
    assert.deepEqual(npz.unread, []);
  });

  test(`${file} has the entries, dtypes, shapes and strides that the fixture lists`, () => {
    withFile(path, (source) => {
      const zip = readStoredZip(source, file);
      assert.deepEqual([...zip.keys()].sort(), [...entries].sort());
      const value = readPickle(zip.get("step_1200/data.pkl")!.read(), file) as Map<string, TensorReference>;
      const listed = [...value].map(([key, { storage, shape, stride }]) => ({ key, dtype: DTYPES[storage.type], shape, stride }));
      assert.deepEqual(listed, state_dict);
    });
  });
}

test("the official parameters are those that the model's shape asks for", () => {
  const { trunk, puzzleRows } = withFile(join(FIXTURES, "model-small.pt"), (source) => {
    const { trunk, puzzleRows } = splitStateDict(openStateDict(source, "model-small.pt").tensors, "model-small.pt");
    return { trunk: new Map([...trunk].map(([name, tensor]) => [name, { shape: tensor.shape, data: tensor.read() }])), puzzleRows };
  });
  const model = parseModelConfig(
    { hiddenSize: 64, numHeads: 4, lLayers: 2, hCycles: 3, lCycles: 4, haltMaxSteps: 4, prefixLength: 16 },
    "model-small",
  );
  assert.deepEqual(shapeProblems(trunk, expectedShapes(model)), []);
  assert.deepEqual([...trunk.keys()], [...expectedShapes(model).keys()]);
  assert.deepEqual(notFiniteProblems(trunk), []);
  assert.deepEqual(puzzleRows!.shape, [9, 64]);
});

test("loading into another number of puzzles makes every row the mean of all old ones", () => {
  const npz = new Npz("checkpoint-resize");
  const rows = new Npz("model-small-weights").floats("_orig_mod.model.inner.puzzle_emb.weights");
  assert.ok(difference(rowStatistics(rowsOf(rows, 64), 64).mean, npz.floats("row")).max <= 1e-7);
  assert.ok(difference(resizeRows(rows, 64, 5), npz.floats("puzzle_emb_weights_5")).max <= 1e-7);
  assert.equal(resizeRows(rows, 64, 9), rows);
  assert.deepEqual(npz.unread, []);
});
