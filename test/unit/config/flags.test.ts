import assert from "node:assert/strict";
import { test } from "node:test";
import yargs from "yargs";
import { pretrainCommand } from "../../../src/cli/pretrain.ts";
import { recipeFlags, withRecipeFlags } from "../../../src/config/flags.ts";

test("a choice that looks like a number is taken as it is written", () => {
  const builder = pretrainCommand.builder as (y: ReturnType<typeof yargs>) => ReturnType<typeof yargs>;
  const parsed = builder(yargs([])).exitProcess(false).parseSync(["--rope-axes", "2", "--out", "x"]) as Record<string, unknown>;
  assert.equal(parsed.ropeAxes, "2");
});

test("flags carry what was given and nothing else", () => {
  const parsed = withRecipeFlags(yargs([])).exitProcess(false).parseSync(["--start", "normal", "--batch-size", "8"]) as Record<
    string,
    unknown
  >;
  assert.deepEqual(recipeFlags(parsed), { start: "normal", batchSize: 8 });
});
