/** `pretrain`: trains a trunk and puzzle rows from scratch, from a checkpoint or from a training state, and writes a checkpoint. */
import { accessSync, constants, mkdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Argv, CommandModule } from "yargs";
import { ENGINES, type EngineChoice } from "../backend/select.ts";
import { parseDuration } from "../budget/duration.ts";
import { loadCheckpointConfig } from "../checkpoint/load.ts";
import { loadTrainingRecord } from "../checkpoint/training-state.ts";
import { settingFlags, withConfigFlag, withSettingFlags } from "../config/flags.ts";
import { PRETRAINING, PRETRAINING_RECIPES, type Pretraining } from "../config/pretraining.ts";
import { type Layer, named, parseConfig, type Resolved, resolveSettings } from "../config/resolve.ts";
import { wholeNumber } from "../config/whole-number.ts";
import { messageOf, UserError } from "../errors.ts";
import type { LogLevel } from "../events.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { placeOf } from "../files/distinct-paths.ts";
import { type FolderToHold, holdFolders } from "../files/held-folders.ts";
import { pretrain } from "../pretrain/pretrain.ts";
import type { PretrainRequest } from "../pretrain/request.ts";
import { loadSavedRun, type SavedRun, stateFolder } from "../pretrain/saved-run.ts";
import type { TaskFiles } from "../pretrain/tasks.ts";
import type { AttentionMode, CompileMode, Precision } from "../trace/compilation.ts";
import { withCompilationFlags } from "./compilation-flags.ts";
import { type MemoryArgs, memoryWishes, withMemoryFlags } from "./memory-flags.ts";
import { documentAtEnd, PRETRAIN_LOCK } from "./page.ts";

interface PretrainArgs extends MemoryArgs {
  out: string;
  from: string | undefined;
  resume: string | undefined;
  state: string | undefined;
  runDir: string | undefined;
  recipe: string | undefined;
  config: string | undefined;
  tasks: string[] | undefined;
  solutions: string[] | undefined;
  evaluation: string[] | undefined;
  heldOut: string[] | undefined;
  dropOverlap: boolean | undefined;
  steps: number | undefined;
  budget: string | undefined;
  saveEvery: string;
  workers: string;
  threads: number | undefined;
  rowMemory: number;
  engine: EngineChoice;
  tfLib: string | undefined;
  compile: CompileMode;
  precision: Precision;
  attention: AttentionMode;
  xlaCache?: string | undefined;
  seed?: string;
  json?: boolean;
  logLevel?: LogLevel;
}

const GROUP = "Settings of the pre-training:";
const files = (describe: string) => ({ type: "string" as const, array: true, describe });

export const pretrainCommand: CommandModule<object, PretrainArgs> = {
  command: "pretrain",
  describe: "Train a trunk and puzzle embeddings, and write a checkpoint",
  builder: (y) => {
    const recipes = Object.entries(PRETRAINING_RECIPES).map(([name, { about }]) => `${name} (${about})`);
    y.option("out", { type: "string", demandOption: true, describe: "folder of the checkpoint" })
      .option("from", { type: "string", describe: "checkpoint to go on from (its shape is kept but for the cycles)" })
      .option("run-dir", {
        type: "string",
        describe: "folder for log, settings, curves (metrics.jsonl, tensorboard/) and the training state",
      })
      .option("state", {
        type: "string",
        describe: "folder for the state to resume from, written beside the checkpoint [default: state in --run-dir]",
      })
      .option("resume", {
        type: "string",
        describe:
          "go on from such a folder, or a run folder, and keep it up to date unless --state or --run-dir names another: settings and files are those of the state unless given, the seed always",
      })
      .option("recipe", { type: "string", describe: `named settings, and the tasks they are for: ${recipes.join("; ")}` })
      .option("tasks", files("challenges files (or folders of task files) to train on; generated tasks alone unless given"))
      .option(
        "solutions",
        files("solutions files: tests of --tasks are trained on, those of --evaluation scored; each goes to the file with its ids"),
      )
      .option(
        "evaluation",
        files("challenges files whose demonstrations are trained on and whose tests are predicted every --evaluate-every steps"),
      )
      .option(
        "held-out",
        files("challenges files that nothing may be learned from: tasks like them (id, or a pair up to symmetry and colours) are refused"),
      )
      .option("drop-overlap", { type: "boolean", describe: "leave such tasks out instead" })
      .option("steps", {
        type: "number",
        describe:
          "optimizer steps of the whole course, those before --resume included; the rates follow it (this, --epochs or --budget must be given)",
      })
      .option("budget", {
        type: "string",
        describe: "wall clock of this process, such as 1h30m; it may end before the course does",
      })
      .option("workers", {
        type: "string",
        default: "auto",
        describe: "processes that share each batch: a number, or auto (one a GPU, else one)",
      })
      .option("threads", { type: "number", describe: "TensorFlow's threads in each [default: the cores, shared out]" })
      .option("row-memory", {
        type: "number",
        default: 1024,
        describe: "MiB of memory for puzzle rows in each worker; what is more lies in a file beside the state",
      })
      .option("engine", { choices: ENGINES, default: "auto" as const, describe: "auto takes TensorFlow where it is at hand, else wasm" })
      .option("tf-lib", { type: "string", describe: "folder of a TensorFlow library, or what `tensorflow --folder` filled" })
      .option("save-every", { type: "string", default: "5m", describe: "write checkpoint and state this often" });
    withMemoryFlags(withCompilationFlags(y));
    withSettingFlags(y, PRETRAINING, GROUP);
    withConfigFlag(y, GROUP, "the recipe");
    return y as unknown as Argv<PretrainArgs>;
  },
  handler: async (args) => {
    const asked = requestOf(args);
    const folders = holdFolders(writtenFolders(asked), PRETRAIN_LOCK);
    try {
      refuseOtherState(asked);
      keepSettings(asked);
      const { saved, origins: _, ...request } = asked;
      const result = await pretrain({ ...request, workerMark: folders.mark }, saved);
      if (asked.runDir !== undefined) documentAtEnd(asked.runDir, "training");
      console.log(args.json ? JSON.stringify(result) : `${result.checkpoint}: ${result.steps} steps, loss ${result.lmLoss.toFixed(4)}`);
    } finally {
      folders.release();
    }
  },
};

/** A request, what the training state that it takes up says of its run, and where its settings are from. */
type Asked = PretrainRequest & Pick<Resolved<typeof PRETRAINING>, "origins"> & { readonly saved: SavedRun | undefined };

/** The request that arguments make. */
function requestOf(args: PretrainArgs): Asked {
  if (args.resume !== undefined && args.from !== undefined) throw new UserError("give --resume or --from, not both");
  const resume = args.resume === undefined ? undefined : stateFolder(args.resume);
  const saved = resume === undefined ? undefined : loadSavedRun(resume);
  const recipe = args.recipe ?? (saved?.recipe || undefined);
  const { values, origins } = settingsOf(args, saved);
  if (args.from !== undefined) keepStride(args.from, values, origins);
  if (args.steps === undefined && args.budget === undefined && values.epochs === 0 && saved?.maxSteps === undefined) {
    throw new UserError("give --steps, --epochs or --budget");
  }
  const runDir = args.runDir;
  const request: PretrainRequest = {
    out: args.out,
    from: args.from,
    resume,
    state: args.state ?? (runDir === undefined ? resume : join(runDir, "state")),
    runDir,
    recipe,
    settings: values,
    files: filesOf(args, saved),
    given: new Set(
      (Object.keys(origins) as (keyof Pretraining)[]).filter((name) => !["default", "training state"].includes(origins[name])),
    ),
    steps: wholeNumber("--steps", args.steps, 1),
    budgetSeconds: args.budget === undefined ? undefined : parseDuration(args.budget, "--budget"),
    saveSeconds: parseDuration(args.saveEvery, "--save-every"),
    workers: args.workers === "auto" ? undefined : wholeNumber("--workers", Number(args.workers), 1),
    threads: wholeNumber("--threads", args.threads, 1),
    rowMemoryBytes: rowMemoryBytes(args.rowMemory),
    ...memoryWishes(args),
    engine: args.engine,
    tfLib: args.tfLib,
    compile: args.compile,
    precision: args.precision,
    attention: args.attention,
    xlaCache: args.xlaCache,
    seed: saved?.seed ?? args.seed ?? "0", // another seed would give the rows other tasks
    level: args.logLevel ?? "info",
    command: commandLine(process.argv.slice(2)),
  };
  return { ...request, origins, saved };
}

/**
 * A trunk that is gone on with has learned rotary positions with the row stride of its checkpoint: that one stands unless another is asked for.
 *
 * @throws UserError where one is that it can't do with
 */
function keepStride(from: string, values: Pretraining, origins: Asked["origins"]): void {
  const { canvas, model } = loadCheckpointConfig(from).config;
  const isAsked = origins.fullCanvas !== "default";
  if (isAsked && model.ropeAxes !== 2 && values.fullCanvas !== canvas)
    throw new UserError(
      `--full-canvas ${values.fullCanvas}: the rotary positions of ${from} count ${canvas} cells a row, which can't change`,
    );
  if (model.ropeAxes !== 2 && values.canvas > canvas)
    throw new UserError(
      `--canvas ${values.canvas}: the rotary positions of ${from} count ${canvas} cells a row, so no canvas can be wider`,
    );
  if (!isAsked) Object.assign(values, { fullCanvas: canvas });
}

/** Makes the folders that are written to. @throws UserError where nothing can be written in one */
function writtenFolders({ out, state, runDir }: PretrainRequest): FolderToHold[] {
  if (runDir !== undefined && placeOf(out) === placeOf(runDir))
    throw new UserError(`--out and --run-dir are both ${out}: each has a config.json of its own; name two folders`);
  const options = {
    out: ["--out", "TRM_PRETRAIN_OUT"],
    state: ["--state", "TRM_PRETRAIN_STATE"],
    runDir: ["--run-dir", "TRM_PRETRAIN_RUN_DIR"],
  };
  return Object.entries({ out, state, runDir }).flatMap(([name, path]) => {
    if (path === undefined) return [];
    const [option, variable] = options[name as keyof typeof options] as [string, string];
    writableFolder(option, path);
    return [{ what: `${option} ${path}`, path, variable }];
  });
}

/** @throws UserError where the state's folder holds another one than that to go on from, or another process has just gone on with that */
function refuseOtherState({ state, resume, saved }: Asked): void {
  const there = state === undefined ? undefined : loadTrainingRecord(state);
  if (there && resume === undefined) {
    const what = `${state}: holds a training state already, of step ${there.step}`;
    throw new UserError(`${what}; go on with it by --resume, or pass another --state or --run-dir`);
  }
  if (there && resume !== undefined && placeOf(state!) !== placeOf(resume)) {
    const what = `${state}: holds a training state already, of step ${there.step}`;
    throw new UserError(
      `${what}, which would be written over by what goes on from ${resume}; go on with it by --resume, or pass another --state or --run-dir`,
    );
  }
  if (resume !== undefined && loadSavedRun(resume).step !== saved?.step)
    throw new UserError(`${resume}: another process went on with it while this one began; start this one again`);
}

/** Writes the settings into the run folder. */
function keepSettings({ runDir, settings, origins, recipe, files, seed, command }: Asked): void {
  if (runDir === undefined) return;
  const kept = Object.entries(settings).map(([name, value]) => [name, { value, origin: origins[name as keyof Pretraining] }]);
  const config = { recipe: recipe ?? null, settings: Object.fromEntries(kept), files, seed, command };
  writeFileAtomically(join(runDir, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
}

/** The command for the model card, which travels: files by their names alone. */
function commandLine(words: readonly string[]): string {
  return ["trm", ...words.map((word) => (word.startsWith("/") ? basename(word) : word))].join(" ");
}

function settingsOf(args: PretrainArgs, saved: SavedRun | undefined): Resolved<typeof PRETRAINING> {
  const layers: Layer[] = [];
  if (saved?.settings) layers.push({ origin: "training state", settings: saved.settings });
  if (args.recipe !== undefined) layers.push({ origin: "recipe", settings: named("--recipe", args.recipe, PRETRAINING_RECIPES).settings });
  if (args.config !== undefined) {
    layers.push({ origin: "config file", settings: parseConfig(PRETRAINING, { text: readText(args.config), where: args.config }) });
  }
  layers.push({ origin: "flag", settings: settingFlags(PRETRAINING, args as unknown as Record<string, unknown>) });
  return resolveSettings(PRETRAINING, layers);
}

/** Files given, or those of the state's run where none are. @throws UserError where some are given again and others are not */
function filesOf(args: PretrainArgs, saved: SavedRun | undefined): TaskFiles {
  const kinds = { tasks: "--tasks", solutions: "--solutions", evaluation: "--evaluation", heldOut: "--held-out" } as const;
  const names = Object.keys(kinds) as (keyof typeof kinds)[];
  const given = names.filter((name) => args[name] !== undefined);
  const missing = names.filter((name) => args[name] === undefined && (saved?.files?.[name].length ?? 0) > 0);
  if (given.length > 0 && missing.length > 0)
    throw new UserError(
      `${given.map((name) => kinds[name]).join(", ")} given again: then also give ${missing.map((name) => kinds[name]).join(", ")}, of which the training has files too`,
    );
  const before = given.length > 0 ? undefined : saved?.files;
  return {
    tasks: args.tasks ?? before?.tasks ?? [],
    solutions: args.solutions ?? before?.solutions ?? [],
    evaluation: args.evaluation ?? before?.evaluation ?? [],
    heldOut: args.heldOut ?? before?.heldOut ?? [],
    dropOverlap: args.dropOverlap ?? saved?.files?.dropOverlap ?? false,
  };
}

/** Makes a folder where it is missing. @throws UserError where nothing can be written there: not only after the first hours */
function writableFolder(option: string, folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new UserError(`${option} ${folder}: can't be written: ${messageOf(error)}`, { cause: error });
  }
}

function rowMemoryBytes(mebibytes: number): number {
  if (!(mebibytes >= 0)) throw new UserError(`--row-memory ${mebibytes}: expected a number of MiB from 0 up`);
  return mebibytes * 2 ** 20;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UserError(`--config ${path}: ${messageOf(error)}`, { cause: error });
  }
}
