import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../src/backend/select.ts";
import { keptRows } from "../../src/checkpoint/kept-rows.ts";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { formatAllConfig } from "../../src/checkpoint/pytorch/all-config.ts";
import { convertFromPytorch } from "../../src/checkpoint/pytorch/from-pytorch.ts";
import { convertToPytorch } from "../../src/checkpoint/pytorch/to-pytorch.ts";
import { headSize } from "../../src/model/config.ts";
import { flattenParameters, parameterLayout, sliceParameters } from "../../src/model/parameters.ts";
import { rotaryTables } from "../../src/model/rotary.ts";
import { evaluationStep, readOut } from "../../src/train/act-step.ts";
import { difference, FIXTURES, Npz, readFixtureJson } from "./npz.ts";
import { B, D, ENGINE_UNDER_TEST, puzzleRows, S, T, V } from "./small-model.ts";

/** Limits of the fixtures' README for float32, by ACT step, as in model.test.ts. */
const LOGITS_MAX = [5e-4, 2.5e-2, 0.1, 0.8];
const LOGITS_MEAN = [2e-5, 1e-4, 6e-4, 5e-3];
const Q_MAX = [1e-5, 5e-5, 2e-4, 3e-3];

const folder = mkdtempSync(join(tmpdir(), "trm-convert-"));
after(() => rmSync(folder, { recursive: true }));
before(() => startEngine(ENGINE_UNDER_TEST));

/** A folder as the official trainer leaves it: the fixture beside a yaml of its config. */
function officialFolder(name: string): string {
  const { batch_size: _, seq_len: __, vocab_size: ___, num_puzzle_identifiers: ____, ...arch } = readFixtureJson("model-small").config;
  const yaml = {
    arch: { name: "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1", ...arch },
    data_paths: ["data/small"],
    seed: 3,
  };
  copyFileSync(join(FIXTURES, `${name}.pt`), join(folder, "step_1200"));
  writeFileSync(join(folder, "all_config.yaml"), formatAllConfig(yaml));
  return folder;
}

/** Compares four ACT steps of a checkpoint's model with the official ones. */
function assertGoldenLogits(path: string): void {
  const checkpoint = loadCheckpoint(path);
  const { model } = checkpoint.config;
  const layout = parameterLayout(model);
  const leaves = sliceParameters(tf.tensor1d(flattenParameters(checkpoint.trunk, layout)), layout);
  const positions = Int32Array.from({ length: T }, (_, i) => i);
  const context = {
    config: model,
    buffers: { hInit: tf.tensor1d(checkpoint.trunk.get("H_init")!.data), lInit: tf.tensor1d(checkpoint.trunk.get("L_init")!.data) },
    rotary: rotaryTables(positions, headSize(model), model.ropeTheta),
  };
  const [table] = [...keptRows(checkpoint)!.rows.pieces()];
  const golden = new Npz("model-small");
  let latents = { zH: tf.zeros([B * T, D]) as tf.Tensor2D, zL: tf.zeros([B * T, D]) as tf.Tensor2D };
  for (let step = 1; step <= 4; step++) {
    latents = evaluationStep(context, leaves, {
      tokens: tf.tensor2d(golden.ints("inputs"), [B, S], "int32"),
      puzzleRows: puzzleRows(table!, golden.ints("puzzle_identifiers")),
      fresh: step === 1 ? tf.ones([B, 1]) : tf.zeros([B, 1]),
      latents,
    });
    const { logits, q } = readOut(context, leaves, latents.zH, B);
    const off = difference(logits.dataSync(), golden.floats(`step${step}_logits`));
    assert.equal(logits.size, B * S * V);
    assert.ok(off.max <= LOGITS_MAX[step - 1]! && off.mean <= LOGITS_MEAN[step - 1]!, `step ${step}: max ${off.max}, mean ${off.mean}`);
    const halt = difference(tf.slice2d(q, [0, 0], [B, 1]).dataSync(), golden.floats(`step${step}_q_halt_logits`));
    assert.ok(halt.max <= Q_MAX[step - 1]!, `step ${step}: q off by ${halt.max}`);
  }
}

for (const name of ["model-small", "model-small-bf16"]) {
  test(`${name}.pt, converted, gives the golden logits, and so does what is converted back and forth again`, () => {
    const out = join(folder, name);
    const options = { withEmbeddings: true, canvas: 10 };
    const { model, steps, origins } = convertFromPytorch(officialFolder(name), { ...options, out }, () => {});
    assert.deepEqual([model.hCycles, model.lCycles, model.prefixLength, model.numHeads, steps], [3, 4, 16, 4, 1200]);
    assert.deepEqual([origins.numHeads, origins.hiddenSize, origins.steps], ["yaml", "shapes", "name step_1200"]);
    assertGoldenLogits(out);

    const official = join(folder, `${name}-official`, "step_1200");
    assert.equal(convertToPytorch(out, { out: official }).forwardDtype, name === "model-small" ? "float32" : "bfloat16");
    const again = join(folder, `${name}-again`);
    const second = convertFromPytorch(official, { withEmbeddings: true, out: again }, () => {}); // the canvas too is known from our yaml
    assert.equal(second.canvas, 10);
    const [first, last] = [loadCheckpoint(out), loadCheckpoint(again)];
    assert.deepEqual(last.config.model, first.config.model);
    assert.deepEqual(last.trunk, first.trunk);
    assert.deepEqual(last.puzzleEmbedding, first.puzzleEmbedding);
    assert.deepEqual([...keptRows(last)!.rows.pieces()], [...keptRows(first)!.rows.pieces()]);
    assert.deepEqual([last.config.training.steps, last.config.training.dataSets, last.config.training.seed], [1200, ["data/small"], 3]);
  });
}
