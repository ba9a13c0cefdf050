import assert from "node:assert/strict";
import { test } from "node:test";
import { checkCheckpointConfig, parseCheckpointConfig } from "../../../src/checkpoint/config.ts";
import { expectedShapes } from "../../../src/checkpoint/shapes.ts";
import { UserError } from "../../../src/errors.ts";
import { innerSize } from "../../../src/model/config.ts";

const MODEL = { hiddenSize: 512, numHeads: 8, lLayers: 2, hCycles: 3, lCycles: 4, haltMaxSteps: 16, prefixLength: 16 };
const CONFIG = { format: "trm", formatVersion: 1, model: MODEL, canvas: 30, training: { recipe: "replication", gpu: "H100" } };

function refusal(value: unknown): string {
  try {
    checkCheckpointConfig(value, "ckpt/config.json");
  } catch (error) {
    assert.ok(error instanceof UserError);
    return error.message;
  }
  return assert.fail("was accepted");
}

test("defaults are filled in and further fields of the training record kept", () => {
  const { model, training } = parseCheckpointConfig(JSON.stringify(CONFIG), "config.json");
  assert.deepEqual(model, {
    ...MODEL,
    expansion: 4,
    innerMultiple: 256,
    vocabularySize: 12,
    puzzleEmbeddingSize: 512,
    ropeTheta: 10000,
    ropeAxes: 1,
    rmsNormEps: 1e-5,
  });
  assert.deepEqual(training, { recipe: "replication", gpu: "H100", dataSets: [], steps: 0 });
});

test("every wrong field is named by its path, all at once", () => {
  const message = refusal({ ...CONFIG, canvas: 0, model: { ...MODEL, hiddenSize: "512", lLayerz: 2 } });
  assert.match(message, /^ckpt\/config\.json: 3 problems/);
  assert.match(message, /model\.hiddenSize: .*expected number/);
  assert.match(message, /model: .*lLayerz/);
  assert.match(message, /canvas: .*>=1/);
});

test("numbers that make no model are refused", () => {
  assert.match(refusal({ ...CONFIG, model: { ...MODEL, numHeads: 7 } }), /model\.numHeads: 7 heads don't divide hiddenSize 512/);
  assert.match(refusal({ ...CONFIG, model: { ...MODEL, numHeads: 512 } }), /heads of 1 are odd/);
  assert.match(
    refusal({ ...CONFIG, model: { ...MODEL, prefixLength: 1, puzzleEmbeddingSize: 513 } }),
    /puzzleEmbeddingSize: 513 don't fit 1 prefix positions of 512/,
  );
});

test("a file that is no config says what it is", () => {
  const parse = (text: string) => () => parseCheckpointConfig(text, "config.json");
  assert.throws(parse(""), /config\.json: is empty/);
  assert.throws(parse("<html>"), /web page/);
  assert.throws(parse("version https://git-lfs.github.com/spec/v1"), /Git LFS/);
  assert.throws(parse("{"), /is not JSON/);
  assert.throws(parse("null"), UserError);
  assert.throws(parse(JSON.stringify({ ...CONFIG, formatVersion: 2 })), /formatVersion 2 is newer/);
  assert.throws(parse(JSON.stringify({ ...CONFIG, format: "hf" })), /format: /);
});

test("the full model's shapes are those of TRM: 1536 inner, 6.8 million numbers", () => {
  const { model } = checkCheckpointConfig(CONFIG, "x");
  assert.equal(innerSize(model), 1536);
  const shapes = expectedShapes(model);
  assert.deepEqual(shapes.get("L_level.layers.1.mlp.gate_up_proj.weight"), [3072, 512]);
  // 2 vectors of 512, two tables of 12 x 512, a head of 2 x 512 + 2, two layers of (3 + 1) * 512^2 + 3 * 1536 * 512
  const numbers = [...shapes.values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
  assert.equal(numbers, 2 * 512 + 2 * 12 * 512 + 2 * 512 + 2 + 2 * (4 * 512 * 512 + 3 * 1536 * 512));
});

test("the inner width is rounded as in Python, then up to a multiple", () => {
  assert.equal(innerSize({ hiddenSize: 64, expansion: 4, innerMultiple: 256 }), 256); // 170.67
  assert.equal(innerSize({ hiddenSize: 64, expansion: 4, innerMultiple: 32 }), 192);
  assert.equal(innerSize({ hiddenSize: 3, expansion: 2.25, innerMultiple: 4 }), 4); // 4.5: Python rounds to 4
});
