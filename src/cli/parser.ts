/** How the words of a command line become options: what all commands share. */
import yargs, { type Argv, type MiddlewareFunction } from "yargs";
import { flagName } from "../config/settings.ts";
import { UserError } from "../errors.ts";

/** A strict parser of these words with the options of all commands, and none of the commands yet. Its errors are thrown. */
export function parserOf(argv: readonly string[]): Argv {
  return yargs(argv)
    .scriptName("trm")
    .option("json", { type: "boolean", default: false, describe: "print the result as one JSON object on the last line", global: true })
    .option("seed", { type: "string", default: "0", describe: "seed of all random draws", global: true })
    .option("log-level", {
      choices: ["error", "warn", "info", "debug"] as const,
      default: "info",
      describe: "least level logged",
      global: true,
    })
    .strict()
    .parserConfiguration({ "strip-aliased": true })
    .version(VERSION)
    .exitProcess(false)
    .middleware(takeLast as unknown as MiddlewareFunction, true)
    .check((values, options) => refuseMissingValues(argv, values, options as unknown as OptionTypes), true);
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
    const kebab = flagName(name);
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
