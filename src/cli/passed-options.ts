/** Options of `run` that another command passes on, written after `--`. */
import type { CommandModule } from "yargs";
import { parseDuration } from "../budget/duration.ts";
import { flagName } from "../config/settings.ts";
import { UserError } from "../errors.ts";
import { parserOf } from "./parser.ts";
import { runCommand } from "./run.ts";
import type { RunArgs } from "./run-args.ts";
import { checkedOptions } from "./run-options.ts";
import { resolveSettings } from "./run-resume.ts";

/**
 * Looks at options of `run` as `run` would, so that a slip is told now and not when the run begins, hours later or on another machine.
 *
 * @param own        options that the command sets itself, without their dashes
 * @param checkpoint whose settings they change
 * @throws UserError for what `run` would refuse, or what the command sets
 */
export function checkRunOptions(options: readonly string[], own: readonly string[], checkpoint: string): void {
  const taken = options.find((word) => own.includes(flagName(/^--(?:no-)?([^=]+)/.exec(word)?.[1] ?? "")));
  if (taken !== undefined)
    throw new UserError(
      `${taken} after --: that is not for the command to pass on: it has an option for it, sets it itself, or it would not be right where it is run`,
    );
  const given: RunArgs[] = [];
  const command: CommandModule<object, RunArgs> = { ...runCommand, handler: (args) => void given.push(args) };
  parserOf(["run", ...options])
    .command(command)
    .help(false)
    .version(false)
    .fail((message, error) => {
      throw new UserError(`after --: ${error?.message ?? message}\nsee \`trm run --help\``);
    })
    .parse();
  for (const args of given) {
    const { recipe } = resolveSettings({ ...args, checkpoint });
    checkedOptions(args, recipe);
    parseDuration(args.budget, "--budget");
    parseDuration(args.snapshotEvery, "--snapshot-every");
  }
}
