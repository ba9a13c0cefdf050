/** The parent's side: starts the workers, hands out work, hears of their progress and their end. Loads no tensor library. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { FileRecords } from "../checkpoint/staged-files.ts";
import type { Json } from "../checkpoint/training-state.ts";
import { UserError } from "../errors.ts";
import type { Until } from "../train/loop.ts";
import { createRingFolder } from "./all-reduce.ts";
import type { Command, Job, Prediction, PredictionItem, Report, Survey } from "./job.ts";

type ReportOf<Kind extends Report["kind"]> = Extract<Report, { kind: Kind }>;

/** Longest time a worker may take to start, load its engine and its checkpoint. */
const START_SECONDS = 120;
/** Longest silence in the ring before a peer counts as lost. */
const RING_TIMEOUT_MILLIS = 120_000;

/** What the parent is told while workers work. */
export interface PoolWatcher {
  progress?(rank: number, report: ReportOf<"progress">): void;
  /** a line that a worker, or a library in it, wrote to its standard output or error */
  line?(rank: number, text: string): void;
  /** something runs slower in a worker than it could */
  warning?(rank: number, sentence: string): void;
  /** a worker is gone, or its work has failed */
  lost?(rank: number, message: string): void;
}

/** How worker processes are started. */
export interface PoolOptions {
  /** environment of a rank, beside the parent's own */
  environment(rank: number): Record<string, string>;
  readonly watcher: PoolWatcher;
  /** seconds within which all must be ready */
  readonly startBy?: number;
}

/** A worker process died or could not do its work. */
export class WorkerLost extends Error {
  override readonly name = "WorkerLost";
}

/** One worker process as the parent sees it. */
class WorkerProcess {
  readonly child: ChildProcess;
  /** why it can't be used any more */
  lost: Error | undefined;
  #waiting: { kinds: readonly string[]; resolve: (report: Report) => void; reject: (error: Error) => void } | undefined;

  constructor(
    readonly rank: number,
    options: PoolOptions,
  ) {
    const { watcher } = options;
    this.child = spawn(process.execPath, ["--max-old-space-size=4096", fileURLToPath(import.meta.url), "worker"], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      serialization: "advanced",
      env: { ...process.env, ...options.environment(rank) },
      detached: true, // a signal of the terminal reaches the parent alone, which ends its workers in order
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        for (const line of text.split("\n")) if (line.trim() !== "") watcher.line?.(rank, line);
      });
    }
    this.child.on("message", (report: Report) => {
      if (report.kind === "progress") return watcher.progress?.(rank, report);
      if (report.kind === "warning") return watcher.warning?.(rank, report.sentence);
      if (report.kind === "failed")
        return this.#fail(report.user ? new UserError(report.message) : new WorkerLost(report.stack ?? report.message));
      if (this.#waiting?.kinds.includes(report.kind)) {
        const { resolve } = this.#waiting;
        this.#waiting = undefined;
        resolve(report);
      }
    });
    this.child.on("error", (error) => this.#lose(`could not be started: ${error.message}`, watcher));
    this.child.on("exit", (code, signal) => this.#lose(`ended ${signal ? `by ${signal}` : `with exit status ${code}`}`, watcher));
  }

  send(command: Command): void {
    if (!this.lost) this.child.send(command, (error) => error && this.#fail(new WorkerLost(error.message)));
  }

  /** The next report of one of these kinds; only one may be waited for at a time. */
  next<Kind extends Report["kind"]>(...kinds: readonly Kind[]): Promise<ReportOf<Kind>> {
    if (this.lost) return Promise.reject(this.lost);
    return new Promise((resolve, reject) => {
      this.#waiting = { kinds, resolve: resolve as (report: Report) => void, reject };
    });
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }

  /** Ends the process because we want it to: nothing that anyone need hear of but who waits for it. */
  kill(why: string): void {
    if (!this.lost) {
      this.lost = new WorkerLost(`worker ${this.rank} ${why}`);
      this.#fail(this.lost);
    }
    this.child.kill("SIGKILL");
  }

  #lose(how: string, watcher: PoolWatcher): void {
    if (this.lost) return;
    this.lost = new WorkerLost(`worker ${this.rank} ${how}`);
    watcher.lost?.(this.rank, this.lost.message);
    this.#fail(this.lost);
  }
}

/** The workers of a run. */
export class WorkerPool {
  readonly #workers: WorkerProcess[];
  readonly #watcher: PoolWatcher;
  readonly #ringFolder: string | undefined;
  #predictions = 0;

  private constructor(workers: WorkerProcess[], watcher: PoolWatcher, ringFolder: string | undefined) {
    this.#workers = workers;
    this.#watcher = watcher;
    this.#ringFolder = ringFolder;
  }

  /**
   * Starts one process for each job.
   *
   * @param jobs    without rank, world size and ring, which are filled in here
   * @param joined  true: one model, gradients exchanged; false: each worker on its own
   * @returns the pool, at once, so that its processes can be ended at any time; `ready` rejects with a UserError where a worker
   *   says what the user can mend, with WorkerLost where one dies or is late
   */
  static start(
    jobs: readonly Omit<Job, "rank" | "worldSize" | "ring">[],
    joined: boolean,
    options: PoolOptions,
  ): { pool: WorkerPool; ready: Promise<ReportOf<"ready">[]> } {
    const ringFolder = joined && jobs.length > 1 ? createRingFolder() : undefined;
    const ring = ringFolder
      ? { folder: ringFolder, token: randomBytes(16).toString("hex"), timeoutMillis: RING_TIMEOUT_MILLIS }
      : undefined;
    const workers = jobs.map((_, rank) => new WorkerProcess(rank, options));
    const pool = new WorkerPool(workers, options.watcher, ringFolder);
    const startSeconds = Math.max(0, Math.min(START_SECONDS, options.startBy ?? START_SECONDS));
    const timer = setTimeout(() => pool.kill(`was not ready within ${startSeconds.toFixed(1)} s`), 1000 * startSeconds);
    const ready = Promise.all(
      workers.map((worker, rank) => {
        worker.send({ kind: "job", job: { ...jobs[rank]!, rank: joined ? rank : 0, worldSize: joined ? jobs.length : 1, ring } });
        return worker.next("ready");
      }),
    );
    const failed = ready.catch((error: unknown) => {
      pool.kill();
      throw error;
    });
    return { pool, ready: failed.finally(() => clearTimeout(timer)) };
  }

  /** Ranks that still answer. */
  get alive(): number[] {
    return this.#workers.filter((worker) => !worker.lost).map((worker) => worker.rank);
  }

  /**
   * Trains on all workers until each has stopped.
   *
   * A worker that fails is reported to the watcher; the others end with it where they are joined.
   *
   * @returns reports of those that ended in order; empty where none did
   */
  async train(until: Until): Promise<ReportOf<"trained">[]> {
    const ended = await Promise.allSettled(
      this.#workers
        .filter((worker) => !worker.lost)
        .map((worker) => {
          worker.send({ kind: "train", until });
          return worker.next("trained").catch((error: Error) => {
            if (!worker.lost) this.#watcher.lost?.(worker.rank, error.message);
            throw error;
          });
        }),
    );
    return ended.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  }

  /** Ends the training under way after its current step. */
  stopTraining(): void {
    for (const worker of this.#workers) worker.send({ kind: "stop" });
  }

  /**
   * Predicts all items, a chunk at a time on whichever worker is free; a chunk of a worker that is lost goes to another.
   *
   * @param owner     rank that must predict an item, unless it is lost; negative where any may
   * @param goOn      asked before each chunk; false leaves the rest undone
   * @param arrived   told of each chunk as it comes, with the seconds it took
   */
  async predict(
    items: readonly PredictionItem[],
    options: {
      readonly actSteps: number;
      readonly chunk: number;
      readonly owner?: (item: PredictionItem) => number;
      goOn(): boolean;
      arrived(predictions: readonly Prediction[], seconds: number): void;
    },
  ): Promise<void> {
    const waiting = items.slice();
    const take = (rank: number): PredictionItem[] => {
      if (!options.owner) return waiting.splice(0, options.chunk);
      const taken: PredictionItem[] = [];
      for (let i = 0; i < waiting.length && taken.length < options.chunk; ) {
        const owner = options.owner(waiting[i]!);
        if (owner < 0 || owner === rank || this.#workers[owner]?.lost) taken.push(...waiting.splice(i, 1));
        else i++;
      }
      return taken;
    };
    await Promise.all(
      this.#workers.map(async (worker) => {
        while (!worker.lost && options.goOn()) {
          const chunk = take(worker.rank);
          if (chunk.length === 0) return;
          worker.send({ kind: "predict", id: this.#predictions++, items: chunk, actSteps: options.actSteps });
          try {
            const { predictions, seconds } = await worker.next("predicted");
            options.arrived(predictions, seconds);
          } catch (error) {
            waiting.push(...chunk);
            if (!worker.lost) this.#watcher.lost?.(worker.rank, (error as Error).message);
            return;
          }
        }
      }),
    );
  }

  /** What the rows of a pre-training can predict now. */
  async survey(votes: number, pairs: number): Promise<Survey> {
    const worker = this.#workers.find((candidate) => !candidate.lost);
    if (!worker) throw new WorkerLost("no worker is left to ask");
    worker.send({ kind: "survey", votes, pairs });
    return (await worker.next("surveyed")).survey;
  }

  /** Has one worker write a checkpoint and, into folder `state`, what is needed to go on training; each rank writes its rows of the batch. */
  async save(
    folder: string,
    training: Record<string, unknown>,
    card: string,
    state?: string,
    record?: { readonly [key: string]: Json },
  ): Promise<void> {
    const [worker, ...others] = this.#workers.filter((candidate) => !candidate.lost);
    if (!worker) throw new WorkerLost("no worker is left to write the checkpoint");
    let staged: FileRecords = {};
    if (state !== undefined) {
      for (const { files } of await Promise.all(
        others.map((other) => {
          other.send({ kind: "stage", state });
          return other.next("staged");
        }),
      ))
        staged = { ...staged, ...files };
    }
    worker.send({ kind: "save", folder, training, card, state, staged, record });
    await worker.next("saved");
  }

  /** Ends all workers at once and clears away the ring's sockets. */
  kill(why = "was ended"): void {
    for (const worker of this.#workers) worker.kill(why);
    if (this.#ringFolder) rmSync(this.#ringFolder, { recursive: true, force: true });
  }
}
