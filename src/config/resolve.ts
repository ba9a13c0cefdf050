/** Puts settings together: defaults < checkpoint or preset < config file < flags, and remembers where each value is from. */
import { parse } from "yaml";
import * as z from "zod";
import { InputError, messageOf, UserError } from "../errors.ts";
import { PRESETS } from "./presets.ts";
import { RECIPE, type Recipe, type SettingName } from "./recipe.ts";
import { flagName, problemOf, type SettingsTable, type Values } from "./settings.ts";

/** Where a value is from. */
export type Origin = "default" | "training state" | "checkpoint" | "preset" | "recipe" | "config file" | "flag";

/** Text of a JSON file with settings by name. */
export interface ConfigText {
  readonly text: string;
  readonly where: string;
}

/** Settings by name that a checkpoint has for its adaptation, and its folder. */
export interface CheckpointSettings {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly where: string;
}

/** Some settings, and where they are from. */
export interface Layer {
  readonly origin: Origin;
  /** undefined where not given */
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface Resolved<Table extends SettingsTable> {
  readonly values: Values<Table>;
  readonly origins: Readonly<Record<keyof Table, Origin>>;
}

export interface ResolvedRecipe {
  readonly recipe: Recipe;
  readonly origins: Readonly<Record<SettingName, Origin>>;
}

/**
 * @param preset     name of a preset, if any
 * @param configText text of a JSON file with settings by name, if any
 * @param flags      settings given on the command line; undefined where not given
 * @param checkpoint the checkpoint's own, if it has any; a preset takes their place
 * @throws UserError for an unknown preset; InputError listing every unknown or wrong setting
 */
export function resolveRecipe(
  preset: string | undefined,
  configText: ConfigText | undefined,
  flags: Partial<Record<SettingName, unknown>>,
  checkpoint?: CheckpointSettings,
): ResolvedRecipe {
  const layers: Layer[] = [];
  if (checkpoint && preset === undefined) {
    const { settings, where } = checkpoint;
    layers.push({ origin: "checkpoint", settings: checkSettings(RECIPE, settings, `${where}: adaptation`) });
  }
  if (preset !== undefined) layers.push({ origin: "preset", settings: named("--preset", preset, PRESETS).recipe });
  if (configText) layers.push({ origin: "config file", settings: parseConfig(RECIPE, configText) });
  layers.push({ origin: "flag", settings: flags });
  const { values, origins } = resolveSettings(RECIPE, layers);
  return { recipe: values, origins };
}

/** What stands under a name. @throws UserError with the nearest name where there is nothing */
export function named<T>(option: string, name: string, known: Readonly<Record<string, T>>): T {
  if (!Object.hasOwn(known, name)) {
    throw new UserError(`${option} ${name}: no such ${option.replace("--", "")}; ${nearest(name, Object.keys(known))}`);
  }
  return known[name]!;
}

/**
 * @param layers later ones go before earlier ones, all before the defaults
 * @throws InputError listing every wrong value
 */
export function resolveSettings<Table extends SettingsTable>(table: Table, layers: readonly Layer[]): Resolved<Table> {
  const names = Object.keys(table);
  const values = new Map<string, unknown>(names.map((name) => [name, table[name]!.default]));
  const origins = Object.fromEntries(names.map((name) => [name, "default"])) as Record<keyof Table, Origin>;
  for (const { origin, settings } of layers) {
    for (const name of names) {
      if (settings[name] === undefined) continue;
      values.set(name, settings[name]);
      origins[name as keyof Table] = origin;
    }
  }
  const problems = names.flatMap((name) => problemOf(name, table[name]!, values.get(name)) ?? []);
  if (problems.length > 0) throw new InputError("settings", problems);
  return { values: Object.fromEntries(values) as unknown as Values<Table>, origins };
}

/** The settings in a config file, JSON or, by its name, YAML. @throws UserError or InputError where it holds anything else */
export function parseConfig(table: SettingsTable, { text, where }: ConfigText): Record<string, unknown> {
  const isYaml = /\.ya?ml$/i.test(where);
  let value: unknown;
  try {
    value = isYaml ? parse(text) : JSON.parse(text);
  } catch (error) {
    throw new UserError(`${where}: not ${isYaml ? "YAML" : "JSON"}: ${messageOf(error)}; expected an object such as {"batchSize": 128}`, {
      cause: error,
    });
  }
  const parsed = z.record(z.string(), z.unknown()).safeParse(value);
  if (!parsed.success || Array.isArray(value)) throw new UserError(`${where}: expected an object of settings such as {"batchSize": 128}`);
  return checkSettings(table, parsed.data, where);
}

/** @throws InputError listing every unknown or wrong setting */
function checkSettings(table: SettingsTable, settings: Readonly<Record<string, unknown>>, where: string): Record<string, unknown> {
  const names = Object.keys(table);
  const unknown = Object.keys(settings).filter((name) => !Object.hasOwn(table, name));
  if (unknown.length > 0)
    throw new InputError(
      where,
      unknown.map((name) => `no setting ${JSON.stringify(name)}; ${nearest(name, names)}`),
    );
  // A choice between numbers is one between texts: `ropeAxes: 1` is "1".
  const asTexts = Object.entries(settings).map(([name, value]) => [
    name,
    table[name]!.kind === "choice" && typeof value === "number" ? String(value) : value,
  ]);
  const checked: Record<string, unknown> = Object.fromEntries(asTexts);
  const problems = names.flatMap((name) => (checked[name] === undefined ? [] : (problemOf(name, table[name]!, checked[name]) ?? [])));
  if (problems.length > 0) throw new InputError(where, problems);
  return checked;
}

/** Names listed at most; all settings are. */
const MOST_LISTED = 60;

/** "did you mean ...?", or the whole list where nothing is near. */
export function nearest(name: string, known: readonly string[]): string {
  if (known.length === 0) return "there is none";
  const scored = known.map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }));
  const best = scored.reduce((a, b) => (b.distance < a.distance ? b : a));
  return best.distance <= Math.max(2, name.length / 3) ? `did you mean ${best.candidate}?` : `there are ${listed(known)}`;
}

/** Names, the first of them where there are many. */
function listed(names: readonly string[]): string {
  const more = names.length - MOST_LISTED;
  return more > 0 ? `${names.slice(0, MOST_LISTED).join(", ")} and ${more} more` : names.join(", ");
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}

/** The table of settings in the README. */
export function settingsTable(table: SettingsTable = RECIPE): string {
  const lines = Object.entries(table).map(([name, setting]) => {
    const unit = "unit" in setting && setting.unit ? ` (${setting.unit})` : "";
    const choices = setting.kind === "choice" ? `: ${setting.choices.join(", ")}` : "";
    return `| \`--${flagName(name)}\` | ${String(setting.default)} | ${setting.about}${unit}${choices} | ${setting.source} |`;
  });
  return ["| option | default | meaning | source |", "| --- | --- | --- | --- |", ...lines].join("\n");
}
