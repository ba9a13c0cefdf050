/** `score`: pass@K of a submission or candidate file. */
import type { CommandModule } from "yargs";
import { readChallenges, readSolutions } from "../arc/challenges-file.ts";
import { UserError } from "../errors.ts";
import { readAnswers } from "../predict/candidate-file.ts";
import { scoreAnswers, scoreTable, scoreToJson } from "../score/pass-at-k.ts";

interface ScoreArgs {
  file: string;
  solutions: string;
  challenges: string | undefined;
  json?: boolean;
}

export const scoreCommand: CommandModule<object, ScoreArgs> = {
  command: "score <file>",
  describe: "Score a submission or candidate file against solutions (pass@K)",
  builder: (y) =>
    y
      .positional("file", { type: "string", demandOption: true, describe: "submission.json or candidates.json" })
      .option("solutions", { type: "string", demandOption: true, describe: "solutions file, or folder of task files with outputs" })
      .option("challenges", { type: "string", describe: "count only the tasks of this challenges file" }),
  handler: ({ file, solutions: solutionsPath, challenges, json }) => {
    const answers = readAnswers(file);
    const all = readSolutions(solutionsPath);
    const asked = challenges && new Set(readChallenges(challenges).entries.map(({ id }) => id));
    const solutions = asked ? new Map([...all].filter(([id]) => asked.has(id))) : all;
    if (![...answers.keys()].some((id) => solutions.has(id)))
      throw new UserError(`${file}: answers no task of ${challenges ?? solutionsPath}; are these files of the same set?`);
    const score = scoreAnswers(answers, solutions);
    for (const note of score.notes) console.error(`${file}: ${note}`);
    console.log(json ? JSON.stringify(scoreToJson(score)) : scoreTable(score));
  },
};
