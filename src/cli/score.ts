/** `score`: pass@K of a submission, a candidate file, or a run. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { readChallenges, readSolutions } from "../arc/challenges-file.ts";
import { chosenTasks } from "../arc/run-tasks-file.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import { UserError } from "../errors.ts";
import { readCandidates } from "../predict/candidate-file.ts";
import { haltingScaleOf } from "../report/gather.ts";
import { readRun } from "../report/read-run-file.ts";
import { ballotOf, scoresByWeighting, type WeightingScore } from "../report/vote-weights.ts";
import { scoreAnswers, scoreTable, scoreToJson, submittable } from "../score/pass-at-k.ts";

interface ScoreArgs {
  file: string;
  solutions: string;
  challenges: string | undefined;
  json?: boolean;
}

export const scoreCommand: CommandModule<object, ScoreArgs> = {
  command: "score <file>",
  describe: "Score a submission, a candidate file or a run against solutions (pass@K)",
  builder: (y) =>
    y
      .positional("file", {
        type: "string",
        demandOption: true,
        describe: "submission.json, candidates.json, or the folder of a run: then by each --vote-weight too",
      })
      .option("solutions", { type: "string", demandOption: true, describe: "solutions file, or folder of task files with outputs" })
      .option("challenges", { type: "string", describe: "count only the tasks of this challenges file" }),
  handler: ({ file: given, solutions: solutionsPath, challenges, json }) => {
    const isRun = statSync(given, { throwIfNoEntry: false })?.isDirectory() ?? false;
    const file = isRun ? join(given, "candidates.json") : given;
    const { answers, isSubmission } = readCandidates(file);
    const all = readSolutions(solutionsPath);
    const asked = challenges && new Set(readChallenges(challenges).entries.map(({ id }) => id));
    const solutions = asked ? new Map([...all].filter(([id]) => asked.has(id))) : all;
    if (![...answers.keys()].some((id) => solutions.has(id)))
      throw new UserError(`${file}: answers no task of ${challenges ?? solutionsPath}; are these files of the same set?`);
    const score = scoreAnswers(isSubmission ? answers : submittable(answers), solutions);
    for (const note of score.notes) console.error(`${file}: ${note}`);
    const byWeight = isRun ? runByWeight(given, solutions) : [];
    const named = Object.fromEntries(byWeight.map(({ name, ...shares }) => [name, shares]));
    if (json) console.log(JSON.stringify({ ...scoreToJson(score), ...(isRun && { voteWeights: named }) }));
    else console.log([scoreTable(score), ...weightLines(byWeight)].join("\n"));
  },
};

/** What the votes that a run has kept would score by each weighting. */
function runByWeight(folder: string, solutions: Solutions): WeightingScore[] {
  const { tasks, votes, events } = readRun(folder);
  const chosen = chosenTasks(tasks);
  return scoresByWeighting(ballotOf(votes, chosen), votes, chosen, solutions, haltingScaleOf(events));
}

function weightLines(scores: readonly WeightingScore[]): string[] {
  if (scores.length === 0) return [];
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`.padStart(12);
  return [
    "",
    `${"the same votes by what each counts".padEnd(36)}${"pass@1".padStart(12)}${"pass@2".padStart(12)}`,
    ...scores.map((score) => `${score.name.padEnd(36)}${percent(score["pass@1"])}${percent(score["pass@2"])}`),
    "of the test inputs worked on that have a solution",
  ];
}
