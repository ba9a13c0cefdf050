/** Pre-training on real and generated tasks: the course of a run, from the first step to the written checkpoint. */
import { chooseEngine, workerEnvironment } from "../backend/choose.ts";
import type { EngineChoice } from "../backend/select.ts";
import { realClock } from "../budget/clock.ts";
import { formatDuration, parseDuration } from "../budget/duration.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import { finishCheckpoint, type Json, loadTrainingRecord } from "../checkpoint/training-state.ts";
import { rulesOf } from "../data/pretraining-stream.ts";
import { UserError } from "../errors.ts";
import { type EventLog, type LogLevel, openEventLog } from "../events.ts";
import type { ModelConfig } from "../model/config.ts";
import { ADAM_ATAN2_DEFAULTS } from "../optim/adam-atan2.ts";
import { WorkerPool } from "../parallel/coordinator.ts";
import type { Job, TrainingData } from "../parallel/job.ts";
import type { CompileMode, Precision } from "../trace/compilation.ts";
import type { Progress } from "../train/loop.ts";
import { readTrainingTasks, type TaskFiles } from "./tasks.ts";

export interface PretrainOptions extends TaskFiles {
  readonly out: string;
  readonly from: string | undefined;
  /** folder of a training state, as `state` of an earlier run */
  readonly resume: string | undefined;
  /** folder in which the state to resume from is kept, beside the checkpoint */
  readonly state: string | undefined;
  /** augmented variants of each real task besides the original */
  readonly variants: number;
  /** shift pairs on the canvas; as there are real tasks unless given */
  readonly translate: boolean | undefined;
  /** share of generated tasks where there are real ones; all unless there are */
  readonly generatedShare: number;
  readonly kinds: readonly string[] | undefined;
  readonly rulesPerKind: number;
  /** rows are given to new tasks after this many examples; 0 = each task keeps its row */
  readonly rowVisits: number;
  /** rows in use at a time where they change their tasks */
  readonly rowSlots: number;
  readonly canvas: number;
  readonly fullCanvas: number;
  readonly hiddenSize: number;
  readonly numHeads: number;
  readonly lLayers: number;
  readonly hCycles: number;
  readonly lCycles: number;
  readonly haltMaxSteps: number;
  readonly prefixLength: number;
  readonly ropeAxes: 1 | 2;
  readonly ropeTheta: number;
  readonly batchSize: number;
  readonly lrTrunk: number;
  readonly lrPuzzle: number;
  readonly lrMinRatio: number;
  readonly warmupSteps: number;
  readonly emaDecay: number;
  readonly weightDecay: number;
  readonly puzzleWeightDecay: number;
  /** optimizer steps of the whole course; what the state says where a run goes on, time decides where nothing says */
  readonly steps: number | undefined;
  /** of this process */
  readonly budgetSeconds: number | undefined;
  readonly workers: number;
  readonly threads: number | undefined;
  readonly compile: CompileMode;
  readonly precision: Precision;
  readonly engine: EngineChoice;
  readonly tfLib: string | undefined;
  /** a duration such as 5m */
  readonly saveEvery: string;
  readonly seed: string;
  readonly level: LogLevel;
  /** the command line, for the model card */
  readonly command: string;
}

export interface PretrainResult {
  readonly checkpoint: string;
  readonly steps: number;
  readonly lmLoss: number;
  readonly accuracy: number;
  readonly exactAccuracy: number;
  readonly seconds: number;
}

/** Inner width of SwiGLU is rounded to a multiple of this: small enough for small models, wide enough for SIMD. */
const INNER_MULTIPLE = 32;

/** Weight of the newest report in the running means that are shown. */
const SHOWN_WEIGHT = 0.05;

/** Runs the whole pre-training; the checkpoint is written every so often and at the end, also after SIGINT and SIGTERM. */
export async function pretrain(options: PretrainOptions): Promise<PretrainResult> {
  const clock = realClock();
  const log = openEventLog({ level: options.level, seconds: () => clock.now() });
  const engine = chooseEngine(options.engine, options.tfLib);
  log.emit("info", "engine", `engine ${engine.engine}: ${engine.reason}`);
  const saved = options.resume === undefined ? undefined : loadTrainingRecord(options.resume);
  if (options.resume !== undefined && !saved) throw new UserError(`${options.resume}: no training state here to resume`);
  if (options.resume !== undefined) finishCheckpoint(options.resume, options.out);
  const model = modelOf(options, saved?.model as ModelConfig | undefined);
  const maxSteps = options.steps ?? (saved?.maxSteps as number | undefined);
  const { data, dataSets } = dataOf(options, log);
  const job: Omit<Job, "rank" | "worldSize" | "ring"> = {
    engine: engine.engine,
    threads: options.threads,
    compilation: { compile: options.compile, precision: options.precision },
    seed: options.seed,
    model,
    canvas: options.canvas,
    fullCanvas: options.fullCanvas,
    trunk: options.resume
      ? { kind: "state", folder: options.resume }
      : options.from
        ? { kind: "checkpoint", folder: options.from }
        : { kind: "random" },
    start: options.from ? "mean" : "zero",
    data,
    globalBatch: options.batchSize,
    microBatch: options.batchSize,
    adam: { ...ADAM_ATAN2_DEFAULTS, weightDecay: options.weightDecay },
    puzzleWeightDecay: options.puzzleWeightDecay,
    explorationProbability: 0.1,
    course: {
      lrTrunk: options.lrTrunk,
      lrPuzzle: options.lrPuzzle,
      warmupSteps: options.warmupSteps,
      lrMinRatio: options.lrMinRatio,
      emaDecay: options.emaDecay,
      emaWarmup: false,
      frozenShare: 0,
    },
    plannedSteps: maxSteps,
    record: { model: model as unknown as { [key: string]: Json }, canvas: options.canvas, ...(maxSteps !== undefined && { maxSteps }) },
  };
  const means = new RunningMeans();
  let shown = 0;
  const { pool, ready: started } = WorkerPool.start(
    Array.from({ length: options.workers }, () => job),
    true,
    {
      environment: () => workerEnvironment(engine, options.threads),
      watcher: {
        progress: (rank, { progress, rssBytes }) => {
          if (rank !== 0) return;
          means.add(progress);
          if (clock.now() - shown < 15) return;
          shown = clock.now();
          const left = formatDuration((progress.plannedSteps - progress.step) * progress.stepSeconds);
          log.emit(
            "info",
            "progress",
            `step ${progress.step}/${progress.plannedSteps}  loss ${means.lmLoss.toFixed(4)}  right tokens ${(100 * means.accuracy).toFixed(1)} %  exact ${(100 * means.exact).toFixed(1)} %  ${(1 / progress.stepSeconds).toFixed(2)} steps/s  ${left} left  ${(rssBytes / 2 ** 20).toFixed(0)} MiB`,
            { ...progress, rssBytes },
          );
        },
        warning: (rank, sentence) => log.emit("warn", "slower", `worker ${rank}: ${sentence}`),
        line: (rank, text) => log.emit("debug", "worker", `worker ${rank}: ${text}`),
        lost: (_, message) => log.emit("error", "lost", message),
      },
    },
  );
  const ready = await started;
  log.emit("info", "ready", `${ready.length} workers ready, ${ready[0]!.parameters} parameters, ${ready[0]!.engine}`);
  let stopping = false;
  const stop = (): void => {
    stopping = true;
    pool.stopTraining();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  const began = clock.now();
  const deadline = clock.processStart + (options.budgetSeconds ?? Number.POSITIVE_INFINITY);
  const saveEvery = parseDuration(options.saveEvery, "--save-every");
  let steps = 0;
  let why: string = "paused";
  try {
    for (;;) {
      const pause = Math.min(deadline, clock.processStart + clock.now() + saveEvery);
      const [trained] = await pool.train({ deadline: pause, finalDeadline: deadline, maxSteps });
      if (!trained) throw new Error("training ended in every worker; the last checkpoint stands");
      steps = trained.step;
      why = trained.why;
      const seconds = clock.now() - began;
      const record = {
        recipe: "",
        dataSets,
        steps,
        seed: options.seed,
        command: options.command,
        trainedCanvas: options.canvas,
        hours: Math.round((seconds / 3600) * 1000) / 1000,
        lmLoss: means.lmLoss,
        exactAccuracy: means.exact,
      };
      await pool.save(options.out, record, modelCard(options, record, seconds), options.state);
      log.emit("info", "saved", `${options.out}: step ${steps}`);
      const over = deadline - clock.processStart - clock.now() < trained.stepSeconds * 2;
      if (stopping || why === "steps" || over) break;
    }
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
    pool.kill();
  }
  return {
    checkpoint: options.out,
    steps,
    lmLoss: means.lmLoss,
    accuracy: means.accuracy,
    exactAccuracy: means.exact,
    seconds: clock.now(),
  };
}

/** What is trained on, and the same in words. */
function dataOf(options: PretrainOptions, log: EventLog): { data: TrainingData; dataSets: string[] } {
  const dataSets: string[] = [];
  const real = options.tasks.length > 0;
  const selection = real ? readTrainingTasks(options, options.canvas, (level, text) => log.emit(level, "data", text)) : undefined;
  for (const { name, kept, given } of selection?.sets ?? []) dataSets.push(`${kept} of the ${given} tasks of ${name}`);
  const generated = { kinds: options.kinds, rulesPerKind: options.rulesPerKind, seed: options.seed };
  const share = real ? options.generatedShare : 1;
  if (share > 0) {
    const rules = rulesOf(generated);
    dataSets.push(`${rules.length} generated tasks of ${new Set(rules.map(({ kind }) => kind)).size} kinds`);
  }
  const tasks = selection?.tasks ?? [];
  const mixed = real && share > 0 ? `, ${(100 * share).toFixed(0)} % generated` : "";
  log.emit("info", "data", `trained on: ${dataSets.join(", ")}${mixed}`);
  return {
    data: {
      kind: "pretraining",
      tasks,
      variants: options.variants,
      translate: options.translate ?? real,
      generated: share > 0 ? generated : undefined,
      generatedShare: share,
      lives: options.rowVisits > 0 ? { slots: options.rowSlots, visits: options.rowVisits } : undefined,
    },
    dataSets,
  };
}

/** @param saved the shape of the training state that is taken up */
function modelOf(options: PretrainOptions, saved: ModelConfig | undefined): ModelConfig {
  const { hCycles, lCycles, haltMaxSteps } = options;
  if (saved) return { ...saved, hCycles, lCycles, haltMaxSteps };
  if (options.from) return { ...loadCheckpoint(options.from).config.model, hCycles, lCycles, haltMaxSteps };
  return {
    hiddenSize: options.hiddenSize,
    numHeads: options.numHeads,
    expansion: 4,
    innerMultiple: INNER_MULTIPLE,
    lLayers: options.lLayers,
    hCycles,
    lCycles,
    haltMaxSteps,
    prefixLength: options.prefixLength,
    vocabularySize: 12,
    puzzleEmbeddingSize: options.hiddenSize,
    ropeTheta: options.ropeTheta,
    ropeAxes: options.ropeAxes,
    rmsNormEps: 1e-5,
  };
}

/** Running means over the reports of a run; accuracy and exactness over the rows that finished their sample. */
class RunningMeans {
  lmLoss = Number.NaN;
  accuracy = 0;
  exact = 0;

  add({ lmLoss, finished, accuracy, exact }: Progress): void {
    const first = Number.isNaN(this.lmLoss);
    const mix = (old: number, value: number): number => (first ? value : old + SHOWN_WEIGHT * (value - old));
    this.lmLoss = mix(this.lmLoss, lmLoss);
    if (finished === 0) return;
    this.accuracy = mix(this.accuracy, accuracy / finished);
    this.exact = mix(this.exact, exact / finished);
  }
}

function modelCard(options: PretrainOptions, record: Record<string, unknown>, seconds: number): string {
  return `# ${options.out.split("/").at(-1)}

A tiny recursive model for canvases of ${options.canvas} cells a side.

- data: ${(record.dataSets as string[]).join("; ")}; held-out kinds and reserved rules and scenes of generated tasks were never shown
${options.heldOut.length > 0 ? `- cleaned of every task that overlaps with ${options.heldOut.map((path) => path.split("/").at(-1)).join(", ")}\n` : ""}- command: \`${options.command}\`
- seed ${options.seed}, ${record.steps} optimizer steps of ${options.batchSize} examples in ${formatDuration(seconds)}
- at the end: training loss ${Number(record.lmLoss).toFixed(4)}, exact ${(100 * Number(record.exactAccuracy)).toFixed(1)} % of finished training samples (fresh scenes, raw weights)
${options.from ? `- went on from another checkpoint: see the command\n` : ""}`;
}
