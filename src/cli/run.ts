/** `run`: from challenges.json to submission.json within a budget. */
import { mkdirSync, readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import pc from "picocolors";
import type { Argv, CommandModule } from "yargs";
import type { RunRequest, RunResult } from "../adapt/request.ts";
import { Run } from "../adapt/run.ts";
import { readChallenges, readSolutions } from "../arc/challenges-file.ts";
import { equalGrids } from "../arc/grid.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import type { Task } from "../arc/task.ts";
import { chooseEngine, workerEnvironment } from "../backend/choose.ts";
import { countGpus } from "../backend/gpus.ts";
import { ENGINES, type EngineChoice } from "../backend/select.ts";
import { realClock } from "../budget/clock.ts";
import { parseDuration } from "../budget/duration.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import { recipeFlags, withRecipeFlags } from "../config/flags.ts";
import { nearest, resolveRecipe } from "../config/resolve.ts";
import { messageOf, UserError } from "../errors.ts";
import { type LogLevel, openEventLog } from "../events.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { fallbackSubmission } from "../submission/fallback.ts";
import { writeSubmission } from "../submission/write.ts";
import type { CompileMode, Precision } from "../trace/compilation.ts";
import { withCompilationFlags } from "./compilation-flags.ts";

interface RunArgs {
  challenges: string;
  solutions: string | undefined;
  checkpoint: string;
  scratch: boolean;
  out: string;
  runDir: string | undefined;
  budget: string;
  startedAt: string | undefined;
  steps: number | undefined;
  workers: string;
  engine: EngineChoice;
  compile: CompileMode;
  precision: Precision;
  tfLib: string | undefined;
  sync: "allreduce" | "none";
  canvas: string;
  limit: number | undefined;
  tasks: string | undefined;
  preset: string | undefined;
  config: string | undefined;
  seed?: string;
  json?: boolean;
  logLevel?: LogLevel;
}

/** Signals that end a run in order, with the numbers that its exit status tells of them. */
const SIGNALS = [
  ["SIGINT", 2],
  ["SIGTERM", 15],
  ["SIGHUP", 1],
] as const;

/** More processes than this on one machine share too little work each. */
const MAX_WORKERS = 4;

export const runCommand: CommandModule<object, RunArgs> = {
  command: "run",
  describe: "Adapt to the tasks of a challenges file, predict, vote, and write submission.json",
  builder: (y) =>
    withRecipeFlags(
      withCompilationFlags(y)
        .option("challenges", { type: "string", demandOption: true, describe: "Kaggle challenges file, or folder of task files" })
        .option("checkpoint", { type: "string", demandOption: true, describe: "folder of a pre-trained checkpoint" })
        .option("solutions", { type: "string", describe: "solutions file: score at the end (dry run); answers are never looked at before" })
        .option("out", { type: "string", default: "submission.json", describe: "submission to write; candidates.json goes beside it" })
        .option("budget", {
          type: "string",
          default: "11h30m",
          describe: "wall clock from the start of the process, all included: 90s, 15m, 11h30m",
        })
        .option("started-at", {
          type: "string",
          describe: "time already spent before the process started, such as 4m, or the start as Unix seconds",
        })
        .option("steps", { type: "number", describe: "optimizer steps, where they end before the budget does" })
        .option("workers", {
          type: "string",
          default: "auto",
          describe: `processes: auto (one a GPU, else one a core, at most ${MAX_WORKERS}) or a number`,
        })
        .option("engine", { choices: ENGINES, default: "auto" as const, describe: "auto takes TensorFlow where it is at hand, else wasm" })
        .option("tf-lib", { type: "string", describe: "folder of a TensorFlow library" })
        .option("sync", {
          choices: ["allreduce", "none"] as const,
          default: "allreduce" as const,
          describe: "workers train one model together, or each its own on its share of the tasks",
        })
        .option("canvas", {
          type: "string",
          default: "auto",
          describe: "canvas side in cells: auto (as small as the tasks allow) or 1..30",
        })
        .option("scratch", {
          type: "boolean",
          default: false,
          describe: "keep the checkpoint's shape but start from random weights (a baseline)",
        })
        .option("limit", { type: "number", describe: "work on the first N tasks only; the others get fallback answers" })
        .option("tasks", { type: "string", describe: "work on these task ids only, comma-separated" })
        .option("run-dir", { type: "string", describe: "folder for the log, the resolved settings and candidates.json" }),
    ) as unknown as Argv<RunArgs>,
  handler: runHandler,
};

async function runHandler(args: RunArgs): Promise<void> {
  let run: Run | undefined;
  for (const [signal, number] of SIGNALS) {
    process.once(signal, () => {
      run?.stop();
      console.error(`${signal}: ${run ? `the best submission so far is in ${args.out}` : "nothing had been begun"}`);
      process.exit(128 + number);
    });
  }
  const clock = realClock(spentSeconds(args.startedAt));
  const log = writing(`--run-dir ${args.runDir}`, () =>
    openEventLog({
      file: args.runDir === undefined ? undefined : join(args.runDir, "events.jsonl"),
      level: args.logLevel ?? "info",
      seconds: () => clock.now(),
    }),
  );
  // What can be wrong with the options is told before anything is written; then a valid submission comes first of all.
  const budgetSeconds = parseDuration(args.budget, "--budget");
  const config = args.config === undefined ? undefined : { text: readConfig(args.config), where: args.config };
  const { recipe, origins } = resolveRecipe(args.preset, config, recipeFlags(args as unknown as Record<string, unknown>));
  const canvas = parseCanvas(args.canvas);
  if (args.steps !== undefined && !(Number.isInteger(args.steps) && args.steps >= 0))
    throw new UserError(`--steps ${args.steps}: expected a whole number from 0 up`);
  const challenges = readChallenges(args.challenges);
  const chosen = chooseTasks(challenges.tasks, args);
  const cores = availableParallelism();
  parseWorkers(args.workers, 0, cores);
  writing(`--out ${args.out}`, () => writeSubmission(args.out, fallbackSubmission(challenges.entries), challenges.entries));
  log.emit("info", "fallback", `${args.out}: valid fallback answers for all ${challenges.entries.length} tasks are in place`);
  const { config: checkpointConfig } = loadCheckpoint(args.checkpoint);
  const solutions: Solutions | undefined = args.solutions === undefined ? challenges.solutions : readSolutions(args.solutions);
  const engine = chooseEngine(args.engine, args.tfLib);
  const gpus = engine.engine === "tensorflow" ? countGpus() : 0;
  const workers = Math.min(parseWorkers(args.workers, gpus, cores), recipe.batchSize);
  const threads = engine.engine === "tensorflow" && gpus === 0 ? Math.max(1, Math.floor(cores / workers)) : undefined;
  const request: RunRequest = {
    challenges,
    challengesPath: args.challenges,
    chosen,
    solutions,
    checkpoint: { folder: args.checkpoint, config: checkpointConfig },
    scratch: args.scratch,
    out: args.out,
    runDir: args.runDir,
    budgetSeconds,
    steps: args.steps,
    workers,
    threads,
    compilation: { compile: args.compile, precision: args.precision },
    engine,
    environment: (rank) => ({ ...workerEnvironment(engine, threads), ...(gpus > 0 && { CUDA_VISIBLE_DEVICES: String(rank % gpus) }) }),
    joined: args.sync === "allreduce",
    canvas,
    memoryBytesPerWorker: engine.engine === "wasm" ? 0.6e9 : (0.4 * totalmem()) / workers,
    seed: args.seed ?? "0",
    recipe,
  };
  if (args.runDir !== undefined) {
    mkdirSync(args.runDir, { recursive: true });
    const settings = Object.fromEntries(
      Object.entries(recipe).map(([name, value]) => [name, { value, origin: origins[name as keyof typeof origins] }]),
    );
    writeFileAtomically(
      join(args.runDir, "config.json"),
      `${JSON.stringify({ settings, seed: request.seed, budgetSeconds, workers, engine: engine.engine, checkpoint: args.checkpoint, challenges: args.challenges }, null, 2)}\n`,
    );
  }
  log.emit("debug", "recipe", "settings of the adaptation", { recipe, origins });
  run = new Run(request, clock, log);
  const result = await run.execute();
  if (!args.json) printTable(run, result, solutions);
  log.close();
  if (args.json) console.log(JSON.stringify(result));
  process.exit(0); // workers are gone; a timer or a socket left over must not hold the run past its budget
}

/** What `write` gives. @throws UserError that names the option where the file system refuses */
function writing<T>(option: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new UserError(`${option}: can't be written: ${messageOf(error)}`, { cause: error });
  }
}

function readConfig(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UserError(`--config ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function spentSeconds(startedAt: string | undefined): number {
  if (startedAt === undefined) return 0;
  if (/^\d{9,}(\.\d+)?$/.test(startedAt)) return Math.max(0, Date.now() / 1000 - Number(startedAt) - performance.now() / 1000);
  return parseDuration(startedAt, "--started-at");
}

function parseCanvas(text: string): number | "auto" {
  if (text === "auto") return "auto";
  const side = Number(text);
  if (!(Number.isInteger(side) && side >= 1 && side <= 30))
    throw new UserError(`--canvas ${text}: expected auto or a whole number in 1..30`);
  return side;
}

function parseWorkers(text: string, gpus: number, cores: number): number {
  if (text === "auto") return gpus > 0 ? gpus : Math.min(MAX_WORKERS, cores);
  const count = Number(text);
  if (!(Number.isInteger(count) && count >= 1 && count <= 64))
    throw new UserError(`--workers ${text}: expected auto or a whole number in 1..64`);
  return count;
}

function chooseTasks(tasks: readonly Task[], { tasks: wanted, limit }: Pick<RunArgs, "tasks" | "limit">): readonly Task[] {
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1))
    throw new UserError(`--limit ${limit}: expected a whole number from 1 up`);
  let chosen = tasks;
  if (wanted !== undefined) {
    const ids = wanted.split(",").map((id) => id.trim());
    const known = tasks.map(({ id }) => id);
    const unknown = ids.filter((id) => !known.includes(id));
    if (unknown.length > 0) throw new UserError(`--tasks: no task ${unknown.join(", ")}; ${nearest(unknown[0]!, known.slice(0, 20))}`);
    chosen = tasks.filter(({ id }) => ids.includes(id));
  }
  return limit === undefined ? chosen : chosen.slice(0, limit);
}

function printTable(run: Run, result: RunResult, solutions: Solutions | undefined): void {
  const lines = run.outcomes().map(({ taskId, testIndex, answers }) => {
    const [first, second] = answers;
    const truth = solutions?.get(taskId)?.[testIndex];
    const rank = truth ? answers.slice(0, 2).findIndex(({ grid }) => equalGrids(grid, truth)) + 1 : 0;
    const solved = !truth ? "" : rank > 0 ? pc.green(`solved (attempt ${rank})`) : pc.red("not solved");
    const total = answers.reduce((sum, { votes }) => sum + votes, 0);
    const votes = first ? `${first.votes}${second ? ` + ${second.votes}` : ""} of ${total} votes` : "no vote";
    return `${taskId}  test ${testIndex}  ${votes.padEnd(20)}  ${solved}`;
  });
  console.log(lines.join("\n"));
  const { seconds, score } = result;
  console.log(
    `\n${result.tasks} tasks, ${result.testInputs} test inputs, ${result.steps} optimizer steps; load ${seconds.load.toFixed(1)} s, adapt ${seconds.adapt.toFixed(1)} s, predict ${seconds.predict.toFixed(1)} s, total ${seconds.total.toFixed(1)} s`,
  );
  if (result.fallbackInputs > 0) console.log(`${result.fallbackInputs} test inputs have only fallback answers`);
  if (score)
    console.log(
      `pass@1 ${(100 * score["pass@1"]!).toFixed(1)} %, pass@2 ${(100 * score["pass@2"]!).toFixed(1)} % of the test inputs worked on`,
    );
  console.log(`${result.submission} and ${result.candidates} written`);
}
