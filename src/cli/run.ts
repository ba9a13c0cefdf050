/** `run`: from challenges.json to submission.json within a budget. */
import type { Argv, CommandModule } from "yargs";
import { ENGINES } from "../backend/select.ts";
import { withRecipeFlags } from "../config/flags.ts";
import { withCompilationFlags } from "./compilation-flags.ts";
import { executeRun } from "./execute-run.ts";
import { withMemoryFlags } from "./memory-flags.ts";
import { withRehearsalFlags } from "./rehearsal-flags.ts";
import { RUN_DEFAULTS, type RunArgs } from "./run-args.ts";
import { CANVAS_HELP, WORKERS_HELP } from "./run-options.ts";
import { printTable } from "./run-table.ts";

export const runCommand: CommandModule<object, RunArgs> = {
  command: "run",
  describe: "Adapt to the tasks of a challenges file, predict, vote, and write submission.json",
  builder: (y) =>
    withRecipeFlags(
      withRehearsalFlags(withMemoryFlags(withCompilationFlags(y)))
        .option("challenges", { type: "string", describe: "Kaggle challenges file, or folder of task files (required)" })
        .option("checkpoint", { type: "string", describe: "folder of a pre-trained checkpoint (required)" })
        .option("solutions", {
          type: "string",
          describe: "solutions file, for a dry run: answers are scored before, while and after training, and never used to find any",
        })
        .option("out", {
          type: "string",
          default: RUN_DEFAULTS.out,
          describe: "submission to write; candidates.json goes beside it, or into --run-dir, which gets the submission too",
        })
        .option("budget", {
          type: "string",
          default: RUN_DEFAULTS.budget,
          describe: "wall clock from the start of the process, all included: 90s, 15m, 11h30m",
        })
        .option("started-at", {
          type: "string",
          describe: "time already spent before the process started, such as 4m, or the start as Unix seconds",
        })
        .option("steps", { type: "number", describe: "optimizer steps, where they end before the budget does" })
        .option("workers", {
          type: "string",
          default: RUN_DEFAULTS.workers,
          describe: WORKERS_HELP,
        })
        .option("require-gpus", { type: "number", describe: "refuse to run on fewer GPUs; otherwise a run takes what there is" })
        .option("engine", {
          choices: ENGINES,
          default: RUN_DEFAULTS.engine,
          describe: "auto takes TensorFlow where it is at hand, else wasm",
        })
        .option("tf-lib", { type: "string", describe: "folder of a TensorFlow library, or what `tensorflow --folder` filled" })
        .option("sync", {
          choices: ["allreduce", "none"] as const,
          default: RUN_DEFAULTS.sync,
          describe: "workers train one model together, or each its own on its share of the tasks",
        })
        .option("canvas", {
          type: "string",
          default: RUN_DEFAULTS.canvas,
          describe: CANVAS_HELP,
        })
        .option("scratch", {
          type: "boolean",
          default: RUN_DEFAULTS.scratch,
          describe: "keep the checkpoint's shape but start from random weights (a baseline)",
        })
        .option("limit", { type: "number", describe: "work on the first N tasks only; the others get fallback answers" })
        .option("tasks", { type: "string", describe: "work on these task ids only, comma-separated" })
        .option("strict", {
          type: "boolean",
          default: false,
          describe: "stop where a task of the file is bad; without it such a task gets fallback answers and a warning",
        })
        .option("quiet", { type: "boolean", default: false, describe: "warnings and errors alone; no progress, no table" })
        .option("keep-answers", {
          type: "number",
          default: RUN_DEFAULTS.keepAnswers,
          describe: "answers to each test input that candidates.json has, the best first; more of them make a later `merge` more exact",
        })
        .option("leave-out", {
          type: "number",
          describe:
            "hold back the last N demonstrations of each task (two stay), and tell how well they are answered before and after the training",
        })
        .option("shard", {
          type: "string",
          describe:
            "work on one of n shares of the tasks, equal in cost: 0/4 to 3/4, or auto/4 for the index in SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX; `merge` joins their candidates.json",
        })
        .option("run-dir", {
          type: "string",
          describe: "folder for the log, the resolved settings, candidates.json and what --resume goes on from",
        })
        .option("resume", {
          type: "string",
          describe:
            "go on with the run of such a folder, within its budget and with its options (others are ignored with a warning, but for --attention and --keep-answers); where it holds none, one begins",
        })
        .option("free-pauses", {
          type: "boolean",
          default: RUN_DEFAULTS.freePauses,
          describe:
            "the budget counts the time in which a process of the run is there, not what lies between one that was ended and the one that goes on (a queue)",
        })
        .option("snapshot-every", {
          type: "string",
          default: RUN_DEFAULTS.snapshotEvery,
          describe: "least time between snapshots of the training; longer where they would take more than 2 % of it",
        }),
    ) as unknown as Argv<RunArgs>,
  handler: (given) =>
    executeRun(given, (run, result, solutions) => {
      if (!given.json && !given.planOnly && !given.quiet) printTable(run, result, solutions);
      if (given.json) console.log(JSON.stringify(result));
    }),
};
