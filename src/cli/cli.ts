/** All commands, the options that they share, and what becomes of errors. */
import yargs from "yargs";
import { UserError } from "../errors.ts";
import { benchCommand } from "./bench.ts";
import { bundleCommand } from "./bundle.ts";
import { compareCommand } from "./compare.ts";
import { convertCommand } from "./convert.ts";
import { doctorCommand } from "./doctor.ts";
import { evaluateCommand } from "./evaluate.ts";
import { generateCommand } from "./generate.ts";
import { inspectCommand } from "./inspect.ts";
import { mergeCommand } from "./merge.ts";
import { parserOf } from "./parser.ts";
import { pretrainCommand } from "./pretrain.ts";
import { probeCommand } from "./probe.ts";
import { reportCommand } from "./report.ts";
import { runCommand } from "./run.ts";
import { scoreCommand } from "./score.ts";
import { slurmCommand } from "./slurm.ts";
import { tensorflowCommand } from "./tensorflow.ts";
import { validateCommand } from "./validate.ts";
import { workerCommand } from "./worker.ts";

/** Exit statuses; a run that a signal ended exits with 128 + its number. */
export const EXIT = { done: 0, user: 1, bug: 70 } as const;

/** Parses the arguments, runs the command, sets the exit status. */
export async function runCli(argv: readonly string[]): Promise<void> {
  const parser = parserOf(argv)
    .usage("$0 <command> [options]\n\nAdapts a tiny recursive model to ARC tasks at test time and writes a submission.")
    .command(runCommand)
    .command(pretrainCommand)
    .command(scoreCommand)
    .command(evaluateCommand)
    .command(compareCommand)
    .command(validateCommand)
    .command(mergeCommand)
    .command(slurmCommand)
    .command(reportCommand)
    .command(convertCommand)
    .command(inspectCommand)
    .command(generateCommand)
    .command(benchCommand)
    .command(doctorCommand)
    .command(tensorflowCommand)
    .command(bundleCommand)
    .command(probeCommand)
    .command(workerCommand)
    .demandCommand(1, "name a command; `trm --help` lists them")
    .recommendCommands()
    .wrap(Math.min(120, yargs().terminalWidth() || 100))
    .help()
    .fail((message, error) => {
      if (error) throw error;
      const near = message.startsWith("Did you mean");
      const command = near || argv[0] === undefined || argv[0].startsWith("-") ? "" : `${argv[0]} `;
      throw new UserError(`${near ? `${argv[0]}: no such command. ` : ""}${message}\nsee \`trm ${command}--help\``);
    });
  // What reads our output may go away (`| head`); that is no reason to end a run of hours.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  try {
    await parser.parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Prints what was thrown. @returns the exit status it means */
function report(error: unknown): number {
  if (error instanceof UserError) {
    console.error(error.message);
    return EXIT.user;
  }
  console.error(`internal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return EXIT.bug;
}
