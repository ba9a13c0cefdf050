/** `slurm`: a run in shards on a Slurm cluster. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Argv, CommandModule } from "yargs";
import { splitByCost, taskCost } from "../adapt/shard.ts";
import { readChallenges } from "../arc/challenges-file.ts";
import { formatDuration, parseDuration } from "../budget/duration.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import { arrayOptions, mergeOptions, type SlurmJobs, type SlurmResources, shellWord, slurmFiles } from "../cluster/slurm.ts";
import { flagName } from "../config/settings.ts";
import { wholeNumber } from "../config/whole-number.ts";
import { messageOf, UserError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { checkRunOptions } from "./passed-options.ts";

interface SlurmArgs {
  shards: number;
  challenges: string;
  checkpoint: string;
  budget: string;
  folder: string;
  out: string | undefined;
  partition: string | undefined;
  account: string | undefined;
  qos: string | undefined;
  gpus: number | undefined;
  cpus: number | undefined;
  memory: string | undefined;
  time: string | undefined;
  stopBefore: string;
  atOnce: number | undefined;
  sbatch: string[];
  requeues: number;
  crashes: number;
  rounds: number;
  submit: boolean;
  /** the command's name, and what stands behind `--` */
  _: string[];
  seed?: string;
  json?: boolean;
}

/** A shard's job has this much more time than its run, for a node to start it and for the last files. */
const LEEWAY_SECONDS = 600;
/** Options of `run` that the jobs set themselves. */
const OWN = "challenges checkpoint budget shard out run-dir resume seed json plan-only".split(" ");

export const slurmCommand: CommandModule<object, SlurmArgs> = {
  command: "slurm [run-options..]",
  describe: "Write, and submit, the jobs of a run in shards on a Slurm cluster: an array job, and one that merges",
  builder: (y) =>
    y
      .positional("run-options", { type: "string", array: true, default: [], describe: "after --: options of `run` that all shards get" })
      .option("shards", { type: "number", demandOption: true, describe: "shares of the tasks, equal in cost: one job of the array each" })
      .option("challenges", { type: "string", demandOption: true, describe: "Kaggle challenges file, or folder of task files" })
      .option("checkpoint", { type: "string", demandOption: true, describe: "folder of a pre-trained checkpoint" })
      .option("budget", {
        type: "string",
        demandOption: true,
        describe: "time of each shard's run, such as 11h30m; time in the queue, before it or between, is not counted",
      })
      .option("folder", {
        type: "string",
        default: "slurm-run",
        describe: "folder of the run, seen by all nodes: scripts, logs, a run folder a shard, what they come to",
      })
      .option("out", {
        type: "string",
        describe: "submission to write; submission.json in the folder unless given; candidates.json goes beside it",
      })
      .option("partition", { type: "string", describe: "partition of all jobs" })
      .option("account", { type: "string", describe: "account of all jobs" })
      .option("qos", { type: "string", describe: "quality of service of all jobs" })
      .option("gpus", {
        type: "number",
        describe: "GPUs of each shard: asked of Slurm (--gres=gpu:N), and the run refuses to begin on fewer",
      })
      .option("cpus", { type: "number", describe: "CPUs of each shard (--cpus-per-task)" })
      .option("memory", { type: "string", describe: "memory of each shard as Slurm takes it, such as 64G (--mem)" })
      .option("time", {
        type: "string",
        describe: `time limit of a shard's job (default: the budget and ${LEEWAY_SECONDS / 60} minutes); where it is shorter than the budget, the job is stopped, queued again and goes on`,
      })
      .option("stop-before", { type: "string", default: "2m", describe: "how long before its time limit a shard is told to stop" })
      .option("at-once", { type: "number", describe: "shards that may run at the same time, at most" })
      .option("sbatch", {
        type: "array",
        string: true,
        default: [],
        describe: "one more option of sbatch for the shards: --sbatch=--constraint=a100",
      })
      .option("requeues", { type: "number", default: 20, describe: "how often a shard that was stopped is queued again" })
      .option("crashes", { type: "number", default: 3, describe: "how often a shard that crashed is queued again" })
      .option("rounds", {
        type: "number",
        default: 3,
        describe: "how often shards without an end are submitted in all, each time with a merge",
      })
      .option("submit", { type: "boolean", default: false, describe: "submit the jobs; otherwise the command to do so is printed" })
      .example(
        "$0 slurm --shards 10 --challenges F --checkpoint DIR --budget 11h30m --gpus 4 --partition gpu --submit",
        "ten nodes of four GPUs",
      )
      .example(
        "$0 slurm --shards 4 ... --time 4h --budget 12h -- --preset paper-as-released",
        "three jobs of four hours one after the other",
      )
      .epilogue(
        [
          "Shards train models of their own: each has all GPUs of its node, and nothing passes between nodes but files in --folder.",
          "A shard that is pre-empted, requeued (scontrol requeue) or near its time limit writes its best answers, is queued again and goes on from its last snapshot. Where its node was lost, Slurm queues it again; where all of its processes were killed, the merging job does.",
          "The merge waits for all of them (afterany), names shards that failed, fills their tasks with fallbacks, and ends with status 1 then.",
          "Logs: FOLDER/logs. State: squeue. Stop everything: scancel the jobs in FOLDER/jobs.log. The page of the run: FOLDER/report.html; of a shard under way: trm report FOLDER/shard-0.",
        ].join("\n"),
      ) as unknown as Argv<SlurmArgs>,
  handler: slurmHandler,
};

function slurmHandler(args: SlurmArgs): void {
  const { shards, seed, submit, json } = args;
  for (const [name, value, least] of [
    ["shards", shards, 1],
    ["gpus", args.gpus, 1],
    ["cpus", args.cpus, 1],
    ["at-once", args.atOnce, 1],
    ["requeues", args.requeues, 0],
    ["crashes", args.crashes, 0],
    ["rounds", args.rounds, 1],
  ] as const)
    wholeNumber(`--${name}`, value, least);
  const budgetSeconds = parseDuration(args.budget, "--budget");
  const stopBeforeSeconds = parseDuration(args.stopBefore, "--stop-before");
  const timeLimitSeconds = args.time === undefined ? budgetSeconds + LEEWAY_SECONDS : parseDuration(args.time, "--time");
  if (timeLimitSeconds <= stopBeforeSeconds + 60)
    throw new UserError(
      `a time limit of ${formatDuration(timeLimitSeconds)} leaves less than a minute before the signal to stop; lower --stop-before`,
    );
  const runOptions = withWholePaths(args._.slice(1).map(String));
  checkRunOptions(runOptions, OWN, args.checkpoint);
  const [challenges, checkpoint, folder] = [args.challenges, args.checkpoint, args.folder].map((path) => resolve(path)) as [
    string,
    string,
    string,
  ];
  if (/[\r\n]/.test(folder)) throw new UserError("--folder: a name of several lines can't be handed to sbatch");
  const { tasks } = readChallenges(challenges);
  loadCheckpoint(checkpoint); // what is wrong with it is told now, not in the queue
  const out = args.out === undefined ? join(folder, "submission.json") : resolve(args.out);
  const resources: SlurmResources = { ...args, timeLimitSeconds, stopBeforeSeconds, others: args.sbatch };
  const jobs: SlurmJobs = {
    trm: [process.execPath, fileURLToPath(import.meta.url)],
    shards,
    run: [
      ...["--challenges", challenges, "--checkpoint", checkpoint, "--budget", args.budget, "--seed", seed ?? "0", "--free-pauses"],
      ...(args.gpus === undefined ? [] : ["--require-gpus", String(args.gpus)]),
      ...runOptions,
    ],
    merge: [
      ...["--challenges", challenges, "--out", out],
      ...["--candidates", join(out, "..", "candidates.json"), "--report", join(folder, "report.html")],
    ],
    arrayOptions: arrayOptions(resources),
    mergeOptions: mergeOptions(resources),
    requeues: args.requeues,
    crashes: args.crashes,
    atOnce: args.atOnce,
    rounds: args.rounds,
  };
  refuseOldShards(folder);
  const files = slurmFiles(jobs);
  try {
    mkdirSync(join(folder, "logs"), { recursive: true });
    for (const [name, text] of files) writeFileAtomically(join(folder, name), text);
  } catch (error) {
    throw new UserError(`--folder ${folder}: can't be written: ${messageOf(error)}`, { cause: error });
  }
  const shares = splitByCost(tasks, shards);
  const costs = shares.map((share) => share.reduce((sum, task) => sum + taskCost(task), 0));
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  const range = (values: readonly number[]): string => [...new Set([Math.min(...values), Math.max(...values)])].join(" to ");
  console.error(
    `${shards} shards of ${range(shares.map(({ length }) => length))} tasks, ${range(costs.map((cost) => Math.round((1000 * cost) / total) / 10))} % of the cost each; ${[...files.keys()].join(", ")} in ${folder}`,
  );
  if (timeLimitSeconds < budgetSeconds + stopBeforeSeconds)
    console.error(
      `a budget of ${formatDuration(budgetSeconds)} does not fit into ${formatDuration(timeLimitSeconds)}: each shard is queued again ${Math.ceil(budgetSeconds / (timeLimitSeconds - stopBeforeSeconds)) - 1} times or so`,
    );
  const submitScript = join(folder, "submit.sh");
  const submitted = submit ? submitJobs(submitScript) : undefined;
  if (json) console.log(JSON.stringify({ folder, shards, tasks: shares.map(({ length }) => length), submission: out, ...submitted }));
  else console.log(submitted ? `array job ${submitted.array}, merge job ${submitted.merge}` : `bash ${shellWord(submitScript)}`);
}

/** Options of `run` that take a path, beside those that this command has itself. */
const PATH_OPTIONS = ["--solutions", "--config", "--tf-lib", "--xla-cache"];

/** Jobs work in a folder of their own: paths among the options of `run` are made whole here. */
function withWholePaths(options: readonly string[]): string[] {
  const whole = (path: string): string => (path === "off" ? path : resolve(path)); // --xla-cache off
  return options.map((option, i) => {
    const [name, ...value] = option.split("=") as [string, ...string[]];
    if (value.length > 0 && PATH_OPTIONS.includes(flagName(name))) return `${name}=${whole(value.join("="))}`;
    return i > 0 && PATH_OPTIONS.includes(flagName(options[i - 1]!)) ? whole(option) : option;
  });
}

/** @throws UserError where there are shards of an earlier run, which would be gone on with */
function refuseOldShards(folder: string): void {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  if (names.some((name) => /^shard-\d+$/.test(name) && existsSync(join(folder, name, "config.json"))))
    throw new UserError(
      `--folder ${folder} holds shards of an earlier run: choose another, or remove them; \`bash submit.sh\` in it goes on with those`,
    );
}

function submitJobs(script: string): { array: string; merge: string } {
  const { error, status, stdout, stderr } = spawnSync("bash", [script], { encoding: "utf8" });
  if (error || status !== 0) throw new UserError(`the jobs could not be submitted (${script}): ${error ? error.message : stderr.trim()}`);
  const [, array, merge] = /job (\d+), merge in job (\d+)/.exec(stdout) ?? [];
  if (array === undefined || merge === undefined) throw new Error(`submit.sh said: ${stdout}`);
  return { array, merge };
}
