/** A run from its options to the end of its process. */
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { submissionPaths } from "../adapt/answers.ts";
import { leaveOut } from "../adapt/left-out.ts";
import { adaptedModel, courseSteps } from "../adapt/methods.ts";
import type { RunRequest, RunResult } from "../adapt/request.ts";
import { Run } from "../adapt/run.ts";
import { EVENTS_FILE, RunFolder, refuseOtherTasks, tasksSha256, unkeptState } from "../adapt/run-folder.ts";
import { setUp, sharesByCanvas } from "../adapt/setup.ts";
import { partOf, type RunIdentity, shareOf } from "../adapt/shard.ts";
import { readChallenges, readSolutions } from "../arc/challenges-file.ts";
import { type Entry, problemsOf } from "../arc/challenges-json.ts";
import { TASKS_FILE, writeRunTasks } from "../arc/run-tasks-file.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import type { Task } from "../arc/task.ts";
import { type ChosenEngine, chooseEngine, workerEnvironment } from "../backend/choose.ts";
import { compilationCache } from "../backend/compilation-cache.ts";
import { countGpus, gpuIds, gpuMemory, leastCapability } from "../backend/gpus.ts";
import { memoryShare } from "../backend/memory-share.ts";
import type { DeviceName } from "../bench/device-profiles.ts";
import { projectTimes } from "../bench/machine-times.ts";
import { RehearsalClock, realClock } from "../budget/clock.ts";
import { parseDuration } from "../budget/duration.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import type { Recipe, SettingName } from "../config/recipe.ts";
import { InputError, messageOf, UserError } from "../errors.ts";
import { type EventLog, openEventLog } from "../events.ts";
import { ENDING_SIGNALS, statusOf } from "../files/signals.ts";
import { fallbackSubmission } from "../submission/fallback.ts";
import { validateSubmission } from "../submission/validate.ts";
import { writeSubmission } from "../submission/write.ts";
import { attentionOn, mayUseXla, precisionOn } from "../trace/compilation.ts";
import { printPlanElsewhere } from "./plan-elsewhere.ts";
import { checkRehearsal, deviceMemory, fullSizeCheckpoint, REHEARSED_GPUS, REHEARSED_OUT } from "./rehearsal-flags.ts";
import { RUN_DEFAULTS, type RunArgs } from "./run-args.ts";
import { checkedOptions, chooseTasks, fittingTasks, parseShard, refuseClashes, spentSeconds, workersFor } from "./run-options.ts";
import { forgetReport, reportAtEnd } from "./run-report.ts";
import { keptOptions, optionsOf, resolveSettings, settingsOf } from "./run-resume.ts";

/** Kept at the very end, for the process to print its result and to leave. */
const LEAVING_SECONDS = 0.3;

/**
 * Runs with these options, and ends the process.
 *
 * @param tell prints what came of it
 */
export async function executeRun(
  given: RunArgs,
  tell: (run: Run, result: RunResult, solutions: Solutions | undefined) => void,
): Promise<void> {
  let run: Run | undefined;
  let folder: RunFolder | undefined;
  let isWritten = true;
  let { out } = given;
  for (const signal of ENDING_SIGNALS) {
    process.once(signal, () => {
      run?.stop();
      folder?.close();
      console.error(`${signal}: ${run ? `the best submission so far is in ${out}` : "nothing had been begun"}`);
      process.exit(statusOf(signal));
    });
  }
  const option = given.resume === undefined ? "run-dir" : "resume";
  if (given.resume !== undefined && given.runDir !== undefined && resolve(given.resume) !== resolve(given.runDir))
    throw new UserError(`--resume ${given.resume} and --run-dir ${given.runDir}: name the folder once`);
  checkRehearsal(given);
  if (given.planOnly && (given.runDir ?? given.resume) !== undefined)
    throw new UserError(`--plan-only writes nothing: leave --${option} out`);
  const path = given[option === "resume" ? "resume" : "runDir"];
  if (path !== undefined) folder = writing(`--${option} ${path}`, () => RunFolder.open(path, given.resume !== undefined));
  try {
    const earlier = folder?.earlier;
    const timeScale = earlier ? (earlier.config.arguments.timeScale as number | undefined) : given.timeScale;
    const rehearsalClock = timeScale === undefined ? undefined : new RehearsalClock(timeScale, earlier?.elapsedSeconds);
    const clock = rehearsalClock ?? realClock(earlier ? earlier.elapsedSeconds - performance.now() / 1000 : spentSeconds(given.startedAt));
    const log = writing(`--${option} ${path}`, () =>
      openEventLog({
        file: path === undefined ? undefined : join(path, EVENTS_FILE),
        level: given.quiet ? "warn" : (given.logLevel ?? "info"),
        live: true,
        held: true, // until the run begins, or goes on: what is refused leaves no trace
        seconds: () => clock.now(),
      }),
    );
    const args = earlier ? optionsOf(earlier, given, log) : given;
    log.emit("debug", earlier ? "goes-on" : "begins", `the run ${earlier ? "goes on" : "begins"}: ${args.challenges}`);
    const { device } = args;
    out = args.timeScale !== undefined && args.out === RUN_DEFAULTS.out ? REHEARSED_OUT : args.out;
    // What can be wrong with the options is told before anything is written; then a valid submission comes first of all.
    const needed = device === undefined ? (["challenges", "checkpoint"] as const) : (["challenges"] as const);
    if (needed.some((name) => args[name] === undefined)) {
      const missing = needed.filter((name) => args[name] === undefined).map((name) => `--${name}`);
      const why = given.resume === undefined ? "" : `; ${given.resume} holds no run that could be taken up`;
      throw new UserError(`${missing.join(" and ")} must be given${why}`);
    }
    const budgetSeconds = parseDuration(args.budget, "--budget");
    const snapshotSeconds = parseDuration(args.snapshotEvery, "--snapshot-every");
    refuseClashes(args, out, path);
    const resolved = earlier ? settingsOf(earlier, given, log) : resolveSettings(args);
    const { canvas, askedWorkers, wishes, keepAnswers } = checkedOptions(args, resolved.recipe);
    const challenges = readChallenges(args.challenges!);
    if (args.strict && challenges.bad.length > 0) throw new InputError(`--strict ${args.challenges}`, problemsOf(challenges.bad));
    const all = fittingTasks(chooseTasks(challenges.tasks, args), canvas, (text) => log.emit("warn", "canvas", text));
    const shard = args.shard === undefined ? undefined : parseShard(args.shard, process.env);
    const wanted = shard ? shareOf(all, shard) : all;
    const leftOut = args.leaveOut ? leaveOut(wanted, args.leaveOut) : undefined;
    const chosen = leftOut?.tasks ?? wanted;
    if (earlier) refuseOtherTasks(earlier, chosen, args.challenges!);
    // What stands there may be a good submission, until nothing is found wrong with what was asked for.
    const isFallback = !args.planOnly && writing(`--out ${out}`, () => writeFallback(out, challenges.entries, true, log));
    const checkpointConfig = args.checkpoint === undefined ? fullSizeCheckpoint() : loadCheckpoint(args.checkpoint).config;
    const solutions: Solutions | undefined = args.solutions === undefined ? challenges.solutions : readSolutions(args.solutions);
    const checkpoint = { folder: args.checkpoint ?? "", config: checkpointConfig };
    const part = shard && (await partOf(shard, wanted, identityOf(args, resolved.recipe, challenges.tasks)));
    let workersApart = earlier?.notes?.workers;
    const cores = availableParallelism();
    const unkept = (text: string): void => log.emit("warn", "xla-cache", text);
    const requestHere = (): RunRequest => {
      const engine = chooseEngine(args.engine, args.tfLib);
      const devices = engine.engine === "tensorflow" ? gpuIds() : [];
      const gpus = devices.length;
      checkGpus(gpus, engine, args.requireGpus, askedWorkers, log);
      return requestOn(engine, gpus, devices);
    };
    const requestElsewhere = async (elsewhere: DeviceName): Promise<RunRequest> => {
      const engine: ChosenEngine = { engine: "tensorflow", location: undefined, reason: "on a machine that is not here" };
      const asked = requestOn(engine, askedWorkers ?? REHEARSED_GPUS);
      const { canvas, canvases, microBatch, recompute } = setUp(asked);
      const { workers, recipe, checkpoint } = asked;
      const precision = args.precision === "float32" ? "float32" : "bfloat16";
      const projected = {
        model: adaptedModel(checkpoint.config.model, recipe),
        canvases: canvases ? sharesByCanvas(canvases, asked.chosen) : [{ side: canvas, examples: 1, testInputs: 1 }],
        globalBatch: recipe.batchSize,
        workers,
        microBatch,
        recompute,
        precision,
        attention: args.attention,
      } as const;
      return { ...asked, onWasm: undefined, rehearsal: { timeScale: timeScale ?? 1, times: await projectTimes(elsewhere, projected) } };
    };
    const memoryOfGpus = (gpus: number): (number | undefined)[] =>
      device === undefined ? gpuMemory(gpus) : new Array<number>(gpus).fill(deviceMemory(device));
    const requestOn = (engine: ChosenEngine, gpus: number, devices: readonly string[] = []): RunRequest => {
      const { recipe } = resolved;
      const apart = args.sync === "none" ? workersApart : undefined; // each has its own tasks and its own snapshots
      const most = args.sync === "none" ? Math.max(1, chosen.length) : Number.POSITIVE_INFINITY; // else some would have no task
      const workers = Math.min(apart ?? Math.min(workersFor(askedWorkers, gpus, cores), most), recipe.batchSize);
      const capability = gpus > 0 && device === undefined ? leastCapability() : undefined;
      const attention = attentionOn(args.attention, capability);
      const cache = mayUseXla(args, gpus) ? compilationCache({ location: engine.location, asked: args.xlaCache, warn: unkept }) : {};
      const threads = engine.engine === "tensorflow" && gpus === 0 ? Math.max(1, Math.floor(cores / workers)) : undefined;
      return {
        challenges,
        challengesPath: args.challenges!,
        chosen,
        leftOut,
        part,
        solutions,
        checkpoint,
        scratch: args.scratch,
        out,
        runDir: path,
        budgetSeconds,
        steps: courseSteps(args.steps, recipe, chosen),
        workers,
        threads,
        gpus,
        compilation: { compile: args.compile, precision: precisionOn(args.precision, capability), attention },
        engine,
        environment: (rank) => ({
          ...folder?.mark,
          ...workerEnvironment(engine, threads),
          ...cache,
          ...(devices.length > 0 && { CUDA_VISIBLE_DEVICES: devices[rank % devices.length]! }),
        }),
        joined: args.sync === "allreduce",
        canvas,
        memory: {
          bytesPerWorker: memoryShare({ engine: engine.engine, workers, gpus: memoryOfGpus(gpus) }),
          bytesWithoutGpu: memoryShare({ engine: engine.engine, workers, gpus: [] }),
          ...wishes,
        },
        keepAnswers,
        snapshotSeconds,
        seed: args.seed ?? RUN_DEFAULTS.seed,
        recipe,
        planOnly: args.planOnly,
        ...(args.engine === "auto" &&
          engine.engine === "tensorflow" && {
            onWasm: () => ({
              ...requestOn({ ...chooseEngine("wasm"), reason: "TensorFlow failed" }, 0),
              // What was asked of TensorFlow can't be had of the engine that takes its place.
              compilation: { compile: "auto", precision: "auto", attention: "auto" },
            }),
          }),
      };
    };
    const request = await (device === undefined ? requestHere() : requestElsewhere(device));
    workersApart = request.workers;
    if (device !== undefined && args.planOnly) return printPlanElsewhere(request, args.json ?? false);
    // Nothing is wrong with what was asked for: now the run takes the place of what was in its folder before.
    if (folder && !earlier) {
      const { recipe, origins } = resolved;
      const settings = Object.entries(recipe).map(([name, value]) => [name, { value, origin: origins[name as SettingName] }]);
      const config = { arguments: keptOptions(args), settings: Object.fromEntries(settings), tasksSha256: tasksSha256(chosen) };
      const aside = writing(`--${option} ${path}`, () => folder?.begin(config, clock));
      if (aside !== undefined)
        log.emit(
          "warn",
          "previous",
          `${path} held a run that had not come to its end: it lies in ${aside} now, where \`run --resume ${aside}\` goes on with it, and writes to the --out that it began with`,
        );
    }
    log.release?.();
    if (!args.planOnly && !earlier && !isFallback) writing(`--out ${out}`, () => writeFallback(out, challenges.entries, false, log));
    const [, inRunFolder] = submissionPaths({ out, runDir: path });
    if (inRunFolder && !args.planOnly)
      writing(`--${option} ${path}`, () => writeFallback(inRunFolder, challenges.entries, earlier !== undefined));
    if (path !== undefined) forgetReport(path);
    if (path !== undefined) keepTasks(join(path, TASKS_FILE), challenges.entries, chosen, log);
    log.emit("debug", "recipe", "settings of the adaptation", { ...resolved });
    const state = folder?.state(clock, (text) => log.emit("warn", "disk", text)) ?? unkeptState(clock);
    rehearsalClock?.begin();
    if (request.rehearsal)
      log.emit("warn", "rehearsal", `a REHEARSAL of ${request.rehearsal.times.machine}: ${out} will hold made-up answers; never submit it`);
    state.record.note({ workers: request.workers });
    for (const event of ["uncaughtException", "unhandledRejection"] as const)
      process.on(event, (error: unknown) => {
        // A bug of ours; with hours of work at stake, whatever still works goes on.
        log.emit("error", "internal", `internal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      });
    run = new Run(request, clock, log, state);
    const result = await run.execute();
    isWritten = result.written;
    log.emit("debug", "result", "what came of the run", { result });
    // In a rehearsal the clock runs faster than a page can be written; nothing waits for its deadline.
    if (path !== undefined) await reportAtEnd(path, clock.timeScale === 1 ? budgetSeconds - clock.now() - LEAVING_SECONDS : 10, log);
    log.close();
    tell(run, result, solutions);
  } finally {
    folder?.close();
  }
  process.exit(isWritten ? 0 : 1); // workers are gone; a timer or a socket left over must not hold the run past its budget
}

/** The first submission: fallback answers, unless one that stands there is to be kept. @returns whether it was written */
function writeFallback(out: string, entries: readonly Entry[], keepsValid: boolean, log?: EventLog): boolean {
  if (keepsValid && isValidSubmission(out, entries)) return false;
  writeSubmission(out, fallbackSubmission(entries), entries);
  log?.emit("info", "fallback", `${out}: valid fallback answers for all ${entries.length} tasks are in place`);
  return true;
}

function isValidSubmission(path: string, entries: readonly Entry[]): boolean {
  try {
    return existsSync(path) && validateSubmission(readFileSync(path, "utf8"), entries).length === 0;
  } catch {
    return false; // a folder, or unreadable: writing it will tell
  }
}

/** Keeps the tasks beside what becomes of them, for whoever looks at the run; it goes without. */
function keepTasks(path: string, entries: readonly Entry[], chosen: readonly Task[], log: EventLog): void {
  try {
    writeRunTasks(path, entries, chosen);
  } catch (error) {
    log.emit("warn", "tasks", `${path}: the tasks can't be kept: ${messageOf(error)}; \`trm report\` will need the challenges file`);
  }
}

/** What the shards of a run have in common. @param tasks all that the challenges file has: those that are worked on follow from the settings */
function identityOf(args: RunArgs, recipe: Recipe, tasks: readonly Task[]): RunIdentity {
  const { scratch, steps, sync, canvas, leaveOut, checkpoint, seed, tasks: named, limit } = args;
  return {
    config: {
      ...recipe,
      scratch,
      steps,
      sync,
      canvas,
      leaveOut,
      seed,
      ...(named !== undefined && { tasks: named }),
      ...(limit !== undefined && { limit }),
    },
    checkpoint: scratch ? undefined : checkpoint,
    challengesSha256: tasksSha256(tasks),
  };
}

/** Says at once what there is to run on. @throws UserError where that is less than was required */
function checkGpus(
  gpus: number,
  { engine, reason }: ChosenEngine,
  required: number | undefined,
  asked: number | undefined,
  log: EventLog,
): void {
  const visible = `${gpus} ${gpus === 1 ? "GPU is" : "GPUs are"} visible`;
  if (required !== undefined && gpus < required)
    throw new UserError(
      `--require-gpus ${required}: ${engine === "wasm" ? "the wasm engine uses none" : visible}; check the machine (nvidia-smi, CUDA_VISIBLE_DEVICES, \`trm doctor\`) or leave the option out`,
    );
  if (engine === "wasm") {
    const unused = countGpus();
    if (unused > 0) log.emit("warn", "gpus", `the wasm engine leaves ${unused} GPUs unused and is far slower: ${reason}`);
    return;
  }
  if (gpus === 0) log.emit("warn", "gpus", "no GPU is visible: TensorFlow runs on the CPU");
  else if (asked !== undefined && asked > gpus)
    log.emit("warn", "gpus", `--workers ${asked}, but ${visible}: one worker on each, the global batch stays as it is`, { gpus, asked });
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
