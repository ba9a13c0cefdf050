/** `merge`: several candidate files or submissions into one. */
import type { Argv, CommandModule } from "yargs";
import { tasksSha256 } from "../adapt/run-folder.ts";
import { ReadingRoom, readChallenges } from "../arc/challenges-file.ts";
import type { Entry } from "../arc/challenges-json.ts";
import { quoted } from "../arc/grid-json.ts";
import { wholeNumber } from "../config/whole-number.ts";
import { UserError } from "../errors.ts";
import { refuseClash } from "../files/distinct-paths.ts";
import { answersToKeep, BEST_KEPT, readCandidates, writeCandidates } from "../predict/candidate-file.ts";
import { alignAnswers, chooseAttempts } from "../submission/choose.ts";
import { writeSubmission } from "../submission/write.ts";
import { AnswerMerge, strengthsAsVotes } from "../vote/merge.ts";
import { missingShards, type NamedPart, refuseMixtures } from "../vote/parts.ts";
import type { VoteWeighting } from "../vote/weighting.ts";
import { parseWeights } from "../vote/weights.ts";
import { writeMergedReport } from "./merge-report.ts";
import { weighFiles, weighingTable, weighingToJson } from "./merge-weights.ts";

interface MergeArgs {
  files: string[];
  out: string;
  candidates: string | undefined;
  weights: string | undefined;
  challenges: string | undefined;
  expect: number | undefined;
  solutions: string | undefined;
  report: string | undefined;
  keepAnswers: number;
  json?: boolean;
}

export const mergeCommand: CommandModule<object, MergeArgs> = {
  command: "merge <files..>",
  describe: "Join candidate files or submissions (shards, seeds, other systems) into one submission",
  builder: (y) =>
    y
      .positional("files", {
        type: "string",
        array: true,
        demandOption: true,
        describe: "candidates.json or submission.json files, of any number of attempts",
      })
      .option("out", { type: "string", default: "submission.json", describe: "submission to write" })
      .option("candidates", { type: "string", describe: "candidate file to write as well" })
      .option("keep-answers", {
        type: "number",
        default: BEST_KEPT,
        describe: "answers to each test input in --candidates, the best first",
      })
      .option("weights", { type: "string", describe: "what a vote of each file counts: 1,2 (default 1 each; 0 leaves one out)" })
      .option("expect", {
        type: "number",
        describe: "shards that there must be: one that failed is named, its tasks get fallback answers, and the exit status is 1",
      })
      .option("solutions", {
        type: "string",
        describe:
          "find the weights on tasks with these solutions, tell what each file adds, and how much of it holds on tasks that the weights were not found on",
      })
      .option("report", {
        type: "string",
        describe: "HTML page to write as well, of all shards that have left their run folders: as `report`, with the merged answers",
      })
      .option("challenges", {
        type: "string",
        describe: "write exactly the tasks of this file, in its order, with fallbacks for missing ones",
      })
      .example("$0 merge shard-*/candidates.json --challenges F --expect 4", "the shards of `run --shard 0/4` to `3/4`")
      .example("$0 merge a.json b.json --solutions S", "on public tasks: the --weights for the same systems' files of the hidden ones")
      .epilogue(
        "Of a submission's n attempts the first has n votes, the last one. Candidate files of `run --shard` are joined only with those of the same " +
          "run (tasks, checkpoint, settings), each shard once, none missing unless --expect is given.",
      ) as unknown as Argv<MergeArgs>,
  handler: mergeHandler,
};

function mergeHandler({
  files,
  out,
  candidates,
  weights,
  challenges: challengesPath,
  expect,
  solutions,
  report,
  keepAnswers,
  json,
}: MergeArgs): void {
  const best = answersToKeep(keepAnswers);
  if (solutions !== undefined && (weights ?? expect) !== undefined)
    throw new UserError(`--solutions finds weights: leave ${weights === undefined ? "--expect" : "--weights"} out`);
  wholeNumber("--expect", expect, 1);
  refuseClash(
    [
      ["--out", out],
      ["--candidates", candidates],
      ["--report", report],
    ],
    [...files.map((file) => ["a file to merge", file] as const), ["--challenges", challengesPath], ["--solutions", solutions]],
  );
  const weighed = solutions === undefined ? undefined : weighFiles(files, solutions);
  const factors = weighed?.weights ?? parseWeights(weights, files.length);
  const challenges = challengesPath === undefined ? undefined : readChallenges(challengesPath);
  const merge = new AnswerMerge();
  const parts: (NamedPart & { readonly weighting: VoteWeighting })[] = [];
  // Whoever says what a vote of each file is worth may join what is weighed in different ways.
  const isSaid = (weights ?? solutions) !== undefined;
  const room = new ReadingRoom();
  for (const [i, where] of files.entries()) {
    const read = unlessFailed(expect !== undefined, () => readCandidates(where, room));
    if (!read) continue;
    if (read.rehearsal) console.error(`${where} holds the MADE-UP ANSWERS of a rehearsal: never submit what they are merged into`);
    parts.push({ where, part: read.part, weighting: read.weighting });
    merge.add({ where, answers: isSaid ? strengthsAsVotes(read.answers) : read.answers, weight: factors[i]! });
  }
  const missing = missingShards(parts, expect, challenges && tasksSha256(challenges.tasks));
  if (!isSaid) refuseMixtures(parts);
  const count = expect ?? parts[0]?.part?.shard.count ?? 0;
  if (missing.length > 0 && expect === undefined)
    throw new UserError(
      `${shardsInWords(missing, count)} ${missing.length === 1 ? "is" : "are"} missing; name all candidate files, or give --expect ${count} to go on with fallback answers`,
    );
  const merged = merge.take(best);
  if (merged.size === 0 && !challenges) throw new UserError("no shard is there; give --challenges for fallback answers to its tasks");
  const entries: readonly Entry[] =
    challenges?.entries ?? [...merged].map(([id, tests]) => ({ id, testInputs: tests.length, problems: [] }));
  const { answers, notes } = alignAnswers(entries, merged, challengesPath ?? "files to merge");
  for (const note of notes) console.error(note);
  const { submission, fallbackInputs } = chooseAttempts(entries, answers);
  writeSubmission(out, submission, entries);
  if (candidates) writeCandidates(candidates, answers, { weighting: isSaid ? undefined : parts[0]?.weighting }, best);

  const cut = parts.filter(({ part }) => part?.ended === false);
  for (const { where, part } of cut)
    console.error(
      `shard ${part!.shard.index} of ${count} has not come to its end (${where}): its answers so far are used; \`run --resume\` goes on with it`,
    );
  const troubles = cut.map(({ part }) => `Shard ${part!.shard.index} has not come to its end: its answers so far are used.`);
  if (missing.length > 0) {
    const there = new Set(parts.flatMap(({ part }) => part?.shard.tasks ?? []));
    const ids = entries.map(({ id }) => id).filter((id) => !there.has(id));
    const named = ids.slice(0, 5).map(quoted).join(", ") + (ids.length > 5 ? ", ..." : "");
    const failed = `${shardsInWords(missing, count)} failed: ${ids.length} tasks have fallback answers (${named})`;
    console.error(failed);
    troubles.push(`${failed[0]!.toUpperCase()}${failed.slice(1)}.`);
  }
  if (expect !== undefined && missing.length + cut.length > 0) process.exitCode = 1;
  const page =
    report !== undefined &&
    unlessFailed(expect !== undefined, () => {
      writeMergedReport(report, parts, { title: `${count} shards`, submission, candidates: answers, shards: count, notes: troubles });
      return report;
    });
  const testInputs = [...submission.values()].reduce((sum, tests) => sum + tests.length, 0);
  const result = {
    submission: out,
    ...(candidates && { candidates }),
    ...(page && { report: page }),
    tasks: entries.length,
    testInputs,
    fallbackInputs,
    ...(weighed && weighingToJson(files, weighed)),
    ...(count > 0 && { shards: count, missingShards: missing, unfinishedShards: cut.map(({ part }) => part!.shard.index) }),
  };
  if (weighed && !json) console.log(`${weighingTable(files, weighed)}\n`);
  if (json) console.log(JSON.stringify(result));
  else console.log(`${out}: ${entries.length} tasks, ${testInputs} test inputs, ${fallbackInputs} of them answered by a fallback alone`);
}

/** What `act` gives; undefined, with a line about it, where a file that it needs can't be read or written and shards may have failed. */
function unlessFailed<T>(mayFail: boolean, act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!mayFail || !(error instanceof UserError)) throw error;
    console.error(error.message);
    return undefined;
  }
}

function shardsInWords(indexes: readonly number[], count: number): string {
  return `${indexes.length === 1 ? "shard" : "shards"} ${indexes.join(", ")} of ${count}`;
}
