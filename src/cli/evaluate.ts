/** `evaluate`: what a checkpoint can do without adapting: predict under many variants, vote, score. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Argv, CommandModule } from "yargs";
import type { RunResult } from "../adapt/request.ts";
import type { Run } from "../adapt/run.ts";
import { describeCanvases } from "../adapt/setup.ts";
import { readChallenges, readSolutions } from "../arc/challenges-file.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import { ENGINES } from "../backend/select.ts";
import { settingFlags, withSettingFlags } from "../config/flags.ts";
import { RECIPE } from "../config/recipe.ts";
import { UserError } from "../errors.ts";
import { makeTemporaryFolder } from "../files/temporary-folder.ts";
import { type Score, scoreAnswers, scoreTable, submittable } from "../score/pass-at-k.ts";
import { withCompilationFlags } from "./compilation-flags.ts";
import { executeRun } from "./execute-run.ts";
import { withMemoryFlags } from "./memory-flags.ts";
import { RUN_DEFAULTS, type RunArgs } from "./run-args.ts";
import { CANVAS_HELP, chooseTasks, fittingTasks, parseCanvas, WORKERS_HELP } from "./run-options.ts";
import { describeOutcomes } from "./run-table.ts";

/** The settings of a run that matter where nothing is trained. */
const SETTINGS = {
  voteVariants: RECIPE.voteVariants,
  voteWeight: RECIPE.voteWeight,
  start: RECIPE.start,
  haltMaxStepsEval: RECIPE.haltMaxStepsEval,
  stopAtHalt: RECIPE.stopAtHalt,
};

type EvaluateArgs = Pick<
  RunArgs,
  | "challenges"
  | "solutions"
  | "checkpoint"
  | "budget"
  | "workers"
  | "engine"
  | "compile"
  | "precision"
  | "attention"
  | "microBatch"
  | "recompute"
  | "tfLib"
  | "canvas"
  | "limit"
  | "tasks"
  | "seed"
  | "json"
  | "logLevel"
> & { readonly out: string | undefined };

export const evaluateCommand: CommandModule<object, EvaluateArgs> = {
  command: "evaluate",
  describe: "Score a checkpoint on tasks with solutions, without adapting it: predict, vote, pass@K",
  builder: (y) =>
    withSettingFlags(
      withMemoryFlags(withCompilationFlags(y))
        .option("challenges", { type: "string", demandOption: true, describe: "Kaggle challenges file, or folder of task files" })
        .option("solutions", { type: "string", describe: "solutions file; not needed where task files hold their outputs" })
        .option("checkpoint", { type: "string", demandOption: true, describe: "folder of a checkpoint" })
        .option("out", { type: "string", describe: "keep the answers: submission to write, candidates.json goes beside it" })
        .option("budget", {
          type: "string",
          default: RUN_DEFAULTS.budget,
          describe: "wall clock at most; variants are predicted in rounds over all test inputs, so that a short one costs votes, not tasks",
        })
        .option("workers", {
          type: "string",
          default: RUN_DEFAULTS.workers,
          describe: WORKERS_HELP,
        })
        .option("engine", {
          choices: ENGINES,
          default: RUN_DEFAULTS.engine,
          describe: "auto takes TensorFlow where it is at hand, else wasm",
        })
        .option("tf-lib", { type: "string", describe: "folder of a TensorFlow library, or what `tensorflow --folder` filled" })
        .option("canvas", {
          type: "string",
          default: RUN_DEFAULTS.canvas,
          describe: CANVAS_HELP,
        })
        .option("limit", { type: "number", describe: "the first N tasks only" })
        .option("tasks", { type: "string", describe: "these task ids only, comma-separated" }),
      SETTINGS,
      "Settings of the prediction:",
    )
      .example(
        "$0 evaluate --challenges eval_challenges.json --solutions eval_solutions.json --checkpoint checkpoints/trm",
        "pass@K of 512 variants",
      )
      .example("$0 evaluate ... --vote-variants 1", "the model's own answer to each task as it is, without voting")
      .epilogue(
        "Each task gets the mean of the checkpoint's puzzle rows (--start): what a run knows before its first training step. Every variant is spent on " +
          "every test input, so that pass@K is exact for every K. pass@K of a test input: its truth is among the K answers with the most votes. The same " +
          "with adaptation: `run --solutions`; the same in a folder that can be taken up again: `run --method none --vote-all --run-dir`.",
      ) as unknown as Argv<EvaluateArgs>,
  handler: async (args) => {
    const solutions = solutionsFor(args);
    const folder = args.out === undefined ? makeTemporaryFolder("trm-evaluate-") : undefined;
    if (folder !== undefined) process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    const settings = settingFlags(SETTINGS, args as unknown as Record<string, unknown>);
    const variants = Number(settings.voteVariants ?? RECIPE.voteVariants.default);
    const asked = { ...settings, method: "none", voteAll: true, voteVariants: variants, trainVariants: Math.max(0, variants - 1) };
    const out = args.out ?? join(folder!, "submission.json");
    const given = { ...RUN_DEFAULTS, planOnly: false, ...args, ...asked, out };
    await executeRun(given as unknown as RunArgs, (run, result) => tell(args, run, result, solutions));
  },
};

/** The solutions of the tasks to work on. @throws UserError where there are none, before anything is predicted */
function solutionsFor({ challenges: path, solutions: solutionsPath, tasks, limit, canvas }: EvaluateArgs): Solutions {
  const challenges = readChallenges(path!);
  const all = solutionsPath === undefined ? challenges.solutions : readSolutions(solutionsPath);
  if (!all)
    throw new UserError(
      `--solutions must be given: ${path} holds no outputs of its tests (to predict without scoring: \`run --method none\`)`,
    );
  const chosen = fittingTasks(chooseTasks(challenges.tasks, { tasks, limit }), parseCanvas(canvas), () => {}); // the others don't count
  const solved = chosen.filter(({ id }) => all.has(id));
  if (solved.length === 0) throw new UserError(`${solutionsPath ?? path}: solves no task of ${path}; are these files of the same set?`);
  if (solved.length < chosen.length)
    console.error(`${chosen.length - solved.length} of ${chosen.length} tasks have no solution and don't count`);
  return new Map(solved.map(({ id }) => [id, all.get(id)!]));
}

function scoreOf(run: Run, solutions: Solutions): Score {
  const answers = new Map<string, { grid: RunAnswer["grid"] }[][]>();
  for (const outcome of run.outcomes()) answers.set(outcome.taskId, [...(answers.get(outcome.taskId) ?? []), [...outcome.answers]]);
  return scoreAnswers(submittable(new Map([...answers].filter(([id]) => solutions.has(id)))), solutions);
}
type RunAnswer = ReturnType<Run["outcomes"]>[number]["answers"][number];

function tell({ checkpoint, out, json }: EvaluateArgs, run: Run, result: RunResult, solutions: Solutions): void {
  const { tasks, testInputs, votes, complete, seconds, engine, engineDescription, workers, canvas, canvases, score, candidates } = result;
  if (!complete) console.error(`the votes are not complete: ${votes} predictions were made; raise --budget or lower --vote-variants`);
  if (json) {
    const files = out === undefined ? {} : { submission: out, candidates };
    console.log(
      JSON.stringify({
        checkpoint,
        ...files,
        tasks,
        testInputs,
        votes,
        complete,
        seconds,
        engine,
        engineDescription,
        workers,
        canvas,
        canvases,
        score,
      }),
    );
    return;
  }
  console.log(`${describeOutcomes(run, solutions).join("\n")}\n`);
  console.log(scoreTable(scoreOf(run, solutions)));
  console.log(
    `${checkpoint}: ${votes} predictions on ${describeCanvases(canvas, canvases)} in ${seconds.total.toFixed(1)} s (${engineDescription})`,
  );
}
