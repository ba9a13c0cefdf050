import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAllConfig, parseAllConfig } from "../../../src/checkpoint/pytorch/all-config.ts";
import { type ModelOptions, officialModel } from "../../../src/checkpoint/pytorch/official-model.ts";
import { UserError } from "../../../src/errors.ts";

/** As the official pretrain.py dumps it (PyYAML), fields that have no say here left away. */
const YAML = `arch:
  H_cycles: 3
  H_layers: 0
  L_cycles: 4
  L_layers: 2
  expansion: 4
  forward_dtype: bfloat16
  halt_exploration_prob: 0.1
  halt_max_steps: 16
  hidden_size: 512
  loss:
    loss_type: stablemax_cross_entropy
    name: losses@ACTLossHead
  mlp_t: false
  name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
  no_ACT_continue: true
  num_heads: 8
  pos_encodings: rope
  puzzle_emb_len: 16
  puzzle_emb_ndim: 512
data_paths:
- data/arc2concept-aug-1000
data_paths_test: []
ema: true
ema_rate: 0.999
epochs: 100000
lr: 0.0001
project_name: null
run_name: pretrain_att_arc2concept_4
seed: 0
`;

/** Shapes of the official ARC model: 512 wide, SwiGLU of 4 * 512 * 2/3 = 1365 up to a multiple of 256. */
function shapesOf({ D = 512, inner = 1536, layers = 2, vocabulary = 12 } = {}): Map<string, number[]> {
  const shapes = new Map<string, number[]>([
    ["H_init", [D]],
    ["L_init", [D]],
    ["embed_tokens.embedding_weight", [vocabulary, D]],
    ["lm_head.weight", [vocabulary, D]],
    ["q_head.weight", [2, D]],
    ["q_head.bias", [2]],
  ]);
  for (let i = 0; i < layers; i++) {
    shapes.set(`L_level.layers.${i}.self_attn.qkv_proj.weight`, [3 * D, D]);
    shapes.set(`L_level.layers.${i}.self_attn.o_proj.weight`, [D, D]);
    shapes.set(`L_level.layers.${i}.mlp.gate_up_proj.weight`, [2 * inner, D]);
    shapes.set(`L_level.layers.${i}.mlp.down_proj.weight`, [D, inner]);
  }
  return shapes;
}

const ROWS = [1000, 512];
const yamlWith = (change: (text: string) => string = (text) => text) => ({
  config: parseAllConfig(change(YAML), "all_config.yaml"),
  path: "all_config.yaml",
});
const ALL: ModelOptions = { numHeads: 8, hCycles: 3, lCycles: 4, haltMaxSteps: 16, prefixLength: 16 };
const refused = (run: () => unknown, pattern: RegExp): void =>
  assert.throws(run, (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, pattern);
    return true;
  });

test("shapes and yaml give the official ARC model, and each field says where it came from", () => {
  const { model, origins, notes } = officialModel(shapesOf(), ROWS, yamlWith(), {}, "step_1");
  assert.deepEqual(model, {
    hiddenSize: 512,
    numHeads: 8,
    expansion: 4,
    innerMultiple: 256,
    lLayers: 2,
    hCycles: 3,
    lCycles: 4,
    haltMaxSteps: 16,
    prefixLength: 16,
    vocabularySize: 12,
    puzzleEmbeddingSize: 512,
    ropeTheta: 10000,
    ropeAxes: 1,
    rmsNormEps: 1e-5,
  });
  assert.equal(origins.hiddenSize, "shapes");
  assert.equal(origins.numHeads, "yaml");
  assert.deepEqual(notes, []);
});

test("without a yaml the options say what shapes cannot, and all that is missing is asked for at once", () => {
  const { model, origins } = officialModel(shapesOf(), ROWS, undefined, ALL, "step_1");
  assert.deepEqual(model, officialModel(shapesOf(), ROWS, yamlWith(), {}, "step_1").model);
  assert.deepEqual([origins.numHeads, origins.ropeTheta, origins.expansion], ["option", "official default", "shapes"]);
  refused(
    () => officialModel(shapesOf(), ROWS, undefined, { numHeads: 8, lCycles: 4 }, "step_1"),
    /step_1: --h-cycles, --halt-max-steps, --prefix-length: can't be read off the weights; give .*--config/,
  );
});

test("an option overrules the yaml, aloud", () => {
  const { model, notes } = officialModel(shapesOf(), ROWS, yamlWith(), { hCycles: 2, lCycles: 4 }, "step_1");
  assert.equal(model.hCycles, 2);
  assert.deepEqual(notes, ["--h-cycles 2 overrules the 3 of all_config.yaml"]);
});

test("a yaml that contradicts the shapes is refused with every contradiction", () => {
  const wrong = yamlWith((text) =>
    text.replace("hidden_size: 512", "hidden_size: 256").replace("L_layers: 2", "L_layers: 4").replace("ndim: 512", "ndim: 256"),
  );
  refused(
    () => officialModel(shapesOf(), ROWS, wrong, {}, "step_1"),
    /arch\.hidden_size is 256, the weights in step_1 have 512[\s\S]*arch\.L_layers is 4, the weights in step_1 have 2[\s\S]*arch\.puzzle_emb_ndim is 256/,
  );
  const wide = yamlWith((text) => text.replace("expansion: 4", "expansion: 8"));
  refused(
    () => officialModel(shapesOf(), ROWS, wide, {}, "step_1"),
    /arch\.expansion 8 gives an inner width of 2816, its weights have 1536/,
  );
  refused(
    () => officialModel(shapesOf(), ROWS, undefined, { ...ALL, expansion: 1 }, "step_1"),
    /--expansion 1 gives an inner width of 512/,
  );
  const heads = yamlWith((text) => text.replace("num_heads: 8", "num_heads: 7"));
  refused(() => officialModel(shapesOf(), ROWS, heads, {}, "step_1"), /numHeads: 7 heads don't divide hiddenSize 512/);
});

test("other models are refused by what they are", () => {
  const refusedWith = (change: (shapes: Map<string, number[]>) => void, pattern: RegExp): void => {
    const shapes = shapesOf();
    change(shapes);
    refused(() => officialModel(shapes, ROWS, undefined, ALL, "step_1"), pattern);
  };
  refusedWith((shapes) => shapes.set("H_level.layers.0.mlp.down_proj.weight", [512, 1536]), /HRM/);
  refusedWith((shapes) => shapes.set("L_level.layers.0.mlp_t.down_proj.weight", [916, 2560]), /mlp_t mixes positions by an MLP/);
  refusedWith((shapes) => shapes.set("embed_pos.embedding_weight", [916, 512]), /positions are learned/);
  refusedWith((shapes) => shapes.set("lm_head.lora_A", [1, 512]), /LoRA adapters/);
  refusedWith((shapes) => shapes.set("something.else", [3]), /something\.else \[3\] is no part of this model/);
  refusedWith((shapes) => shapes.delete("q_head.bias"), /q_head\.bias \[2\] is missing/);
  refusedWith((shapes) => shapes.set("q_head.weight", [2, 256]), /q_head\.weight is \[2, 256\]; .* must be \[2, 512\]/);
  refusedWith((shapes) => shapes.delete("lm_head.weight"), /has no matrix lm_head\.weight; is it a TRM checkpoint\?/);
  refused(() => officialModel(shapesOf({ vocabulary: 11 }), ROWS, undefined, ALL, "step_1"), /11 tokens, ARC has 12/);
  refused(() => officialModel(shapesOf(), undefined, undefined, ALL, "step_1"), /holds no puzzle_emb\.weights/);
  const named = yamlWith((text) => text.replace("recursive_reasoning.trm@", "recursive_reasoning.trm_singlez@"));
  refused(() => officialModel(shapesOf(), ROWS, named, {}, "step_1"), /arch\.name is recursive_reasoning\.trm_singlez@.*--config none/);
  const mlp = yamlWith((text) => text.replace("mlp_t: false", "mlp_t: true").replace("rope", "learned"));
  refused(() => officialModel(shapesOf(), ROWS, mlp, {}, "step_1"), /pos_encodings is learned[\s\S]*mlp_t is true/);
});

test("a prefix of length 0 is as long as the embedding needs, and one that is too short is refused", () => {
  const auto = yamlWith((text) => text.replace("puzzle_emb_len: 16", "puzzle_emb_len: 0").replace("ndim: 512", "ndim: 1200"));
  assert.equal(officialModel(shapesOf(), [1000, 1200], auto, {}, "step_1").model.prefixLength, 3);
  const unsaid = yamlWith((text) => text.replace("  puzzle_emb_len: 16\n", ""));
  assert.equal(officialModel(shapesOf(), ROWS, unsaid, {}, "step_1").model.prefixLength, 16); // the official class's default
  refused(
    () => officialModel(shapesOf(), [9, 1200], undefined, { ...ALL, prefixLength: 1 }, "step_1"),
    /1200 don't fit 1 prefix positions of 512/,
  );
});

test("a width of SwiGLU by another rule than the official one is kept", () => {
  const { model } = officialModel(shapesOf({ D: 96, inner: 288 }), [9, 96], undefined, { ...ALL, numHeads: 4 }, "step_1");
  assert.deepEqual([model.innerMultiple, model.expansion], [1, 4.5]);
  const official = officialModel(shapesOf({ D: 96, inner: 512 }), [9, 96], undefined, { ...ALL, numHeads: 4 }, "step_1").model;
  assert.deepEqual([official.innerMultiple, official.expansion], [256, 8]);
});

test("training that differs from ours is said", () => {
  const other = yamlWith((text) =>
    text.replace("no_ACT_continue: true", "no_ACT_continue: false").replace("stablemax_cross", "softmax_cross"),
  );
  const { notes } = officialModel(shapesOf(), ROWS, other, {}, "step_1");
  assert.equal(notes.length, 2);
  assert.match(notes[0]!, /continue loss/);
  assert.match(notes[1]!, /trained with softmax_cross_entropy/);
});

test("a yaml that is none, has tags or wrong fields is refused, each fault named", () => {
  refused(() => parseAllConfig("a: [1", "c.yaml"), /c\.yaml: is not plain YAML/);
  refused(() => parseAllConfig("arch: !!python/object/apply:os.system ['id']\n", "c.yaml"), /python\/object\/apply:os\.system/);
  refused(() => parseAllConfig("lr: 1\n", "c.yaml"), /has no arch; expected the all_config\.yaml/);
  refused(() => parseAllConfig("", "c.yaml"), /is empty/);
  refused(() => parseAllConfig("arch: {name: x}\narch: {name: y}\n", "c.yaml"), /unique/);
  const faults = YAML.replace("H_cycles: 3", "H_cycles: 3.5").replace("num_heads: 8", "num_heads: eight").replace("  L_cycles: 4\n", "");
  refused(() => parseAllConfig(faults, "c.yaml"), /3 problems[\s\S]*arch\.H_cycles: [\s\S]*arch\.L_cycles: [\s\S]*arch\.num_heads: /);
  const bomb = ["a0: &a0 [x, x]", ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`), YAML].join("\n");
  refused(() => parseAllConfig(bomb, "c.yaml"), /alias/i);
});

test("a yaml that we write says the same when it is read", () => {
  const config = parseAllConfig(YAML, "c.yaml");
  assert.deepEqual(parseAllConfig(formatAllConfig(config), "c.yaml"), config);
});
