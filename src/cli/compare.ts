/** `compare`: the same tasks and the same time under several methods, starts and seeds. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Argv, CommandModule } from "yargs";
import type { CanvasChoice } from "../adapt/request.ts";
import { tasksSha256 } from "../adapt/run-folder.ts";
import { readChallenges, readSolutions } from "../arc/challenges-file.ts";
import type { Task } from "../arc/task.ts";
import { formatDuration, parseDuration } from "../budget/duration.ts";
import { CONFIG_FILE, MODEL_FILE } from "../checkpoint/file-names.ts";
import { armsOf, METHODS, runsOf } from "../compare/arms.ts";
import { comparisonPlot } from "../compare/plot.ts";
import { madeAlready, make, type Surroundings } from "../compare/runner.ts";
import { type Outcome, type Summary, summarize } from "../compare/summary.ts";
import { comparisonCsv, comparisonTable } from "../compare/table.ts";
import { UserError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { takeLock } from "../files/processes.ts";
import { sha256Of } from "../files/sha256.ts";
import { ENDING_SIGNALS, statusOf } from "../files/signals.ts";
import { COMPARE_LOCK, documentAtEnd } from "./page.ts";
import { checkRunOptions } from "./passed-options.ts";
import { chooseTasks, fittingTasks, parseCanvas } from "./run-options.ts";

interface CompareArgs {
  challenges: string;
  solutions: string | undefined;
  checkpoint: string;
  methods: string;
  starts: string;
  arm: string[];
  seeds: string;
  budget: string | undefined;
  steps: number | undefined;
  leaveOut: number;
  limit: number | undefined;
  tasks: string | undefined;
  out: string;
  /** the command's name, and what stands behind `--` */
  _: string[];
  seed?: string;
  json?: boolean;
}

export const compareCommand: CommandModule<object, CompareArgs> = {
  command: "compare [run-options..]",
  describe: "Run several methods, starts and seeds on the same tasks for the same time, and rank them, with confidence intervals",
  builder: (y) =>
    y
      .positional("run-options", { type: "string", array: true, default: [], describe: "after --: options of `run` that all runs get" })
      .option("challenges", { type: "string", demandOption: true, describe: "Kaggle challenges file, or folder of task files" })
      .option("solutions", { type: "string", describe: "solutions file; not needed where task files hold their outputs" })
      .option("checkpoint", { type: "string", demandOption: true, describe: "folder of a pre-trained checkpoint" })
      .option("methods", {
        type: "string",
        default: "full,embeddings-then-full,embeddings,lora,none,scratch",
        describe: `comma-separated, of ${Object.keys(METHODS).join(", ")} (full on random weights); the first is what the others are set against; "" for none`,
      })
      .option("starts", {
        type: "string",
        default: "mean",
        describe: "starts of the puzzle rows (mean, normal, encoder), comma-separated, for each method but scratch and latent-search",
      })
      .option("arm", {
        type: "array",
        string: true,
        default: [],
        describe: 'one more, by its options of `run`: "slow: --method full --lr-trunk 1e-5"',
      })
      .option("seeds", { type: "string", default: "3", describe: "how many (0, 1, ...), or the seeds themselves, comma-separated" })
      .option("budget", { type: "string", describe: "wall clock of each run; this or --steps must be given" })
      .option("steps", { type: "number", describe: "optimizer steps of each run, instead of --budget or besides" })
      .option("leave-out", { type: "number", default: 0, describe: "demonstrations of each task to hold back and be measured on" })
      .option("limit", { type: "number", describe: "the first N tasks only" })
      .option("tasks", { type: "string", describe: "these task ids only, comma-separated" })
      .option("out", {
        type: "string",
        demandOption: true,
        describe:
          "folder for the runs and for comparison.json, .csv and .svg and report.html; runs that it holds already are not made again",
      }) as unknown as Argv<CompareArgs>,
  handler: compare,
};

/** Options of `run` that each run of a comparison has from it. */
const OWN = "challenges checkpoint solutions out run-dir resume seed json plan-only shard keep-answers".split(" ");

async function compare(args: CompareArgs): Promise<void> {
  const { methods, starts, budget, steps, out, json } = args;
  if (budget === undefined && steps === undefined) throw new UserError("give all runs the same --budget, or the same number of --steps");
  if (budget !== undefined) parseDuration(budget, "--budget");
  const arms = armsOf(words(methods), words(starts), args.arm);
  const seeds = /^\d+$/.test(args.seeds) ? Array.from({ length: Number(args.seeds) }, (_, i) => String(i)) : words(args.seeds);
  if (seeds.length === 0) throw new UserError(`--seeds ${args.seeds}: expected a number from 1 up, or seeds`);
  const challenges = readChallenges(args.challenges);
  const given = args.solutions === undefined ? challenges.solutions : readSolutions(args.solutions);
  const options = args._.slice(1).map(String);
  const leftOut = args.leaveOut ? ["--leave-out", String(args.leaveOut)] : [];
  for (const arm of arms) checkRunOptions([...leftOut, ...options, ...arm.options], OWN, args.checkpoint);
  const tell = (text: string): void => console.error(text);
  const chosen = fittingTasks(chooseTasks(challenges.tasks, args), canvasOf(options), tell);
  const ids = chosen.map(({ id }) => id);
  const solutions = new Map(ids.flatMap((id) => (given?.has(id) ? [[id, given.get(id)!] as const] : [])));
  if (solutions.size === 0) throw new UserError("no solution of any of these tasks is known; give --solutions");
  const option = (name: string, value: string | number | undefined): string[] => (value === undefined ? [] : [name, String(value)]);
  mkdirSync(out, { recursive: true });
  // The run under way ends with this process, in order; the comparison is taken up there.
  for (const signal of ENDING_SIGNALS) process.once(signal, () => process.exit(statusOf(signal)));
  const { release } = takeLock(join(out, COMPARE_LOCK), `the comparison ${out}`);
  process.once("exit", release);
  const surroundings: Surroundings = {
    folder: out,
    data: await dataSha256(args, options, chosen),
    common: [
      ...["--challenges", resolve(args.challenges), "--checkpoint", resolve(args.checkpoint)],
      ...option("--solutions", args.solutions && resolve(args.solutions)),
      ...option("--budget", budget),
      ...option("--steps", steps),
      ...option("--leave-out", args.leaveOut || undefined),
      ...option("--limit", args.limit),
      ...option("--tasks", args.tasks),
      ...options,
    ],
    solutions,
    line: () => {},
  };
  const outcomes: { run: ReturnType<typeof runsOf>[number]; outcome: Outcome }[] = [];
  const runs = runsOf(arms, seeds);
  const seed = args.seed ?? "0";
  let summary: Summary = summarize([], seed);
  let spent = 0;
  let made = 0;
  for (const [i, run] of runs.entries()) {
    const name = `${i + 1} of ${runs.length}: ${run.arm.name}, seed ${run.seed}`;
    const earlier = madeAlready(run, surroundings);
    if (!earlier) {
      const left = made > 0 ? `, about ${formatDuration((spent / made) * (runs.length - i))} left` : "";
      console.error(`${name}${left}`);
    }
    const began = performance.now();
    const outcome = earlier ?? (await make(run, surroundings));
    if (!earlier) {
      spent += (performance.now() - began) / 1000;
      made++;
    }
    const right = outcome.tasks["pass@2"];
    console.error(
      `${name}${earlier ? " (made already)" : ""}: pass@2 ${((100 * right.reduce((sum, share) => sum + share, 0)) / right.length).toFixed(1)} %, ${outcome.steps} steps in ${formatDuration(outcome.seconds)}`,
    );
    outcomes.push({ run, outcome });
    // After each run: a comparison that is cut off shows what there is.
    summary = { ...summarize(outcomes, seed), runs: { made: outcomes.length, planned: runs.length } };
    writeFileAtomically(join(out, "comparison.json"), `${JSON.stringify(summary, null, 2)}\n`);
    writeFileAtomically(join(out, "comparison.csv"), comparisonCsv(summary));
    writeFileAtomically(join(out, "comparison.svg"), comparisonPlot(summary));
    documentAtEnd(out, "comparison", outcomes.length < runs.length);
  }
  console.log(json ? JSON.stringify(summary) : comparisonTable(summary));
}

/** Of what the files hold that the options name: a comparison is not gone on with on other tasks, from another checkpoint or with other settings. */
async function dataSha256({ checkpoint, arm }: CompareArgs, common: readonly string[], tasks: readonly Task[]): Promise<string> {
  const words = [...common, ...arm.flatMap((each) => each.split(/\s+/))];
  const files = [join(checkpoint, CONFIG_FILE), join(checkpoint, MODEL_FILE), ...valuesOf("--config", words)].filter((path) =>
    existsSync(path),
  );
  const hashes = await Promise.all(files.map((path) => sha256Of(path)));
  return createHash("sha256")
    .update(JSON.stringify([tasksSha256(tasks), ...hashes]))
    .digest("hex");
}

/** The canvas that all runs are asked for: tasks that don't fit it are not worked on, and don't count. */
function canvasOf(options: readonly string[]): CanvasChoice {
  const asked = valuesOf("--canvas", options).at(-1);
  return asked === undefined ? "auto" : parseCanvas(asked);
}

/** What an option is given, as `--name value` or `--name=value`, each time that it stands there. */
function valuesOf(name: string, options: readonly string[]): string[] {
  return options.flatMap((option, i) => {
    if (option === name) return [options[i + 1] ?? ""];
    return option.startsWith(`${name}=`) ? [option.slice(name.length + 1)] : [];
  });
}

function words(text: string): string[] {
  return text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}
