/** Command-line flags out of the recipe's declarations. */
import type { Argv } from "yargs";
import { PRESETS } from "./presets.ts";
import { flagName, RECIPE, type Setting, type SettingName } from "./recipe.ts";

/** Adds a flag for every setting, without a default: what is not given falls back to file, preset and recipe. */
export function withRecipeFlags<T>(y: Argv<T>): Argv<T> {
  for (const [name, setting] of Object.entries(RECIPE) as [SettingName, Setting][]) {
    const unit = "unit" in setting && setting.unit ? ` (${setting.unit})` : "";
    const describe = `${setting.about}${unit} [default: ${String(setting.default)}]`;
    const group = "Settings of the adaptation:";
    if (setting.kind === "choice") y.option(flagName(name), { choices: setting.choices, describe, group });
    else y.option(flagName(name), { type: setting.kind === "bool" ? "boolean" : "number", describe, group });
  }
  const presets = Object.entries(PRESETS).map(([name, { about }]) => `${name} (${about})`);
  y.option("preset", { type: "string", describe: `named settings: ${presets.join("; ")}`, group: "Settings of the adaptation:" });
  y.option("config", {
    type: "string",
    describe: "JSON file of settings by name; flags go before it, it goes before the preset",
    group: "Settings of the adaptation:",
  });
  return y;
}

/** The settings among parsed arguments. */
export function recipeFlags(argv: Record<string, unknown>): Partial<Record<SettingName, unknown>> {
  const names = Object.keys(RECIPE) as SettingName[];
  return Object.fromEntries(names.flatMap((name) => (argv[name] === undefined ? [] : [[name, argv[name]]])));
}
