/** Puts a recipe together: defaults < preset < config file < flags, and remembers where each value is from. */
import * as z from "zod";
import { InputError, messageOf, UserError } from "../errors.ts";
import { PRESETS } from "./presets.ts";
import { flagName, RECIPE, type Recipe, type SettingName, settingProblem } from "./recipe.ts";

/** Where a value is from. */
export type Origin = "default" | "preset" | "config file" | "flag";

export interface ResolvedRecipe {
  readonly recipe: Recipe;
  readonly origins: Readonly<Record<SettingName, Origin>>;
}

const NAMES = Object.keys(RECIPE) as SettingName[];

/**
 * @param preset     name of a preset, if any
 * @param configText text of a JSON file with settings by name, if any
 * @param flags      settings given on the command line; undefined where not given
 * @throws UserError for an unknown preset; InputError listing every unknown or wrong setting
 */
export function resolveRecipe(
  preset: string | undefined,
  configText: { text: string; where: string } | undefined,
  flags: Partial<Record<SettingName, unknown>>,
): ResolvedRecipe {
  const values = new Map<SettingName, unknown>(NAMES.map((name) => [name, RECIPE[name].default]));
  const origins = Object.fromEntries(NAMES.map((name) => [name, "default"])) as Record<SettingName, Origin>;
  const lay = (settings: Partial<Record<SettingName, unknown>>, origin: Origin): void => {
    for (const name of NAMES) {
      if (settings[name] === undefined) continue;
      values.set(name, settings[name]);
      origins[name] = origin;
    }
  };
  if (preset !== undefined) {
    const known = Object.hasOwn(PRESETS, preset) ? PRESETS[preset] : undefined;
    if (!known) throw new UserError(`--preset ${preset}: no such preset; ${nearest(preset, Object.keys(PRESETS))}`);
    lay(known.recipe, "preset");
  }
  if (configText) lay(parseConfig(configText.text, configText.where), "config file");
  lay(flags, "flag");
  const problems = NAMES.flatMap((name) => settingProblem(name, values.get(name)) ?? []);
  if (problems.length > 0) throw new InputError("settings", problems);
  return { recipe: Object.fromEntries(values) as unknown as Recipe, origins };
}

function parseConfig(text: string, where: string): Partial<Record<SettingName, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${where}: not JSON: ${messageOf(error)}; expected an object such as {"batchSize": 128}`, { cause: error });
  }
  const parsed = z.record(z.string(), z.unknown()).safeParse(value);
  if (!parsed.success || Array.isArray(value))
    throw new UserError(`${where}: expected a JSON object of settings such as {"batchSize": 128}`);
  const unknown = Object.keys(parsed.data).filter((name) => !Object.hasOwn(RECIPE, name));
  if (unknown.length > 0)
    throw new InputError(
      where,
      unknown.map((name) => `no setting ${JSON.stringify(name)}; ${nearest(name, NAMES)}`),
    );
  const problems = NAMES.flatMap((name) => (parsed.data[name] === undefined ? [] : (settingProblem(name, parsed.data[name]) ?? [])));
  if (problems.length > 0) throw new InputError(where, problems);
  return parsed.data as Partial<Record<SettingName, unknown>>;
}

/** "did you mean ...?", or the whole list where nothing is near. */
export function nearest(name: string, known: readonly string[]): string {
  const scored = known.map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }));
  const best = scored.reduce((a, b) => (b.distance < a.distance ? b : a));
  return best.distance <= Math.max(2, name.length / 3) ? `did you mean ${best.candidate}?` : `there are ${known.join(", ")}`;
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
export function settingsTable(): string {
  const lines = NAMES.map((name) => {
    const setting = RECIPE[name];
    const unit = "unit" in setting && setting.unit ? ` (${setting.unit})` : "";
    const choices = setting.kind === "choice" ? `: ${setting.choices.join(", ")}` : "";
    return `| \`--${flagName(name)}\` | ${String(setting.default)} | ${setting.about}${unit}${choices} | ${setting.source} |`;
  });
  return ["| option | default | meaning | source |", "| --- | --- | --- | --- |", ...lines].join("\n");
}
