/** How far a run is, in lines: phase, step, loss, speed, memory of every worker, and the time left. */
import type { Clock } from "../budget/clock.ts";
import { formatDuration } from "../budget/duration.ts";
import type { EventLog } from "../events.ts";
import type { Holding, Report } from "../parallel/job.ts";
import type { Progress } from "../train/loop.ts";
import { type ComingPhase, liveView } from "./live-view.ts";

/** Seconds between two lines. */
const LINE_SECONDS = 5;
/** A longer run tells of itself about this often. */
const LINES = 1500;
/** A terminal is drawn anew at most this often. */
const LIVE_SECONDS = 0.15;
/** Weight of the newest report in the running means. */
const MEAN_WEIGHT = 0.1;

/** Collects what workers report and tells of it every few seconds. */
export class RunProgress {
  readonly #log: EventLog;
  readonly #clock: Clock;
  readonly #every: number;
  readonly #rss: number[];
  readonly #tensors: number[];
  readonly #budgetSeconds: number;
  /** by rank: optimizer steps, seconds of one, and when it was heard of */
  readonly #steps: { step: number; stepSeconds: number; heardAt: number | undefined }[];
  readonly #votes: () => number;
  #told = "";
  #phaseBegan = 0;
  #drawn = Number.NEGATIVE_INFINITY;
  #phase = "load";
  /** seconds since the process started at which the phase should end */
  #phaseEnds = 0;
  #coming: readonly ComingPhase[] = [];
  #shown = Number.NEGATIVE_INFINITY;
  #lmLoss: number | undefined;
  #accuracy: number | undefined;
  #exact: number | undefined;
  #step = 0;
  #ended = false;

  /** @param votes that there are so far */
  constructor(log: EventLog, clock: Clock, workers: number, budgetSeconds: number, votes: () => number = () => 0) {
    this.#log = log;
    this.#clock = clock;
    this.#every = Math.max(LINE_SECONDS, budgetSeconds / LINES);
    this.#rss = new Array<number>(workers).fill(0);
    this.#tensors = new Array<number>(workers).fill(0);
    this.#budgetSeconds = budgetSeconds;
    this.#votes = votes;
    this.#steps = Array.from({ length: workers }, () => ({ step: 0, stepSeconds: 0, heardAt: undefined }));
  }

  /** Optimizer steps that were told of. */
  get step(): number {
    return this.#step;
  }

  /** Mean token loss of recent steps. */
  get lmLoss(): number | undefined {
    return this.#lmLoss;
  }

  /** Share of recent finished training samples that were wholly right. */
  get exact(): number | undefined {
    return this.#exact;
  }

  /** Largest resident memory seen of each worker. */
  get rssBytes(): readonly number[] {
    return this.#rss;
  }

  /** A phase begins; it should end at `ends` seconds since the process started, and others come after it. */
  phase(name: string, ends: number, coming: readonly ComingPhase[] = []): void {
    this.#coming = coming;
    this.#phaseEnds = ends;
    // One that goes on, planned anew, has begun before.
    if (name !== this.#phase) {
      this.#phaseBegan = this.#clock.now();
      this.#told = "";
    }
    this.#phase = name;
    this.#log.emit("debug", "phase", `phase ${name}`, { phase: name, ends });
    this.#shown = Number.NEGATIVE_INFINITY;
    this.#draw(true);
  }

  /** A worker's report of a training step. Metrics are the whole batch's where workers are joined; those of the one that `leads` are told. */
  worker(rank: number, report: Extract<Report, { kind: "progress" }>, leads: boolean): void {
    const { progress } = report;
    this.heard(rank, report);
    Object.assign(this.#steps[rank]!, { step: progress.step, stepSeconds: progress.stepSeconds });
    if (leads) this.#learn(progress);
    this.#draw();
  }

  #learn(progress: Progress): void {
    const mix = (old: number | undefined, value: number): number => (old === undefined ? value : old + MEAN_WEIGHT * (value - old));
    this.#step = progress.step;
    this.#lmLoss = mix(this.#lmLoss, progress.lmLoss);
    if (progress.finished > 0) {
      this.#accuracy = mix(this.#accuracy, progress.accuracy / progress.finished);
      this.#exact = mix(this.#exact, progress.exact / progress.finished);
    }
    // Short enough for 80 columns.
    const measures = `loss ${this.#lmLoss.toFixed(3)}   tokens ${inPercent(this.#accuracy)}   exact ${inPercent(this.#exact)}`;
    this.#told = `step ${progress.step}/${progress.plannedSteps}   ${measures}`;
    this.#tell(`step ${progress.step}/${progress.plannedSteps}  ${this.summary()}  ${(1 / progress.stepSeconds).toFixed(2)} steps/s`, {
      step: progress.step,
      plannedSteps: progress.plannedSteps,
      lmLoss: progress.lmLoss,
      lrTrunk: progress.lrTrunk,
    });
  }

  /** A worker is heard of, and what it holds. There can be more of them than at first: on wasm, where TensorFlow has failed. */
  heard(rank: number, { rssBytes, tensors }: Holding): void {
    for (let i = this.#steps.length; i <= rank; i++) {
      this.#steps[i] = { step: 0, stepSeconds: 0, heardAt: undefined };
      this.#rss[i] = 0;
      this.#tensors[i] = 0;
    }
    this.#rss[rank] = Math.max(this.#rss[rank]!, rssBytes);
    this.#tensors[rank] = tensors;
    this.#steps[rank]!.heardAt = this.#clock.now();
  }

  /** Predictions came in, of which kind. `decided`: test inputs that are not predicted any more, since their two answers can't change. */
  predicted(
    { made, of }: Record<"made" | "of", number>,
    kind = "predictions",
    { decided, testInputs }: Partial<Record<"decided" | "testInputs", number>> = {},
  ): void {
    this.#told = `${made}/${of} ${kind}${decided === undefined ? "" : `, ${decided}/${testInputs} test inputs decided`}`;
    this.#draw();
    this.#tell(this.#told, { made, of, decided, testInputs });
  }

  /** Loss and accuracy of recent steps in words. */
  summary(): string {
    const loss = this.#lmLoss?.toFixed(4) ?? "-";
    return `loss ${loss}  right tokens ${inPercent(this.#accuracy)}  demonstrations wholly right ${inPercent(this.#exact)}`;
  }

  /** No more lines. */
  end(): void {
    if (!this.#ended) this.#log.emit("debug", "ended", "the work has ended", { phase: this.#phase });
    this.#ended = true;
    this.#log.live?.show([]);
  }

  /** Renews what a terminal shows. */
  #draw(atOnce = false): void {
    const now = this.#clock.now();
    if (!this.#log.live || this.#ended || (!atOnce && now - this.#drawn < LIVE_SECONDS)) return;
    this.#drawn = now;
    const workers = this.#steps.map(({ step, stepSeconds, heardAt }, rank) => ({
      step,
      stepSeconds,
      rssBytes: this.#rss[rank]!,
      heardAgo: heardAt === undefined ? undefined : now - heardAt,
    }));
    const phase = { phase: this.#phase, phaseBegan: this.#phaseBegan, phaseEnds: this.#phaseEnds, coming: this.#coming };
    this.#log.live.show(liveView({ now, budgetSeconds: this.#budgetSeconds, ...phase, told: this.#told, votes: this.#votes(), workers }));
  }

  #tell(text: string, fields: Record<string, unknown>): void {
    const now = this.#clock.now();
    if (this.#ended || now - this.#shown < this.#every) return;
    this.#shown = now;
    const left = formatDuration(Math.max(0, this.#phaseEnds - now));
    const memory = this.#rss
      .map((bytes, rank) => `${rank}: ${(bytes / 2 ** 20).toFixed(0)} MiB, ${this.#tensors[rank]} tensors`)
      .join("; ");
    this.#log.emit("info", "progress", `${this.#phase.padEnd(7)} ${text}  ${left} left  [workers ${memory}]`, {
      phase: this.#phase,
      ...fields,
      rssBytes: this.#rss,
    });
  }
}

function inPercent(share: number | undefined): string {
  return share === undefined ? "-" : `${(100 * share).toFixed(1)} %`;
}
