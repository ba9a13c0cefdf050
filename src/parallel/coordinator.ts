/** The parent's side: starts the workers, hands out work, brings back those that are lost. Loads no tensor library. See README.md. */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Clock, MAX_TIMER_MILLIS, monotonicSeconds, realClock } from "../budget/clock.ts";
import type { FileRecords } from "../checkpoint/staged-files.ts";
import type { Json } from "../checkpoint/training-state.ts";
import { messageOf } from "../errors.ts";
import type { LogLevel } from "../events.ts";
import type { Until } from "../train/loop.ts";
import { createRingFolder } from "./all-reduce.ts";
import type { Diagnosis } from "./diagnosis.ts";
import type { CheckpointNotes, Formation, Job, Prediction, PredictionItem, Survey } from "./job.ts";
import { Lineage, MAX_ROLLBACKS } from "./lineage.ts";
import { PredictionQueue } from "./prediction-queue.ts";
import { Slot } from "./slot.ts";
import { PATIENCE } from "./vigil.ts";
import { type ReportOf, WorkerLost, WorkFailed } from "./worker-process.ts";

/** Longest silence in the ring before a peer counts as lost. */
const RING_TIMEOUT_MILLIS = 120_000;
const WATCH_MILLIS = 1000;
/** A watch that comes this much late shows that this process, or the whole machine, stood still. */
const STANDSTILL_SECONDS = 1;
/** All go back to a snapshot unless that costs more than this: then a survivor hands its state over, without the samples under way. */
const MAX_LOSS_SECONDS = 300;

/** What the parent is told while workers work. */
export interface PoolWatcher {
  /** @param leads its numbers stand for all workers, where they are joined */
  progress?(rank: number, report: ReportOf<"progress">, leads: boolean): void;
  /** a worker has made predictions */
  predicted?(rank: number, report: ReportOf<"predicted">): void;
  /** a line that a worker, or a library in it, wrote to its standard output or error */
  line?(rank: number, text: string): void;
  /** something runs slower in a worker than it could */
  warning?(rank: number, sentence: string): void;
  /** a worker is gone, or its work has failed; `again`: it will be started again */
  lost?(rank: number, message: string, again: boolean): void;
  /** something else that happened to the workers */
  event?(level: LogLevel, name: string, text: string, fields?: Record<string, unknown>): void;
  /** the learning rates are scaled by this from now on */
  rateScale?(rank: number, scale: number): void;
}

/** How lost workers come back. */
export interface Recovery {
  /** folder of snapshots: of all workers where they are joined, else with a folder for each */
  readonly folder: string;
  /** seconds between two snapshots at least */
  readonly everySeconds: number;
  /** a process without a sign of life for this many seconds counts as lost */
  readonly silenceSeconds: number;
  /** factor of the learning rates by rank, from an earlier process of the run */
  readonly rateScales?: readonly number[] | undefined;
}

/** How worker processes are started. */
export interface PoolOptions {
  /** environment of a rank, beside the parent's own */
  environment(rank: number): Record<string, string>;
  readonly watcher: PoolWatcher;
  /** seconds within which all must be ready */
  readonly startBy?: number;
  /** without it a worker that is lost stays lost, and joined training ends with it */
  readonly recovery?: Recovery | undefined;
  /** see `WorkerPool.choose`: what was chosen by an earlier process of the run */
  readonly chosenStarts?: readonly number[] | undefined;
  /** the run's, by which deadlines are meant; how long processes live and answer is measured in real time */
  readonly clock?: Clock | undefined;
}

/**
 * How a stretch of training ended on a worker. `diverged`: the last good state was taken up again, and nothing more is trained. `late`: it was lost so near
 * the end that it could not come back in time.
 */
export type Trained = Omit<ReportOf<"trained">, "kind" | "why"> & { readonly why: ReportOf<"trained">["why"] | "diverged" | "late" };

/** The workers of a run. */
export class WorkerPool {
  readonly #slots: readonly Slot[];
  readonly #joined: boolean;
  readonly #watcher: PoolWatcher;
  readonly #recovers: boolean;
  /** by rank; joined workers share one */
  readonly #lineages: readonly Lineage[];
  readonly #watch: NodeJS.Timeout;
  #ringFolder: string | undefined;
  /** joined: the ring stands, with all that are not left out */
  #ringStands = false;
  #ended = false;
  /** the training under way is to stop: whoever begins it anew meanwhile has to be told, too */
  #isToStop = false;
  #stepSeconds = 0;
  /** what the last snapshot took */
  #snapshotSeconds = 0;
  #predictions = 0;
  /** that each task has, on all workers */
  #variants: readonly number[] = [];
  #chosenStarts: readonly number[] | undefined;
  /** which canvas each task is on, where there are several */
  readonly #canvasOf: readonly number[] | undefined;
  readonly #clock: Clock;

  private constructor(jobs: readonly Job[], joined: boolean, options: PoolOptions) {
    const { environment, watcher, recovery, clock = realClock(), chosenStarts } = options;
    this.#chosenStarts = chosenStarts;
    this.#joined = joined;
    this.#canvasOf = jobs[0]?.canvases?.ofTask; // the same in all jobs
    this.#clock = clock;
    this.#watcher = watcher;
    this.#recovers = recovery !== undefined;
    const patience = { ...PATIENCE, ...(recovery && { silence: recovery.silenceSeconds }) };
    this.#slots = jobs.map(
      (job, rank) =>
        new Slot(
          rank,
          jobs.length,
          { ...job, mayRestart: this.#recovers },
          {
            environment: environment(rank),
            patience,
            recovers: this.#recovers,
            startBy: options.startBy,
            isLast: (slot) => this.#slots.every((other) => other === slot || other.leftOut !== undefined),
            watcher: {
              report: (from, report) => this.#hear(from, report),
              line: (from, text) => watcher.line?.(from, text),
              lost: (slot, message, again) => {
                this.#ringStands = false;
                watcher.lost?.(slot.rank, message, again);
              },
            },
          },
        ),
    );
    const lineage = (rank: number): Lineage => {
      const { folder, everySeconds, rateScales } = recovery ?? {};
      const own = folder === undefined || joined ? folder : join(folder, `worker-${rank}`);
      return new Lineage(own === undefined ? undefined : { folder: own, everySeconds: everySeconds! }, rateScales?.[rank]);
    };
    const shared = lineage(0);
    this.#lineages = jobs.map((_, rank) => (joined ? shared : lineage(rank)));
    let looked = monotonicSeconds();
    this.#watch = setInterval(() => {
      const now = monotonicSeconds();
      const late = now - looked - WATCH_MILLIS / 1000;
      looked = now;
      for (const { process } of this.#slots) process?.look(late > STANDSTILL_SECONDS ? late : 0);
    }, WATCH_MILLIS);
    this.#watch.unref();
  }

  /**
   * Starts one process for each job, and takes up the snapshots that there are.
   *
   * @param joined  true: one model, gradients exchanged; false: each worker on its own
   * @returns the pool, at once, so that its processes can be ended at any time; `ready` rejects with a UserError where a worker
   *   says what the user can mend, with WorkerLost where none can be had in time
   */
  static start(jobs: readonly Job[], joined: boolean, options: PoolOptions): { pool: WorkerPool; ready: Promise<ReportOf<"ready">[]> } {
    const pool = new WorkerPool(jobs, joined, options);
    const { startBy } = options;
    const late = (): void => pool.kill(`was not ready within ${startBy!.toFixed(1)} s`);
    const timer = startBy === undefined ? undefined : setTimeout(late, Math.min(MAX_TIMER_MILLIS, 1000 * Math.max(0, startBy)));
    const failed = pool.#begin().catch((error: unknown) => {
      pool.kill();
      throw error;
    });
    return { pool, ready: failed.finally(() => clearTimeout(timer)) };
  }

  /** Ranks that are there, or will be started again. */
  get alive(): number[] {
    return this.#crew().map(({ rank }) => rank);
  }

  /** Whether a task has the variant under which it is to be predicted: some have fewer than others. */
  exists({ task, variant }: PredictionItem): boolean {
    return variant < (this.#variants[task] ?? 0);
  }

  /** Numbers of the processes that are there now. */
  get processIds(): number[] {
    return this.#slots.flatMap(({ isAlive, process }) => (isAlive ? (process!.child.pid ?? []) : []));
  }

  async #begin(): Promise<ReportOf<"ready">[]> {
    const begun = async (slots: readonly Slot[]): Promise<void> => {
      for (;;) {
        this.#refuseEnded();
        const lost = this.#slots.filter(({ leftOut }) => leftOut);
        if (lost.length > 0 && (!this.#recovers || lost.length === this.#slots.length)) throw lost[0]!.leftOut;
        const left = slots.filter(({ leftOut }) => !leftOut);
        if (left.length === 0 || (await this.#form(left))) return;
      }
    };
    if (this.#joined) await begun(this.#slots);
    else await Promise.all(this.#slots.map((slot) => begun([slot])));
    const ready = this.#crew().flatMap((slot) => slot.ready ?? []);
    this.#variants = ready[0]!.variants.map((_, task) => Math.min(...ready.map(({ variants }) => variants[task]!)));
    return ready;
  }

  /**
   * Trains on all workers until each has stopped. What is lost on the way is started again and taken back to the last snapshot.
   *
   * @returns how it ended on each worker that is still there; empty where none is
   */
  async train(until: Until): Promise<Trained[]> {
    try {
      if (this.#joined) return await this.#trainTogether(this.#slots, until);
      const ended = await Promise.all(this.#slots.map((slot) => this.#trainTogether([slot], until)));
      return ended.flat();
    } finally {
      this.#isToStop = false;
    }
  }

  /** Trains on workers that share a model: all of them where they are joined, else one. */
  async #trainTogether(all: readonly Slot[], until: Until): Promise<Trained[]> {
    const lineage = this.#lineages[all[0]!.rank]!;
    for (;;) {
      this.#refuseEnded();
      const slots = all.filter(({ leftOut }) => !leftOut);
      if (slots.length === 0) return [];
      if (!this.#isFormed(slots)) {
        const standing: Trained = { step: this.#standing(slots), why: "deadline", stepSeconds: this.#stepSeconds };
        if (this.#tooLate(slots, until)) return [{ ...standing, why: "late" }];
        if (!this.#joined && !(await this.#isThereBy(slots[0]!, until.deadline))) return [standing]; // the others' next stretch does not wait
        if (!(await this.#form(slots))) continue;
      }
      const commands = slots.map((slot) => slot.process!.command({ kind: "train", until, snapshots: lineage.order }, "trained"));
      if (this.#isToStop) this.stopTraining(); // it was said while one that was lost came back, and heard it not
      const results = await Promise.allSettled(commands);
      this.#refuseEnded();
      const trained = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
      results.forEach((result, i) => {
        if (result.status === "fulfilled") slots[i]!.step = result.value.step;
        else slots[i]!.fail(result.reason);
      });
      if (trained.length === slots.length) return trained;
      this.#break(slots);
      if (!this.#recovers) {
        for (const [i, result] of results.entries())
          if (result.status === "rejected" && slots[i]!.isAlive)
            this.#watcher.lost?.(slots[i]!.rank, (result.reason as Error).message, false);
        return trained;
      }
      const diverged = results.find((result) => result.status === "rejected" && isDivergence(result.reason)) as
        | PromiseRejectedResult
        | undefined;
      if (!diverged || this.#takeBack(slots, lineage, (diverged.reason as Error).message)) continue;
      await this.#form(slots.filter(({ leftOut }) => !leftOut));
      return [{ step: this.#standing(slots), why: "diverged", stepSeconds: this.#stepSeconds }];
    }
  }

  /**
   * Ends the competition of rows with different starts, on all workers and on those that come back from a state of before.
   *
   * @param chosenStarts by the task's place, which of the job's starts its rows keep
   */
  async choose(chosenStarts: readonly number[]): Promise<void> {
    this.#chosenStarts = chosenStarts;
    const there = this.#slots.filter(({ isAlive, step }) => isAlive && step !== undefined);
    await Promise.all(
      there.map((slot) =>
        slot.process!.command({ kind: "choose", chosenStarts }, "chosen").catch((error: unknown) => {
          slot.fail(error);
          this.#break(there);
        }),
      ),
    );
  }

  /** Ends the training under way after its current step. */
  stopTraining(): void {
    this.#isToStop = true;
    for (const { process } of this.#slots) process?.send({ kind: "stop" });
  }

  /** Gives those another chance that were lost too often: another phase of the work may suit them better. */
  forgive(): void {
    for (const slot of this.#slots) slot.forgive();
  }

  /**
   * Writes the state that was reached as a snapshot, so that whoever is started again takes it up.
   *
   * @param seconds that it may take, by what the last one took
   */
  async keep(seconds = Number.POSITIVE_INFINITY): Promise<void> {
    if (this.#snapshotSeconds > seconds) return;
    const groups = this.#joined ? [this.#slots] : this.#slots.map((slot) => [slot]);
    await Promise.all(
      groups.map(async (slots) => {
        const lineage = this.#lineages[slots[0]!.rank]!;
        const { order } = lineage;
        const best = furthest(slots);
        if (!order || !best || lineage.sources()[0]?.step === best.step) return;
        try {
          this.#hear(best.rank, await best.process!.command({ kind: "snapshot", folder: order.folder }, "snapshot"));
        } catch (error) {
          best.fail(error);
        }
      }),
    );
  }

  /**
   * Predicts all items that exist, a chunk at a time on whichever worker is free; a chunk of a worker that is lost goes to another. Lost workers are
   * started again meanwhile; a prediction that costs several of them is given up.
   *
   * @param owner     rank that must predict an item, unless it is left out; negative where any may
   * @param wanted    asked of each item when its turn comes; one that is not wanted is dropped
   * @param goOn      asked before each chunk; false leaves the rest undone
   * @param arrived   told of each chunk as it comes, with the seconds it took
   */
  async predict(
    items: readonly PredictionItem[],
    options: {
      readonly actSteps: number;
      readonly chunk: number;
      readonly owner?: (item: PredictionItem) => number;
      readonly wanted?: (item: PredictionItem) => boolean;
      goOn(): boolean;
      arrived(predictions: readonly Prediction[], seconds: number): void;
    },
  ): Promise<void> {
    const there = items.filter((item) => this.exists(item));
    const canvasOf = this.#canvasOf;
    const queue = new PredictionQueue(there, options.chunk, {
      ...(options.wanted && { wanted: options.wanted }),
      ...(canvasOf && { kind: ({ task }) => canvasOf[task]! }),
    });
    const serve = async (slot: Slot): Promise<void> => {
      const mine = (item: PredictionItem): boolean => {
        const owner = options.owner?.(item) ?? -1;
        return owner < 0 || owner === slot.rank || this.#slots[owner]?.leftOut !== undefined;
      };
      while (!this.#ended && !slot.leftOut && !queue.isDone && options.goOn()) {
        if (!(slot.isAlive && slot.step !== undefined)) {
          if (!(await this.#readyToPredict(slot, queue))) continue;
          if (queue.isDone || !options.goOn()) return;
        }
        const chunk = queue.take(mine);
        if (chunk.length === 0) {
          if (!queue.isDone) await queue.changed();
          continue;
        }
        try {
          const report = await slot.process!.command(
            { kind: "predict", id: this.#predictions++, items: chunk, actSteps: options.actSteps, canvas: canvasOf?.[chunk[0]!.task] },
            "predicted",
          );
          options.arrived(report.predictions, report.seconds);
          queue.done();
          this.#watcher.predicted?.(slot.rank, report);
        } catch (error) {
          slot.fail(error);
          this.#break([slot]);
          this.#giveUp(queue.putBack(chunk, !this.#ended));
        }
      }
    };
    await Promise.all(this.#slots.map((slot) => serve(slot).finally(() => queue.nudge())));
  }

  #giveUp(items: readonly PredictionItem[]): void {
    for (const { task, testIndex, variant } of items) {
      const text = `task ${task + 1}, test ${testIndex}, variant ${variant}: workers are lost over this prediction; it is given up`;
      this.#watcher.event?.("error", "given-up", text, { task, testIndex, variant });
    }
  }

  /** Starts a worker that is to predict; returns sooner where nothing is left to predict. */
  async #readyToPredict(slot: Slot, queue: PredictionQueue): Promise<boolean> {
    if (!this.#recovers) {
      slot.leftOut ??= slot.process?.lost ?? new WorkerLost(`worker ${slot.rank} has no state to predict with`);
      return false;
    }
    const ready = (async () => (await slot.start()) && (await this.#form([slot], false)))();
    ready.catch(() => {}); // of a pool that was ended
    for (;;) {
      const first = await Promise.race([ready, queue.changed().then(() => "changed" as const)]);
      if (first !== "changed") return first;
      if (queue.isDone) return false;
    }
  }

  /** What the rows of a pre-training can predict now. */
  async survey(votes: number, pairs: number): Promise<Survey> {
    const slot = this.#slots.find(({ isAlive }) => isAlive);
    if (!slot) throw new WorkerLost("no worker is left to ask");
    return (await slot.process!.command({ kind: "survey", votes, pairs }, "surveyed")).survey;
  }

  /** What the workers tell of the training, in order of rank; those that are lost over it are left out, and started again when they are needed. */
  async diagnose(): Promise<Diagnosis[]> {
    const told = await Promise.all(
      this.#slots.map(async (slot) => {
        if (!slot.isAlive || slot.step === undefined) return [];
        try {
          return [(await slot.process!.command({ kind: "diagnose" }, "diagnosed")).diagnosis];
        } catch (error) {
          slot.fail(error);
          this.#break([slot]);
          return [];
        }
      }),
    );
    return told.flat();
  }

  /** Has one worker write a checkpoint and, into folder `state`, what is needed to go on training; each rank writes its rows of the batch. */
  async save(folder: string, notes: CheckpointNotes, state?: string, record?: { readonly [key: string]: Json }): Promise<void> {
    const [first, ...others] = this.#slots.filter(({ isAlive }) => isAlive);
    if (!first) throw new WorkerLost("no worker is left to write the checkpoint");
    const parts = state === undefined ? [] : others.map(({ process }) => process!.command({ kind: "stage", state }, "staged"));
    const staged = Object.assign({}, ...(await Promise.all(parts)).map(({ files }) => files)) as FileRecords;
    const { step } = await first.process!.command({ kind: "save", folder, notes, state, staged, record }, "saved");
    if (state !== undefined) for (const lineage of new Set(this.#lineages)) lineage.saved(state, step);
  }

  /** Ends all workers at once and clears away what lies about. */
  kill(why = "was ended"): void {
    this.#ended = true;
    clearInterval(this.#watch);
    for (const slot of this.#slots) slot.end(why);
    for (const lineage of this.#lineages) lineage.close();
    this.#clearRing();
  }

  // ---- how workers take their places

  /**
   * Brings workers that share a model to one state, the best there is, and in training joins them in a new ring.
   *
   * @returns false where one was lost on the way: try again with those that are left
   */
  async #form(slots: readonly Slot[], training = true): Promise<boolean> {
    const lineage = this.#lineages[slots[0]!.rank]!;
    const started = await Promise.all(slots.map((slot) => slot.start()));
    this.#refuseEnded();
    if (started.includes(false)) return false;
    if (training && this.#recovers && !(await this.#handOver(slots, lineage))) return false;
    const sources = lineage.sources();
    const restore = sources.map(({ folder }) => folder);
    const together = training || !this.#joined;
    const worldSize = together ? slots.length : this.#slots.length;
    const ring = together && worldSize > 1 ? this.#newRing() : undefined;
    const results = await Promise.allSettled(
      slots.map((slot, i) => {
        const { rateScale } = lineage;
        const chosenStarts = this.#chosenStarts;
        const place: Formation = { rank: together ? i : slot.rank, worldSize, ring, restore, rateScale, chosenStarts };
        const formed = slot.process!.command({ kind: "form", ...place }, "formed");
        formed.catch(() => {
          for (const other of slots) if (other !== slot) other.process?.send({ kind: "abandon" });
        });
        return formed;
      }),
    );
    this.#refuseEnded();
    const before = Math.max(0, ...slots.map(({ step }) => step ?? 0));
    const formed = results.flatMap((result, i) => {
      if (result.status === "fulfilled") {
        Object.assign(slots[i]!, { formed: true, step: result.value.step });
        return [result.value];
      }
      slots[i]!.fail(result.reason);
      return [];
    });
    const damaged = new Map(formed.flatMap((report) => report.damaged.map(({ folder, problem }) => [folder, problem])));
    for (const [folder, problem] of damaged) {
      this.#watcher.event?.("warn", "snapshot-damaged", `${problem}; it is not used`, { folder });
      for (const source of sources) if (source.folder === folder) lineage.exclude(source);
    }
    const steps = new Set(formed.map(({ step }) => step));
    if (formed.length < slots.length || steps.size > 1) {
      this.#break(slots);
      return false;
    }
    if (together && this.#joined) this.#ringStands = true;
    const [step] = steps;
    if (step! > 0 || before > 0 || restore.length > 0) {
      const text = step! > 0 ? `the state after optimizer step ${step} is taken up` : "no snapshot can be taken up: training begins anew";
      this.#watcher.event?.(step! > 0 ? "info" : "warn", "restored", text, { step, ranks: slots.map(({ rank }) => rank) });
    }
    return true;
  }

  /**
   * Has a survivor write its state where that saves work: it is that of the last complete step, but without the samples under way, since
   * those of a lost worker are gone. Where none outlives a step, nothing is lost at all.
   *
   * @returns false where the survivor was lost over it
   */
  async #handOver(slots: readonly Slot[], lineage: Lineage): Promise<boolean> {
    const [newest] = lineage.sources();
    const survivor = furthest(slots);
    const gain = (survivor?.step ?? 0) - (newest?.step ?? 0);
    if (!survivor || gain <= 0) return true;
    const keepsAll = survivor.job.model.haltMaxSteps === 1;
    if (newest && !keepsAll && gain * this.#stepSeconds <= MAX_LOSS_SECONDS) return true;
    for (const place of [() => lineage.order?.folder, () => lineage.spareFolder()]) {
      let folder: string | undefined;
      try {
        folder = place();
      } catch (error) {
        this.#watcher.event?.("warn", "snapshot-failed", `the state that was reached can't be handed over: ${messageOf(error)}`);
      }
      if (folder === undefined) continue;
      try {
        const report = await survivor.process!.command({ kind: "snapshot", folder }, "snapshot");
        this.#hear(survivor.rank, report);
        if (report.problem === undefined) return true;
      } catch (error) {
        survivor.fail(error);
        return false;
      }
    }
    return true;
  }

  /** Training has diverged: back to the last good snapshot. @returns false where that was done too often already */
  #takeBack(slots: readonly Slot[], lineage: Lineage, message: string): boolean {
    for (const slot of slots) slot.step = undefined; // what diverged on one is wrong on all
    lineage.diverge();
    const again = lineage.rollbacks <= MAX_ROLLBACKS;
    const step = lineage.sources()[0]?.step ?? 0;
    const back = `${message}; back to the state after step ${step}`;
    if (again) {
      const text = `${back}, learning rates times ${lineage.rateScale} (${lineage.rollbacks} of ${MAX_ROLLBACKS})`;
      this.#watcher.event?.("warn", "diverged", text, { step, rateScale: lineage.rateScale });
      this.#watcher.rateScale?.(slots[0]!.rank, lineage.rateScale);
    } else this.#watcher.event?.("error", "diverged", `${back}; training ends here`, { step });
    return again;
  }

  #newRing(): NonNullable<Formation["ring"]> {
    this.#clearRing();
    this.#ringFolder = createRingFolder();
    return { folder: this.#ringFolder, token: randomBytes(16).toString("hex"), timeoutMillis: RING_TIMEOUT_MILLIS };
  }

  #clearRing(): void {
    if (this.#ringFolder) rmSync(this.#ringFolder, { recursive: true, force: true });
    this.#ringFolder = undefined;
  }

  #isFormed(slots: readonly Slot[]): boolean {
    return (!this.#joined || this.#ringStands) && slots.every((slot) => slot.isAlive && slot.formed);
  }

  /** These must take their places anew before they train. */
  #break(slots: readonly Slot[]): void {
    if (this.#joined) this.#ringStands = false;
    for (const slot of slots) slot.formed = false;
  }

  /** Waits for a worker's process until a deadline; one that takes longer goes on starting. */
  async #isThereBy(slot: Slot, deadline: number): Promise<boolean> {
    const { processStart, timeScale } = this.#clock;
    const left = (deadline - processStart - this.#clock.now()) * timeScale;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), 1000 * Math.max(0, left));
    });
    const there = slot.start().then(() => true); // what came of it shows when it is to take its place
    return Promise.race([there, late]).finally(() => clearTimeout(timer));
  }

  /** Not one more step would be made before the whole training's time is over. */
  #tooLate(slots: readonly Slot[], { finalDeadline }: Until): boolean {
    const start = Math.max(0, ...slots.filter(({ isAlive }) => !isAlive).map(({ startSeconds }) => startSeconds));
    const { processStart, timeScale } = this.#clock;
    return processStart + this.#clock.now() + start / timeScale + 2 * this.#stepSeconds > finalDeadline;
  }

  /** Optimizer steps of the state that the next predictions come from. */
  #standing(slots: readonly Slot[]): number {
    return furthest(slots)?.step ?? this.#lineages[slots[0]!.rank]!.sources()[0]?.step ?? 0;
  }

  #crew(): Slot[] {
    return this.#slots.filter(({ leftOut }) => !leftOut);
  }

  #hear(rank: number, report: ReportOf<"progress" | "warning" | "snapshot">): void {
    if (this.#ended) return;
    if (report.kind === "warning") this.#watcher.warning?.(rank, report.sentence);
    else if (report.kind === "progress") {
      this.#stepSeconds = report.progress.stepSeconds;
      this.#watcher.progress?.(rank, report, rank === this.#crew()[0]?.rank);
    } else if (report.problem !== undefined) {
      const text = `${report.problem}; the run goes on without a new snapshot, a later try may work`;
      this.#watcher.event?.("warn", "snapshot-failed", text, { rank, step: report.step });
    } else {
      this.#snapshotSeconds = report.seconds;
      const text = `snapshot after optimizer step ${report.step}: ${(report.bytes / 2 ** 20).toFixed(1)} MiB in ${report.seconds.toFixed(2)} s`;
      this.#watcher.event?.("debug", "snapshot", text, { rank, step: report.step, bytes: report.bytes, seconds: report.seconds });
    }
  }

  #refuseEnded(): void {
    if (this.#ended) throw new WorkerLost("the workers were ended");
  }
}

/** The one of these that is there and has come furthest, with a state known to be whole. */
function furthest(slots: readonly Slot[]): Slot | undefined {
  const whole = slots.filter((slot) => slot.isAlive && slot.step !== undefined);
  return whole.reduce<Slot | undefined>((best, slot) => (best && best.step! >= slot.step! ? best : slot), undefined);
}

function isDivergence(error: unknown): boolean {
  return error instanceof WorkFailed && error.failure === "diverged";
}
