/** All commands, the options that they share, and what becomes of errors. */
import yargs, { type CommandModule } from "yargs";
import { messageOf, UserError } from "../errors.ts";
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

const COMMANDS = [
  runCommand,
  pretrainCommand,
  scoreCommand,
  evaluateCommand,
  compareCommand,
  validateCommand,
  mergeCommand,
  slurmCommand,
  reportCommand,
  convertCommand,
  inspectCommand,
  generateCommand,
  benchCommand,
  doctorCommand,
  tensorflowCommand,
  bundleCommand,
  probeCommand,
  workerCommand,
];

/** Exit statuses; a run that a signal ended exits with 128 + its number. */
export const EXIT = { done: 0, user: 1, bug: 70 } as const;

/** Parses the arguments, runs the command, sets the exit status. */
export async function runCli(argv: readonly string[]): Promise<void> {
  const names = COMMANDS.map(({ command }) => String(command).split(" ")[0]!);
  const parser = COMMANDS.reduce((y, command) => y.command(command as CommandModule), parserOf(argv))
    .usage("$0 <command> [options]\n\nAdapts a tiny recursive model to ARC tasks at test time and writes a submission.")
    .demandCommand(1, "name a command; `trm --help` lists them")
    .recommendCommands()
    .wrap(Math.min(120, yargs().terminalWidth() || 100))
    .help()
    .fail((message, error) => {
      if (error) throw error;
      const [name] = argv;
      const isKnown = name !== undefined && names.includes(name);
      const unknown = isKnown || name === undefined || name.startsWith("-") ? "" : `${name}: no such command`;
      const said = unknown === "" ? message : message.startsWith("Did you mean") ? `${unknown}. ${message}` : unknown;
      throw new UserError(`${said}\nsee \`trm ${isKnown ? `${name} ` : ""}--help\``);
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
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  if (code !== undefined && syscall !== undefined && path !== undefined) {
    console.error(`${path}: ${messageOf(error)}`); // a file system's refusal
    return EXIT.user;
  }
  console.error(`internal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return EXIT.bug;
}
