/** All commands, the options that they share, and what becomes of errors. */
import yargs from "yargs";
import { messageOf, UserError } from "../errors.ts";
import { benchCommand } from "./bench.ts";
import { generateCommand } from "./generate.ts";
import { mergeCommand } from "./merge.ts";
import { pretrainCommand } from "./pretrain.ts";
import { runCommand } from "./run.ts";
import { scoreCommand } from "./score.ts";
import { validateCommand } from "./validate.ts";
import { workerCommand } from "./worker.ts";

/** Exit statuses; a run that a signal ended exits with 128 + its number. */
export const EXIT = { done: 0, user: 1, bug: 70 } as const;

/** Parses the arguments, runs the command, sets the exit status. */
export async function runCli(argv: readonly string[]): Promise<void> {
  const parser = yargs(argv)
    .scriptName("trm")
    .usage("$0 <command> [options]\n\nAdapts a tiny recursive model to ARC tasks at test time and writes a submission.")
    .command(runCommand)
    .command(pretrainCommand)
    .command(scoreCommand)
    .command(validateCommand)
    .command(mergeCommand)
    .command(generateCommand)
    .command(benchCommand)
    .command(workerCommand)
    .option("json", { type: "boolean", default: false, describe: "print the result as one JSON object on the last line", global: true })
    .option("seed", { type: "string", default: "0", describe: "seed of all random draws", global: true })
    .option("log-level", {
      choices: ["error", "warn", "info", "debug"] as const,
      default: "info",
      describe: "least level logged",
      global: true,
    })
    .demandCommand(1, "name a command; `trm --help` lists them")
    .strict()
    .recommendCommands()
    .parserConfiguration({ "duplicate-arguments-array": false, "strip-aliased": true })
    .wrap(Math.min(120, yargs().terminalWidth() || 100))
    .help()
    .version(VERSION)
    .exitProcess(false)
    .fail(false);
  try {
    await parser.parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** The version in package.json, put in by build.mjs. */
declare const VERSION: string;

/** Prints what was thrown. @returns the exit status it means */
function report(error: unknown): number {
  // yargs throws its own complaints about arguments as YError
  if (error instanceof UserError || (error instanceof Error && error.name === "YError")) {
    console.error(`${messageOf(error)}${error instanceof UserError ? "" : "\nsee `trm <command> --help`"}`);
    return EXIT.user;
  }
  console.error(`internal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return EXIT.bug;
}
