/** All commands, the options that they share, and what becomes of errors. */
import yargs, { type MiddlewareFunction } from "yargs";
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
  const parser = yargs(argv)
    .scriptName("trm")
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
    .parserConfiguration({ "strip-aliased": true })
    .wrap(Math.min(120, yargs().terminalWidth() || 100))
    .help()
    .version(VERSION)
    .exitProcess(false)
    .middleware(takeLast as unknown as MiddlewareFunction, true)
    .check((values, options) => refuseMissingValues(argv, values, options as unknown as OptionTypes), true)
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

/** The version in package.json, put in by build.mjs. */
declare const VERSION: string;

/** Names of the options by type; part of what yargs tells a check. */
interface OptionTypes {
  /** those that take several, positional arguments among them */
  readonly array: readonly string[];
  readonly string: readonly string[];
  readonly number: readonly string[];
}

/** Of an option given more than once, the last counts. (yargs can see to this itself, but then keeps one positional argument only.) */
function takeLast(values: Record<string, unknown>, y: { getOptions(): OptionTypes }): void {
  const options = y.getOptions(); // the types of yargs know neither the second argument nor this
  for (const [name, value] of Object.entries(values)) {
    const kebab = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (Array.isArray(value) && name !== "_" && name !== "--" && !options.array.includes(name) && !options.array.includes(kebab))
      values[name] = value.at(-1);
  }
}

/**
 * Refuses an option without its value, for which yargs would take the default without a word, and numbers that are none.
 *
 * @throws UserError that names every such option
 */
function refuseMissingValues(argv: readonly string[], values: Readonly<Record<string, unknown>>, options: OptionTypes): true {
  const takesValue = new Set([...options.string, ...options.number].map((name) => `--${name}`));
  const end = argv.indexOf("--");
  const words = end < 0 ? argv : argv.slice(0, end);
  const missing = words.flatMap((word, i) => {
    const name = word.endsWith("=") ? word.slice(0, -1) : word;
    const next = words[i + 1];
    return takesValue.has(name) && (name !== word || next === undefined || next.startsWith("--")) ? [`${name}: its value is missing`] : [];
  });
  const notNumbers = options.number.flatMap((name) => (Number.isNaN(values[name]) ? [`--${name}: expected a number`] : []));
  const problems = missing.length > 0 ? missing : [...new Set(notNumbers)];
  if (problems.length > 0) throw new UserError(problems.join("\n"));
  return true;
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
