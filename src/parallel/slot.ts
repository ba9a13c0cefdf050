/** The place of one worker: its job, the process that does it now, and the losses so far. */
import { withoutCache } from "../backend/compilation-cache.ts";
import { monotonicSeconds } from "../budget/clock.ts";
import { messageOf, UserError } from "../errors.ts";
import type { Job } from "./job.ts";
import type { Patience } from "./vigil.ts";
import { type ReportOf, WorkerLost, WorkerProcess, WorkFailed } from "./worker-process.ts";

/** A worker that is lost this often in one phase of the work is left out of it, unless it is the last one. */
const MAX_LOSSES = 3;
/** The last one too, where it never came to work by its own fault so often on end; not having come to it in time counts twice. */
const MAX_UNREADY = 5;
/** Or where it said so often on end that the same had gone wrong, with nothing done between: it is no chance then. */
const MAX_SAME = 10;
/** Wait before a worker is started again: none the first time, then this, doubled each time. */
const BACKOFF_SECONDS = 1;
const MAX_BACKOFF_SECONDS = 30;
/** Longest time a worker may take to start, load its engine and its checkpoint. */
const START_SECONDS = { most: 300, least: 120, share: 1 / 8 };
/** How long the process before it may take to let go of its GPU. */
const EXIT_SECONDS = 10;

/** What the pool is told. */
export interface SlotWatcher {
  report(rank: number, report: ReportOf<"progress" | "warning" | "snapshot">): void;
  line(rank: number, text: string): void;
  /** @param again true where it will be started again */
  lost(slot: Slot, message: string, again: boolean): void;
}

export class Slot {
  job: Job;
  process: WorkerProcess | undefined;
  /** how the worker that is there now began */
  ready: ReportOf<"ready"> | undefined;
  /** optimizer steps of the state that its process holds; undefined where that is not known to be whole */
  step: number | undefined;
  /** it has taken its place since its process was started, and since the others' last did */
  formed = false;
  /** why it is not started any more; until `forgive` */
  leftOut: Error | undefined;
  /** seconds that starting it took the last time */
  startSeconds = 0;
  readonly rank: number;
  readonly #name: string;
  #environment: Readonly<Record<string, string>>;
  readonly #patience: Patience;
  readonly #watcher: SlotWatcher;
  readonly #recovers: boolean;
  readonly #startBy: number;
  readonly #isLast: (slot: Slot) => boolean;
  #losses = 0;
  /** losses on end before it was ready */
  #unready = 0;
  /** what it said that had gone wrong, and how often on end */
  #complaint = { text: "", times: 0 };
  /** its process runs a step with attention by cuDNN for the first time */
  #triesAttention = false;
  /** rows at a time of the job that its process began with */
  #begunWith = 0;
  #starting: Promise<boolean> | undefined;
  #ended = false;
  #wake: () => void = () => {};

  /**
   * @param options.recovers whether a lost worker is started again
   * @param options.isLast   whether all others are left out
   */
  constructor(
    rank: number,
    count: number,
    job: Job,
    options: {
      readonly environment: Readonly<Record<string, string>>;
      readonly patience: Patience;
      readonly watcher: SlotWatcher;
      readonly recovers: boolean;
      /** seconds in which all workers must be ready; infinite unless given */
      readonly startBy?: number | undefined;
      isLast(slot: Slot): boolean;
    },
  ) {
    this.rank = rank;
    this.#name = `worker ${rank} of ${count}`;
    this.job = job;
    this.#environment = options.environment;
    this.#patience = options.patience;
    this.#watcher = options.watcher;
    this.#recovers = options.recovers;
    this.#startBy = options.startBy ?? Number.POSITIVE_INFINITY;
    this.#isLast = options.isLast;
  }

  /** Longest time to become ready: less where all that it is to do has less time. */
  get #startSeconds(): number {
    const { most, least, share } = START_SECONDS;
    return Math.min(most, Math.max(least, share * this.#startBy));
  }

  /** Its process is there. */
  get isAlive(): boolean {
    return this.process !== undefined && !this.process.lost;
  }

  /** Sees to it that a process is there and knows its job. @returns false where it could not be started this time */
  start(): Promise<boolean> {
    if (this.isAlive && this.ready) return Promise.resolve(true);
    this.#starting ??= this.#startProcess().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #startProcess(): Promise<boolean> {
    if (this.#losses > 1) await this.#pause(Math.min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2 ** (this.#losses - 2)));
    if (this.#ended || this.leftOut) return false;
    await this.process?.ended(EXIT_SECONDS);
    if (this.#ended || this.leftOut) return false;
    const began = monotonicSeconds();
    this.formed = false;
    this.step = undefined;
    this.ready = undefined;
    this.#triesAttention = false;
    const process = new WorkerProcess(this.#name, this.#environment, this.#patience, {
      report: (report) => {
        if (report.kind === "first-run") this.#noteFirstRun(report);
        else this.#watcher.report(this.rank, report);
      },
      line: (text) => this.#watcher.line(this.rank, text),
      lost: (error) => this.#lose(error),
    });
    this.process = process;
    const timer = setTimeout(() => {
      this.#unready++;
      process.giveUp(`was not ready within ${this.#startSeconds.toFixed(0)} s`);
    }, 1000 * this.#startSeconds);
    try {
      this.#begunWith = this.job.microBatch;
      this.ready = await process.command({ kind: "job", job: this.job }, "ready");
      this.startSeconds = monotonicSeconds() - began;
      this.#unready = 0;
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * What a command has come to that was not done: a process that can't be trusted any more is ended.
   *
   * @returns whether the worker is still there, with the state it had after its last complete step
   */
  fail(error: unknown): boolean {
    if (this.#ended || error instanceof WorkerLost) return false; // told of when it was lost
    if (error instanceof WorkFailed && (error.failure === "peer" || error.failure === "diverged")) {
      this.step = error.failure === "peer" ? error.step : undefined;
      return true;
    }
    const memory = error instanceof WorkFailed && error.failure === "memory";
    const message = error instanceof WorkFailed && error.failure === "other" ? (error.trace ?? error.message) : messageOf(error);
    if (error instanceof WorkFailed && error.failure === "cache") {
      this.#losses--; // no fault of the worker's
      this.#environment = { ...this.#environment, ...withoutCache() };
      this.#watcher.report(this.rank, {
        kind: "warning",
        sentence: `XLA compiles nothing here with its cache (${message}); from now on without (--xla-cache off does so at once)`,
      });
    }
    if (error instanceof WorkFailed && error.failure === "other")
      this.#noteComplaint(`${error.message} ${error.step}`, this.process?.hasWorked ?? false);
    this.process?.kill("failed");
    if (error instanceof UserError) {
      this.leftOut = error; // trying again would not help
      this.#watcher.lost(this, `${this.#name}: ${message}`, false);
    } else this.#lose(new WorkerLost(`${this.#name}: ${message}`, memory));
    return false;
  }

  /** Another chance for a worker that was left out. */
  forgive(): void {
    this.#losses = this.#unready = 0;
    this.#complaint = { text: "", times: 0 };
    if (!(this.leftOut instanceof UserError)) this.leftOut = undefined;
  }

  /** Ends the process for good. */
  end(why: string): void {
    this.#ended = true;
    this.process?.kill(why);
    this.#wake();
  }

  #noteFirstRun({ underway, fused, failed }: ReportOf<"first-run">): void {
    this.#triesAttention = fused && underway;
    if (failed) this.job = composedJob(this.job); // for whoever takes its place: the failure may cost this process its GPU
  }

  /** The same, at the same step, comes again whichever process is asked. @param hasWorked the process had done something before */
  #noteComplaint(text: string, hasWorked: boolean): void {
    this.#complaint = { text, times: text === this.#complaint.text && !hasWorked ? this.#complaint.times + 1 : 1 };
  }

  #lose(error: WorkerLost): void {
    if (this.#ended) return;
    if (this.ready === undefined && !error.byOthers) this.#unready++;
    this.formed = false;
    this.step = undefined;
    this.ready = undefined;
    this.#losses++;
    const isInVain = this.#unready >= MAX_UNREADY || this.#complaint.times >= MAX_SAME;
    if (!this.#recovers || isInVain || (this.#losses >= MAX_LOSSES && !this.#isLast(this))) this.leftOut = error;
    // A process that had more rows than the next one will have says nothing of that one's memory.
    const isLess = error.outOfMemory && this.job.microBatch < this.#begunWith;
    const { job, changed } = isLess ? { job: this.job, changed: "" } : jobAfterLoss(this.job, error, this.#triesAttention);
    this.job = job;
    this.#watcher.lost(this, `${error.message}${changed}`, this.leftOut === undefined);
  }
  #pause(seconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000 * seconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/**
 * What a worker is to do after it was lost, lest it be lost to the same again; and what that changes, in words.
 *
 * @param triesAttention it was lost while attention by cuDNN ran for the first time
 */
export function jobAfterLoss(job: Job, { outOfMemory }: WorkerLost, triesAttention: boolean): { job: Job; changed: string } {
  const fewer = (microBatch: number): string => `${microBatch} rows at a time instead of ${job.microBatch}`;
  if (outOfMemory && job.microBatch > 1) {
    const microBatch = Math.ceil(job.microBatch / 2);
    return { job: { ...job, microBatch }, changed: `; ${fewer(microBatch)} from now on` };
  }
  if (outOfMemory || !triesAttention) return { job, changed: "" };
  const composed = composedJob(job);
  const rows = composed.microBatch < job.microBatch ? `, ${fewer(composed.microBatch)}` : "";
  return {
    job: composed,
    changed: ` while attention by cuDNN ran for the first time; this worker composes attention from now on, which is slower and takes more memory${rows} (--attention composed does so at once)`,
  };
}

/** The same job with composed attention, and in the rows planned for that. */
function composedJob(job: Job): Job {
  const { compilation, composed = job } = job;
  const microBatch = Math.min(job.microBatch, composed.microBatch);
  return { ...job, compilation: { ...compilation, attention: "composed" }, microBatch, recompute: composed.recompute };
}
