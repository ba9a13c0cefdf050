/** The workers of a run: started, watched, and told of in the log. */
import { rmSync } from "node:fs";
import type { Clock } from "../budget/clock.ts";
import { boundedShare } from "../budget/planner.ts";
import { messageOf } from "../errors.ts";
import type { EventLog } from "../events.ts";
import { identityOf, type ProcessIdentity } from "../files/processes.ts";
import { makeTemporaryFolder } from "../files/temporary-folder.ts";
import { MetricsFile } from "../metrics/metrics-file.ts";
import { WorkerPool } from "../parallel/coordinator.ts";
import { CurvePoint } from "../train/curve-point.ts";
import type { Progress } from "../train/loop.ts";
import type { RunProgress } from "./progress.ts";
import type { RunRequest } from "./request.ts";
import type { RunState } from "./run-folder.ts";
import type { Setup } from "./setup.ts";

/** A worker without a sign of life for this share of the budget counts as lost, within these bounds (seconds). */
const SILENCE_SHARE = 1 / 60;
const SILENCE = { min: 4, max: 30 };
/** Metrics are written at most this often: every second, and some ten thousand times in a run. */
const METRICS_SECONDS = 1;
const METRICS_LINES = 10_000;

/** What a crew needs of the run around it. */
export interface CrewSurroundings {
  readonly clock: Clock;
  readonly log: EventLog;
  readonly progress: RunProgress;
  readonly state: RunState;
  /** seconds from now in which the workers must be ready */
  readonly startBy: number;
  stopped(): boolean;
}

/** The workers of one run. */
export class Crew {
  readonly pool: WorkerPool;
  /** the engine in words, once all are ready; rejects as `WorkerPool.start` does */
  readonly ready: Promise<string>;
  /** losses so far */
  lost = 0;
  readonly #surroundings: CrewSurroundings;
  /** where snapshots lie that nobody asked to keep */
  readonly #temporary: string | undefined;
  /** `refused`: the disk does not take them */
  #metrics: MetricsFile | "refused" | undefined;
  #point = new CurvePoint();
  #meteredAt = Number.NEGATIVE_INFINITY;
  readonly #meterEvery: number;

  constructor(request: RunRequest, setup: Setup, surroundings: CrewSurroundings) {
    this.#surroundings = surroundings;
    this.#meterEvery = Math.max(METRICS_SECONDS, request.budgetSeconds / METRICS_LINES);
    const { log, state, progress, clock } = surroundings;
    this.#temporary = state.snapshots === undefined ? makeTemporaryFolder("trm-snapshots-") : undefined;
    for (const warning of setup.warnings) log.emit("warn", "canvas", warning);
    log.emit("info", "start", setup.description);
    const { pool, ready } = WorkerPool.start(setup.jobs, request.joined, {
      environment: request.environment,
      startBy: surroundings.startBy,
      watcher: {
        progress: (rank, report, leads) => {
          progress.worker(rank, report, leads);
          if (leads) this.#meter(report.progress);
        },
        predicted: (rank, report) => progress.heard(rank, report),
        line: (rank, text) => log.emit("debug", "worker", `worker ${rank}: ${text}`),
        warning: (rank, sentence) => log.emit("warn", "slow", `worker ${rank}: ${sentence}`),
        lost: (rank, message, again) => {
          this.lost++;
          if (surroundings.stopped()) return;
          log.emit("error", "lost", `${message}; ${again ? "it is started again" : "going on without it"}`, { rank, again });
        },
        event: (level, name, text, fields) => {
          if (name === "restored") this.#goBack();
          if (!surroundings.stopped()) log.emit(level, name, text, fields);
        },
        rateScale: (rank, scale) => {
          const { rateScales } = state.record.notes;
          const ranks = request.joined ? setup.jobs.map((_, each) => each) : [rank];
          state.record.note({ rateScales: setup.jobs.map((_, each) => (ranks.includes(each) ? scale : (rateScales[each] ?? 1))) });
        },
      },
      clock,
      chosenStarts: state.record.notes.chosenStarts?.chosen,
      recovery: {
        folder: state.snapshots ?? this.#temporary!,
        everySeconds: request.snapshotSeconds,
        silenceSeconds: boundedShare(request.budgetSeconds * clock.timeScale, SILENCE_SHARE, SILENCE),
        rateScales: state.record.notes.rateScales,
      },
    });
    this.pool = pool;
    this.ready = ready.then((reports) => {
      const [first] = reports;
      for (const warning of first!.warnings) log.emit("debug", "variants", warning);
      log.emit(
        "info",
        "ready",
        `${reports.length} workers ready after ${clock.now().toFixed(1)} s: ${first!.engine}, ${first!.parameters} parameters, ${first!.epochLength} pairs an epoch; new puzzle rows ${beginningOf(request)}`,
      );
      return first!.engine;
    });
  }

  /** The processes that are there now, for whoever has to clear up after this one. */
  get processes(): ProcessIdentity[] {
    return this.pool.processIds.flatMap((pid) => identityOf(pid) ?? []);
  }

  /** Ends all workers at once. */
  end(): void {
    this.#writePoint();
    this.pool.kill();
    if (this.#temporary !== undefined) rmSync(this.#temporary, { recursive: true, force: true });
  }

  /** Adds to the curves, every second at most. A training that was taken back to an earlier step goes over those after it again. */
  #meter(progress: Progress): void {
    const { clock, log, state } = this.#surroundings;
    if (state.metrics === undefined || this.#metrics === "refused") return;
    const refused = (error: unknown): void => {
      this.#metrics = "refused";
      log.emit("warn", "metrics", `${state.metrics}: the curves can't be written any more: ${messageOf(error)}; going on without them`);
    };
    try {
      this.#metrics ??= new MetricsFile(state.metrics, progress.step - progress.steps, () => Date.now() / 1000, refused);
    } catch (error) {
      refused(error);
      return;
    }
    this.#point.add(progress);
    const now = clock.now();
    if (now - this.#meteredAt < this.#meterEvery) return;
    this.#meteredAt = now;
    this.#writePoint();
  }

  /** The curves go on from an earlier step. */
  #goBack(): void {
    if (this.#metrics !== "refused") this.#metrics = undefined;
    this.#point = new CurvePoint();
  }

  #writePoint(): void {
    const point = this.#point.take();
    if (point && this.#metrics instanceof MetricsFile) this.#metrics.add(point.step, point.metrics);
  }
}

/** Where new puzzle rows begin, in words. */
function beginningOf({ recipe: { start }, scratch }: RunRequest): string {
  if (scratch) return "begin at zero, and the trunk at random";
  if (start === "encoder") return "begin at what the encoder makes of the demonstrations";
  return start === "mean" ? "begin at the mean of the checkpoint's" : "are drawn with mean and deviation of the checkpoint's";
}
