import assert from "node:assert/strict";
import { test } from "node:test";
import { PRESETS } from "../../../src/config/presets.ts";
import { flagName, RECIPE, type SettingName, settingProblem } from "../../../src/config/recipe.ts";
import { nearest, resolveRecipe, settingsTable } from "../../../src/config/resolve.ts";
import { InputError, UserError } from "../../../src/errors.ts";

const file = (settings: unknown) => ({ text: JSON.stringify(settings), where: "my.json" });
const problemsOf = (body: () => unknown): readonly string[] => {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof InputError, String(error));
    return error.problems;
  }
  throw new Error("nothing was thrown");
};

test("defaults give way to the preset, the preset to the file, the file to flags, and each value knows where it is from", () => {
  const { recipe, origins } = resolveRecipe("nvarc", file({ voteVariants: 64, warmupSteps: 7 }), { warmupSteps: 9, lrTrunk: undefined });
  assert.deepEqual([recipe.batchSize, origins.batchSize], [128, "preset"]);
  assert.deepEqual([recipe.voteVariants, origins.voteVariants], [64, "config file"]);
  assert.deepEqual([recipe.warmupSteps, origins.warmupSteps], [9, "flag"]);
  assert.deepEqual([recipe.lrPuzzle, origins.lrPuzzle], [1e-2, "default"]);
  assert.deepEqual(Object.keys(origins).sort(), Object.keys(RECIPE).sort());
});

test("a checkpoint's own settings go before the defaults, and a preset takes their place", () => {
  const checkpoint = { settings: { batchSize: 32, lrTrunk: 5e-4 }, where: "checkpoints/c" };
  const { recipe, origins } = resolveRecipe(undefined, file({ lrTrunk: 1e-5 }), {}, checkpoint);
  assert.deepEqual([recipe.batchSize, origins.batchSize], [32, "checkpoint"]);
  assert.deepEqual([recipe.lrTrunk, origins.lrTrunk], [1e-5, "config file"]);
  assert.equal(resolveRecipe("demo", undefined, {}, checkpoint).recipe.emaDecay, 0.98);
  assert.equal(resolveRecipe("nvarc", undefined, {}, checkpoint).origins.lrPuzzle, "default");
  const wrong = { settings: { batchSize: 0, lrTrunck: 1 }, where: "checkpoints/c" };
  assert.throws(() => resolveRecipe(undefined, undefined, {}, wrong), /checkpoints\/c: adaptation/);
});

test("a value of false or 0 counts as given", () => {
  const { recipe, origins } = resolveRecipe(undefined, file({ translate: false }), { weightDecay: 0 });
  assert.deepEqual([recipe.translate, origins.translate], [false, "config file"]);
  assert.deepEqual([recipe.weightDecay, origins.weightDecay], [0, "flag"]);
});

test("an unknown setting in the file is refused with the nearest name; several are listed all", () => {
  const problems = problemsOf(() => resolveRecipe(undefined, file({ bachSize: 1, lrTrunk: 1e-4, votevariants: 3, zzzzzzzzzz: 1 }), {}));
  assert.equal(problems.length, 3);
  assert.match(problems[0]!, /no setting "bachSize"; did you mean batchSize\?/);
  assert.match(problems[1]!, /did you mean voteVariants\?/);
  assert.match(problems[2]!, /there are method, /);
  assert.equal(nearest("xyz", ["alpha", "beta"]), "there are alpha, beta");
});

test("a name that every object has is no setting and no preset", () => {
  assert.match(
    problemsOf(() => resolveRecipe(undefined, { text: '{"constructor": 1, "__proto__": 2}', where: "my.json" }, {}))[0]!,
    /constructor/,
  );
  assert.throws(() => resolveRecipe("constructor", undefined, {}), /no such preset/);
});

test("wrong values are all listed, each with what was expected", () => {
  const problems = problemsOf(() =>
    resolveRecipe(
      undefined,
      file({ batchSize: 0, frozenShare: 2, method: "best", translate: "yes", lrTrunk: "1e-4", warmupSteps: 1.5 }),
      {},
    ),
  );
  assert.equal(problems.length, 6);
  const all = problems.join("\n");
  for (const expected of [
    /--batch-size is 0; expected a whole number in 1\.\.65536/,
    /--frozen-share is 2; expected a number in 0\.\.1/,
    /--method is best; expected full, embeddings, embeddings-then-full/,
    /--translate is yes; expected true or false/,
    /--lr-trunk is 1e-4; expected a number/,
    /--warmup-steps is 1\.5; expected a whole number from 0 up/,
  ]) {
    assert.match(all, expected);
  }
  assert.equal(problemsOf(() => resolveRecipe(undefined, undefined, { batchSize: -1, emaDecay: Number.NaN })).length, 2);
});

test("a value of null is a wrong value, not one that was left out", () => {
  assert.equal(problemsOf(() => resolveRecipe(undefined, file({ batchSize: null }), {})).length, 1);
});

test("an unknown preset, a file that is not JSON and one that is no object are the user's to fix", () => {
  assert.throws(() => resolveRecipe("nvarx", undefined, {}), /--preset nvarx: no such preset; did you mean nvarc\?/);
  assert.throws(
    () => resolveRecipe(undefined, { text: "{", where: "my.json" }, {}),
    (e) => e instanceof UserError && /my\.json: not JSON/.test(e.message),
  );
  for (const value of [[], 3, null, "x"]) assert.throws(() => resolveRecipe(undefined, file(value), {}), /expected an object of settings/);
});

test("a file whose name says so is YAML", () => {
  const text = "# slower\nlrTrunk: 5e-5\nvoteVariants: 64\ntranslate: false\n";
  const { recipe, origins } = resolveRecipe(undefined, { text, where: "my.yaml" }, {});
  assert.deepEqual([recipe.lrTrunk, recipe.voteVariants, recipe.translate, origins.translate], [5e-5, 64, false, "config file"]);
  assert.throws(() => resolveRecipe(undefined, { text: "a: [", where: "my.yml" }, {}), /my\.yml: not YAML/);
  assert.throws(() => resolveRecipe(undefined, { text, where: "my.json" }, {}), /my\.json: not JSON/);
});

test("every default and every preset is within its own bounds, and stands in the table", () => {
  for (const name of Object.keys(RECIPE) as SettingName[]) {
    assert.equal(settingProblem(name, RECIPE[name].default), undefined);
    assert.ok(settingsTable().includes(`| \`--${flagName(name)}\` |`));
  }
  for (const name of Object.keys(PRESETS)) assert.doesNotThrow(() => resolveRecipe(name, undefined, {}), name);
});

test("the papers' presets hold the papers' values, and rely on no default", () => {
  const { recipe: written } = PRESETS["paper-as-written"]!;
  const { recipe: released } = PRESETS["paper-as-released"]!;
  const same = {
    method: "embeddings-then-full",
    frozenShare: 0.25,
    start: "mean",
    batchSize: 384,
    warmupSteps: 2000,
    weightDecay: 0.1,
    puzzleWeightDecay: 0.1,
    emaDecay: 0.999,
    emaWarmup: false,
    lrMinRatio: 1,
    trainVariants: 1000,
    voteVariants: 512,
    translate: true,
  };
  assert.deepEqual(written, { ...same, lrTrunk: 2e-4, lrPuzzle: 2e-2 });
  assert.deepEqual(released, { ...same, lrTrunk: 1e-4, lrPuzzle: 1e-2 });
  const { batchSize, epochs, lrTrunk, warmupSteps, voteVariants, hCycles, haltMaxSteps, haltMaxStepsEval } = resolveRecipe(
    "nvarc",
    undefined,
    {},
  ).recipe;
  assert.deepEqual([batchSize, epochs, lrTrunk, warmupSteps, voteVariants], [128, 4000, 1e-4, 200, 128]);
  assert.deepEqual([hCycles, haltMaxSteps, haltMaxStepsEval], [4, 10, 10]);
});
