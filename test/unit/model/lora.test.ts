import assert from "node:assert/strict";
import { test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../../src/backend/select.ts";
import { initTrunk } from "../../../src/model/init.ts";
import { initLora, loraAssemble, loraLayout, mergeLora } from "../../../src/model/lora.ts";
import { joinParameters, parameterCount, parameterLayout, sliceParameters } from "../../../src/model/parameters.ts";
import { createRandom } from "../../../src/random.ts";
import { difference } from "../../golden/npz.ts";
import { TINY } from "../train/tiny-replica.ts";

const layout = parameterLayout(TINY);
const { weights } = initTrunk(TINY, createRandom("lora"));

test("fresh adapters leave the model as it is: B is zero, A uniform within 1/sqrt(in)", () => {
  const settings = { rank: 3, alpha: 16 };
  const adapters = initLora(weights, layout, settings, createRandom("a"));
  assert.deepEqual(mergeLora(weights, adapters, layout, settings), weights);
  for (const { name, shape, offset, size } of loraLayout(layout, settings)) {
    const part = adapters.subarray(offset, offset + size);
    if (name.endsWith("_B")) assert.ok(part.every((v) => v === 0));
    if (!name.endsWith("_A")) continue;
    const bound = 1 / Math.sqrt(shape[1]!);
    assert.ok(part.every((v) => Math.abs(v) <= bound));
    const largest = part.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    assert.ok(largest > 0.7 * bound, `${name}: largest ${largest} of ${bound}`);
  }
});

test("adapters sit on every linear layer and on nothing else; the token embedding is trained whole", () => {
  const names = loraLayout(layout, { rank: 2, alpha: 2 }).map(({ name, shape }) => `${name} ${shape.join("x")}`);
  assert.deepEqual(names, [
    "embed_tokens.embedding_weight 12x16",
    "lm_head._lora_A 2x16",
    "lm_head._lora_B 12x2",
    "q_head._lora_A 2x16",
    "q_head._lora_B 2x2",
    "L_level.layers.0.self_attn.qkv_proj._lora_A 2x16",
    "L_level.layers.0.self_attn.qkv_proj._lora_B 48x2",
    "L_level.layers.0.self_attn.o_proj._lora_A 2x16",
    "L_level.layers.0.self_attn.o_proj._lora_B 16x2",
    "L_level.layers.0.mlp.gate_up_proj._lora_A 2x16",
    "L_level.layers.0.mlp.gate_up_proj._lora_B 48x2",
    "L_level.layers.0.mlp.down_proj._lora_A 2x24",
    "L_level.layers.0.mlp.down_proj._lora_B 16x2",
  ]);
});

test("merging adds alpha / rank times B A, by a hand calculation", () => {
  const settings = { rank: 2, alpha: 6 };
  const specs = loraLayout(layout, settings);
  const adapters = new Float32Array(parameterCount(specs));
  adapters.set(weights.subarray(0, 12 * 16));
  const at = (name: string): number => specs.find((spec) => spec.name === name)!.offset;
  // A = row 0: 5 at column 2; row 1: 7 at column 2.  B[1] = (2, 1).  So W[1, 2] grows by 6 / 2 * (2 * 5 + 1 * 7) = 51.
  adapters[at("lm_head._lora_A") + 2] = 5;
  adapters[at("lm_head._lora_A") + 16 + 2] = 7;
  adapters[at("lm_head._lora_B") + 2] = 2;
  adapters[at("lm_head._lora_B") + 3] = 1;
  const merged = mergeLora(weights, adapters, layout, settings);
  const place = layout.find(({ name }) => name === "lm_head.weight")!.offset + 16 + 2;
  merged.forEach((value, i) => {
    assert.equal(value, i === place ? Math.fround(weights[i]! + 51) : weights[i]);
  });
});

test("the tensors that training assembles are the merged weights, for a rank above 1", async () => {
  await startEngine("wasm");
  const settings = { rank: 3, alpha: 5 };
  const specs = loraLayout(layout, settings);
  const adapters = Float32Array.from({ length: parameterCount(specs) }, (_, i) => Math.sin(i));
  const assembled = tf.tidy(() => {
    const frozen = sliceParameters(tf.tensor1d(weights), layout);
    return joinParameters(loraAssemble(frozen, layout, settings)(sliceParameters(tf.tensor1d(adapters), specs))).dataSync() as Float32Array;
  });
  assert.ok(difference(assembled, mergeLora(weights, adapters, layout, settings)).max <= 1e-5);
});
