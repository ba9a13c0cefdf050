/** `merge`: several candidate files or submissions into one. */
import type { CommandModule } from "yargs";
import { readChallenges } from "../arc/challenges-file.ts";
import type { Entry } from "../arc/challenges-json.ts";
import { readAnswers, writeCandidates } from "../predict/candidate-file.ts";
import { alignAnswers, chooseAttempts } from "../submission/choose.ts";
import { writeSubmission } from "../submission/write.ts";
import { mergeAnswers } from "../vote/merge.ts";
import { parseWeights } from "../vote/weights.ts";

interface MergeArgs {
  files: string[];
  out: string;
  candidates: string | undefined;
  weights: string | undefined;
  challenges: string | undefined;
  json?: boolean;
}

export const mergeCommand: CommandModule<object, MergeArgs> = {
  command: "merge <files..>",
  describe: "Join candidate files or submissions (shards, seeds, other systems) into one submission",
  builder: (y) =>
    y
      .positional("files", { type: "string", array: true, demandOption: true, describe: "candidates.json or submission.json files" })
      .option("out", { type: "string", default: "submission.json", describe: "submission to write" })
      .option("candidates", { type: "string", describe: "candidate file to write as well" })
      .option("weights", { type: "string", describe: "what a vote of each file counts: 1,2 (default 1 each)" })
      .option("challenges", {
        type: "string",
        describe: "write exactly the tasks of this file, in its order, with fallbacks for missing ones",
      }),
  handler: ({ files, out, candidates, weights, challenges, json }) => {
    const factors = parseWeights(weights, files.length);
    const merged = mergeAnswers(files.map((where, i) => ({ where, answers: readAnswers(where), weight: factors[i]! })));
    const entries: readonly Entry[] = challenges
      ? readChallenges(challenges).entries
      : [...merged].map(([id, tests]) => ({ id, testInputs: tests.length, problems: [] }));
    const { answers, notes } = alignAnswers(entries, merged, challenges ?? "files to merge");
    for (const note of notes) console.error(note);
    const { submission, fallbackInputs } = chooseAttempts(entries, answers);
    writeSubmission(out, submission, entries);
    if (candidates) writeCandidates(candidates, answers);
    const testInputs = [...submission.values()].reduce((sum, tests) => sum + tests.length, 0);
    if (json)
      console.log(
        JSON.stringify({ submission: out, ...(candidates && { candidates }), tasks: entries.length, testInputs, fallbackInputs }),
      );
    else console.log(`${out}: ${entries.length} tasks, ${testInputs} test inputs, ${fallbackInputs} of them answered by a fallback alone`);
  },
};
