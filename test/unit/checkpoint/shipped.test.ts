/** The checkpoints that come with the project. */
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadCheckpoint } from "../../../src/checkpoint/load.ts";
import { resolveRecipe } from "../../../src/config/resolve.ts";
import { stagesOf } from "../../../src/pretrain/model-card.ts";

for (const name of ["sample", "small"]) {
  const folder = join("checkpoints", name);

  test(`checkpoints/${name} is whole, small enough to ship, and its settings are those of a run`, () => {
    const { config, encoder } = loadCheckpoint(folder);
    const bytes = readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
    assert.ok(bytes < 30e6, `${bytes} bytes`);
    assert.ok(encoder, "first answers are the encoder's");
    const settings = config.adaptation;
    if (settings) assert.equal(resolveRecipe(undefined, undefined, {}, { settings, where: folder }).recipe.batchSize, settings.batchSize);
  });
}

test("checkpoints/small was trained for six hours, on no evaluation task", () => {
  const { training } = loadCheckpoint("checkpoints/small").config;
  const hours = stagesOf(training).map((stage) => stage.hours!);
  assert.ok(hours.reduce((sum, value) => sum + value, 0) >= 6, `${hours}`);
  assert.ok(training.dataSets.length > 0 && training.dataSets.every((name) => !/evaluation/.test(name)), `${training.dataSets}`);
});
