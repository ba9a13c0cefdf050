import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { flagName, RECIPE, type SettingName } from "../../../src/config/recipe.ts";
import type { Setting } from "../../../src/config/settings.ts";

/** A setting's row of the README's table. */
function rowOf([name, setting]: [string, Setting]): string {
  const choices = setting.kind === "choice" ? `: ${setting.choices.join(", ")}` : "";
  const unit = "unit" in setting && setting.unit ? ` (${setting.unit})` : "";
  return `| \`--${flagName(name as SettingName)}\` | ${String(setting.default)} | ${setting.about}${choices}${unit} | ${setting.source} |`;
}

test("the README's table has every setting of an adaptation, as it is declared", () => {
  const rows = readFileSync("README.md", "utf8").split("\n");
  const missing = Object.entries<Setting>(RECIPE).filter((entry) => !rows.includes(rowOf(entry)));
  assert.deepEqual(missing.map(rowOf), [], "rows to put into the README");
});
