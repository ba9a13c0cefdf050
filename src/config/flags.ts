/** Command-line flags out of the declarations of settings. */
import type { Argv } from "yargs";
import { PRESETS } from "./presets.ts";
import { RECIPE, type SettingName } from "./recipe.ts";
import { flagName, type SettingsTable } from "./settings.ts";

/** Adds a flag for every setting of an adaptation, and `--preset` and `--config`. */
export function withRecipeFlags<T>(y: Argv<T>): Argv<T> {
  const group = "Settings of the adaptation:";
  const presets = Object.entries(PRESETS).map(([name, { about }]) => `${name} (${about})`);
  withSettingFlags(y, RECIPE, group);
  y.option("preset", {
    type: "string",
    describe: `named settings, in place of the checkpoint's own where it has some: ${presets.join("; ")}`,
    group,
  });
  return withConfigFlag(y, group, "the preset");
}

/** Adds a flag for every setting, without a default: what is not given falls back to file, preset and table. */
export function withSettingFlags<T>(y: Argv<T>, table: SettingsTable, group: string): Argv<T> {
  for (const [name, setting] of Object.entries(table)) {
    const unit = "unit" in setting && setting.unit ? ` (${setting.unit})` : "";
    const describe = `${setting.about}${unit} [default: ${String(setting.default)}]`;
    if (setting.kind === "choice") y.option(flagName(name), { type: "string", choices: setting.choices, describe, group });
    else y.option(flagName(name), { type: TYPES[setting.kind], describe, group });
  }
  return y;
}

const TYPES = { bool: "boolean", int: "number", num: "number", text: "string" } as const;

/** Adds `--config`. */
export function withConfigFlag<T>(y: Argv<T>, group: string, before: string): Argv<T> {
  return y.option("config", {
    type: "string",
    describe: `JSON or YAML file of settings by name ({"batchSize": 128} for --batch-size); flags go before it, it goes before ${before}`,
    group,
  }) as unknown as Argv<T>;
}

/** The settings of an adaptation among parsed arguments. */
export function recipeFlags(argv: Record<string, unknown>): Partial<Record<SettingName, unknown>> {
  return settingFlags(RECIPE, argv);
}

/** The settings of a table among parsed arguments. */
export function settingFlags<Table extends SettingsTable>(
  table: Table,
  argv: Record<string, unknown>,
): Partial<Record<keyof Table, unknown>> {
  const given = Object.keys(table).filter((name) => argv[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, argv[name]])) as Partial<Record<keyof Table, unknown>>;
}
