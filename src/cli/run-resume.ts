/** Options and settings of a run that is begun, kept with it; and of one that is taken up again. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { EarlierRun } from "../adapt/run-folder.ts";
import { adaptationOf } from "../checkpoint/load.ts";
import { recipeFlags } from "../config/flags.ts";
import type { SettingName } from "../config/recipe.ts";
import { type ResolvedRecipe, resolveRecipe } from "../config/resolve.ts";
import { flagName } from "../config/settings.ts";
import { messageOf, UserError } from "../errors.ts";
import type { EventLog } from "../events.ts";
import { RUN_CHANGEABLE, RUN_DEFAULTS, RUN_PATHS, type RunArgs } from "./run-args.ts";

/** The settings of a run that begins: defaults, the checkpoint's own or a preset, file, flags. @throws UserError for what can't be */
export function resolveSettings(args: RunArgs): ResolvedRecipe {
  const settings = args.checkpoint === undefined ? undefined : adaptationOf(args.checkpoint);
  const ofCheckpoint = settings && { settings, where: args.checkpoint! };
  const config = args.config === undefined ? undefined : { text: readConfig(args.config), where: args.config };
  return resolveRecipe(args.preset, config, recipeFlags(args as unknown as Record<string, unknown>), ofCheckpoint);
}

/** Options to be kept with the run, paths made absolute. */
export function keptOptions(args: RunArgs): Record<string, unknown> {
  const names = Object.keys(RUN_DEFAULTS) as (keyof typeof RUN_DEFAULTS)[];
  return Object.fromEntries(names.flatMap((name) => (args[name] === undefined ? [] : [[name, keptValue(args, name)]])));
}

function keptValue(args: RunArgs, name: keyof typeof RUN_DEFAULTS): unknown {
  const value = args[name];
  return RUN_PATHS.includes(name) && typeof value === "string" ? resolve(value) : value;
}

/**
 * A run goes on with the options that it began with; others given now are named in a warning, but for those that may change.
 *
 * @param words of the command line: an option that stands there is given, though it were with its default
 */
export function optionsOf({ config }: EarlierRun, given: RunArgs, log: EventLog, words: readonly string[] = process.argv): RunArgs {
  const names = Object.keys(RUN_DEFAULTS) as (keyof typeof RUN_DEFAULTS)[];
  const anew = names.filter((name) => {
    const isGiven = given[name] !== RUN_DEFAULTS[name] || words.some((word) => word.split("=", 1)[0] === `--${flagName(name)}`);
    return isGiven && given[name] !== undefined && keptValue(given, name) !== (config.arguments[name] ?? RUN_DEFAULTS[name]);
  });
  const changed = anew.filter((name) => RUN_CHANGEABLE.includes(name));
  const ignored = anew.filter((name) => !changed.includes(name));
  for (const name of ignored) {
    const text = `--${flagName(name)} ${String(given[name])} is ignored: the run goes on with what it began with (${String(config.arguments[name] ?? "nothing")})`;
    log.emit("warn", "resume-options", text);
  }
  const none = Object.fromEntries(names.map((name) => [name, undefined]));
  const taken = Object.fromEntries(changed.map((name) => [name, given[name]]));
  return { ...given, ...none, ...config.arguments, ...taken } as RunArgs;
}

/** The settings that the run began with. */
export function settingsOf({ config }: EarlierRun, given: RunArgs, log: EventLog): ResolvedRecipe {
  const values = Object.fromEntries(Object.entries(config.settings).map(([name, { value }]) => [name, value]));
  for (const [name, value] of Object.entries(recipeFlags(given as unknown as Record<string, unknown>))) {
    if (value === values[name]) continue;
    const text = `--${flagName(name as SettingName)} ${String(value)} is ignored: the run goes on with what it began with (${String(values[name])})`;
    log.emit("warn", "resume-options", text);
  }
  return resolveRecipe(undefined, { text: JSON.stringify(values), where: "the run's config.json" }, {});
}

function readConfig(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UserError(`--config ${path}: ${messageOf(error)}`, { cause: error });
  }
}
