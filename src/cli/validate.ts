/** `validate`: would the competition take this submission? */
import type { CommandModule } from "yargs";
import { readChallenges, readTextFile } from "../arc/challenges-file.ts";
import { testInputsOf } from "../arc/challenges-json.ts";
import { InputError } from "../errors.ts";
import { validateSubmission } from "../submission/validate.ts";

interface ValidateArgs {
  file: string;
  challenges: string;
  json?: boolean;
}

export const validateCommand: CommandModule<object, ValidateArgs> = {
  command: "validate <file>",
  describe: "Check that a submission answers every test input of the challenges in the form asked for",
  builder: (y) =>
    y
      .positional("file", { type: "string", demandOption: true, describe: "submission.json" })
      .option("challenges", { type: "string", demandOption: true, describe: "challenges file, or folder of task files" }),
  handler: ({ file, challenges, json }) => {
    const { entries } = readChallenges(challenges);
    const problems = validateSubmission(readTextFile(file), entries);
    const testInputs = entries.reduce((sum, entry) => sum + testInputsOf(entry), 0);
    if (json) console.log(JSON.stringify({ valid: problems.length === 0, problems, tasks: entries.length, testInputs }));
    if (problems.length > 0) throw new InputError(file, problems);
    if (!json) console.log(`${file}: valid, ${entries.length} tasks, ${testInputs} test inputs`);
  },
};
