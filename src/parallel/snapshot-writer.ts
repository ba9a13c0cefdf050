/** When a worker writes snapshots, and what becomes of those that can't be written. */
import type { Clock } from "../budget/clock.ts";
import type { SafetensorsTensor } from "../checkpoint/safetensors.ts";
import { writeSnapshot } from "../checkpoint/snapshots.ts";
import type { CarryPart, TrainingState } from "../checkpoint/training-state.ts";
import { InputError, messageOf } from "../errors.ts";
import type { SnapshotTaker } from "../train/loop.ts";
import { Diverged, type Replica } from "../train/replica.ts";
import { carryPartOf } from "../train/resume.ts";
import type { Report, SnapshotOrder } from "./job.ts";

/** Snapshots may take this share of the training's time. */
const SNAPSHOT_SHARE = 0.02;
/** The rows of the batch are kept where they take no more than this; else they begin new samples after a restart. */
const MAX_CARRIED_BYTES = 2 ** 27;
/** After a snapshot that could not be written the next one waits this much longer. */
const RETRY_FACTOR = 4;

/** Writes the snapshots of one worker. */
export class SnapshotWriter {
  readonly #send: (report: Report) => void;
  readonly #clock: Clock;
  /** instant of the next one, in seconds; not known before the first training */
  #next: number | undefined;

  constructor(send: (report: Report) => void, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  /**
   * The taker of a stretch of training. Rank 0 writes; the others hand in their rows of the batch.
   *
   * @param rank    whether this is rank 0, at the moment
   * @param carryOf the rows of the batch on all ranks, see `carryOfAll`
   */
  taker(
    order: SnapshotOrder,
    rank: () => number,
    stateOf: () => Promise<TrainingState>,
    carryOf: () => Promise<CarryPart | undefined>,
  ): SnapshotTaker {
    const seconds = (): number => this.#clock.now();
    this.#next ??= seconds() + order.everySeconds;
    return {
      due: () => seconds() >= this.#next!,
      take: async () => {
        const began = seconds();
        const carry = await carryOf();
        if (rank() !== 0) return;
        this.#send({ kind: "standstill", underway: true });
        const written = await this.write(order.folder, stateOf, carry).finally(() => this.#send({ kind: "standstill", underway: false }));
        const pause = Math.max(order.everySeconds, (seconds() - began) / SNAPSHOT_SHARE);
        this.#next = seconds() + pause * (written ? 1 : RETRY_FACTOR);
      },
    };
  }

  /**
   * Writes a snapshot and tells of it. A file system that refuses is told of too: training goes on without a new snapshot.
   *
   * @returns whether it was written
   * @throws Diverged where the state is not worth keeping
   */
  async write(folder: string, stateOf: () => Promise<TrainingState>, carry?: CarryPart): Promise<boolean> {
    const began = this.#clock.now();
    const state = await stateOf();
    const step = Number(state.record.step);
    const report = (bytes: number, problem?: string): void =>
      this.#send({ kind: "snapshot", step, bytes, seconds: this.#clock.now() - began, problem });
    try {
      report(writeSnapshot(folder, state, carry).bytes);
      return true;
    } catch (error) {
      if (error instanceof InputError) throw new Diverged(`the state after optimizer step ${step} is not finite: ${messageOf(error)}`);
      report(0, messageOf(error));
      return false;
    }
  }
}

/** The rows of the batch on all ranks, in their order; none where no sample outlives a step, or where they are too many. */
export async function carryOfAll(replica: Replica): Promise<CarryPart | undefined> {
  const { haltMaxSteps, globalBatch, positions, model } = replica.settings;
  const latents = 2 * (positions.length / (model.ropeAxes ?? 1)) * model.hiddenSize;
  if (haltMaxSteps === 1 || 4 * globalBatch * latents > MAX_CARRIED_BYTES) return undefined;
  const own = await carryPartOf(replica);
  const all = new Map<string, SafetensorsTensor>();
  for (const [name, { dtype, shape, data }] of own) {
    const parts = await replica.exchange.allGather(Float32Array.from(data as Int32Array)); // whole numbers up to 16.7 million stay as they are
    const size = globalBatch * shape[1]!;
    const whole = dtype === "I32" ? new Int32Array(size) : dtype === "U8" ? new Uint8Array(size) : new Float32Array(size);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    all.set(name, { dtype, shape: [globalBatch, shape[1]!], data: whole } as SafetensorsTensor);
  }
  return all;
}
