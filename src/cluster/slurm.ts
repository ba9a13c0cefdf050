/** What Slurm needs to work on the shards of a run: the scripts of `submission/slurm/`, and a file of settings that they read. */
import merge from "../../submission/slurm/merge.sh";
import shard from "../../submission/slurm/shard.sh";
import submit from "../../submission/slurm/submit.sh";
import { UserError } from "../errors.ts";

/** The jobs of a run. */
export interface SlurmJobs {
  /** the program: Node and the bundle */
  readonly trm: readonly string[];
  readonly shards: number;
  /** options of `run` for every shard, without `--shard`, `--run-dir` and `--out` */
  readonly run: readonly string[];
  /** options of `merge`, without the files and `--expect` */
  readonly merge: readonly string[];
  /** options of sbatch for the array job, and for the job that merges */
  readonly arrayOptions: readonly string[];
  readonly mergeOptions: readonly string[];
  /** shards that may run at once; as many as there is room for, unless given */
  readonly atOnce: number | undefined;
  /** how often a shard is queued again after it was stopped, and after it crashed */
  readonly requeues: number;
  readonly crashes: number;
  /** how often shards that have not come to their end are submitted, in all */
  readonly rounds: number;
}

/** What the array's tasks and the merging job ask of Slurm. */
export interface SlurmResources {
  readonly partition: string | undefined;
  readonly account: string | undefined;
  readonly qos: string | undefined;
  /** for each shard */
  readonly gpus: number | undefined;
  readonly cpus: number | undefined;
  readonly memory: string | undefined;
  /** of a shard's job, in seconds; it may be longer by less than a minute */
  readonly timeLimitSeconds: number;
  /** between the signal to stop and the time limit */
  readonly stopBeforeSeconds: number;
  /** more options of sbatch for the shards */
  readonly others: readonly string[];
}

/** The merging job reads files of megabytes and needs no GPU. */
const MERGE_MINUTES = 30;

/** The files that the jobs are made of, by name. */
export function slurmFiles(jobs: SlurmJobs): Map<string, string> {
  return new Map([
    ["settings.sh", settingsText(jobs)],
    ["submit.sh", submit],
    ["shard.sh", shard],
    ["merge.sh", merge],
  ]);
}

/** The settings as a script of assignments. */
export function settingsText({
  trm,
  shards,
  run,
  merge,
  arrayOptions,
  mergeOptions,
  atOnce,
  requeues,
  crashes,
  rounds,
}: SlurmJobs): string {
  const list = (name: string, values: readonly string[]): string => `${name}=(${values.map((value) => ` ${shellWord(value)}`).join("")} )`;
  return [
    "# Settings of the jobs, written by `trm slurm`; submit.sh, shard.sh and merge.sh read them.",
    list("TRM", trm),
    `SHARDS=${shards}`,
    "# of `run` for every shard, and of `merge`",
    list("RUN", run),
    list("MERGE", merge),
    "# of sbatch, for the shards and for the job that merges them",
    list("ARRAY_OPTIONS", arrayOptions),
    list("MERGE_OPTIONS", mergeOptions),
    `AT_ONCE=${atOnce ?? ""} # shards, at most`,
    "# how often a shard is queued again after it was stopped, after it crashed; how often unfinished shards are submitted in all",
    `REQUEUES=${requeues}`,
    `CRASHES=${crashes}`,
    `ROUNDS=${rounds}`,
    "",
  ].join("\n");
}

/** Options of sbatch for the array job. */
export function arrayOptions(resources: SlurmResources): string[] {
  const { gpus, cpus, memory, timeLimitSeconds, stopBeforeSeconds, others } = resources;
  return [
    ...placeOptions(resources),
    ...(gpus === undefined ? [] : [`--gres=gpu:${gpus}`]),
    ...(cpus === undefined ? [] : [`--cpus-per-task=${cpus}`]),
    ...(memory === undefined ? [] : [`--mem=${memory}`]),
    `--time=${slurmTime(timeLimitSeconds)}`,
    `--signal=B:TERM@${Math.ceil(stopBeforeSeconds)}`,
    ...others,
  ];
}

/** Options of sbatch for the job that merges. */
export function mergeOptions(resources: SlurmResources): string[] {
  return [...placeOptions(resources), `--time=${slurmTime(60 * MERGE_MINUTES)}`];
}

function placeOptions({ partition, account, qos }: SlurmResources): string[] {
  return Object.entries({ partition, account, qos }).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
}

/** A time limit as Slurm has it, days-hours:minutes:seconds, rounded up to minutes, which is how Slurm counts it. */
export function slurmTime(seconds: number): string {
  const minutes = Math.ceil(seconds / 60);
  const two = (value: number): string => String(value).padStart(2, "0");
  const days = Math.floor(minutes / 1440);
  return `${days > 0 ? `${days}-` : ""}${two(Math.floor(minutes / 60) % 24)}:${two(minutes % 60)}:00`;
}

/** A word that a shell takes for just this text. @throws UserError for what no shell can pass on */
export function shellWord(text: string): string {
  if (text.includes("\0")) throw new UserError(`${JSON.stringify(text)} has a zero byte, which can't be part of an argument`);
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
