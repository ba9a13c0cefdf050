/** What does a worker's commands, and what every kind of it does in the same way: sit in the ring, take up a state, train and tell of it. */
import { loadTrainingState, type TrainingState } from "../checkpoint/training-state.ts";
import { messageOf } from "../errors.ts";
import type { Progress, SnapshotTaker, TrainingLoop, Until } from "../train/loop.ts";
import { MetricSums } from "../train/metric-sums.ts";
import type { Exchange } from "../train/replica.ts";
import { joinRing, type Ring } from "./all-reduce.ts";
import type { Command, Formation, Holding, Report } from "./job.ts";
import type { PulseSender } from "./pulse.ts";

/** Longest time without a progress report, in real seconds; steps that are faster are told of together. */
const REPORT_SECONDS = 0.25;

/** Does a worker's commands, once it has its job. */
export interface Laborer {
  /** optimizer steps that were completed; undefined before there is a replica */
  readonly step: number | undefined;
  obey(command: Exclude<Command, { kind: "job" | "stop" | "abandon" }>): Promise<void>;
  /** ends the training under way after its current step */
  stop(): void;
  /** gives up joining a ring, if that is under way */
  abandon(): void;
  /** makes the next training step diverge, as a fault of the hardware would; for tests of the way back */
  poison(): void;
}

/** A worker's seat in the ring of those that share its model. */
export class RingSeat {
  readonly #pulse: PulseSender;
  #ring: Ring | undefined;
  #joining: AbortController | undefined;

  constructor(pulse: PulseSender) {
    this.#pulse = pulse;
  }

  /** Leaves the ring there was and joins the one that is told. @returns how to talk to the others; undefined where there is no ring */
  async take({ rank, worldSize, ring }: Formation): Promise<Exchange | undefined> {
    this.close();
    const { signal } = (this.#joining = new AbortController());
    this.#ring = ring && (await this.#pulse.waitForPeers(() => joinRing({ ...ring, rank, worldSize, signal })));
    return this.#ring && this.#patient(this.#ring);
  }

  /** Gives up joining, if that is under way. */
  abandon(): void {
    this.#joining?.abort();
  }

  /** Leaves; the others need not wait for this rank. */
  close(): void {
    this.#ring?.close();
  }

  /** The ring, with word to the parent whenever this rank waits for others. */
  #patient(ring: Ring): Exchange {
    return {
      rank: ring.rank,
      worldSize: ring.worldSize,
      allReduceSum: (data) => this.#pulse.waitForPeers(() => ring.allReduceSum(data)),
      allGather: (data) => this.#pulse.waitForPeers(() => ring.allGather(data)),
    };
  }
}

/**
 * Takes up the first of these training states that is whole.
 *
 * @param takeUp throws where a state is of another shape: what is there then counts for nothing
 */
export async function takeUpFirst(
  folders: readonly string[],
  takeUp: (state: TrainingState, folder: string) => void | Promise<void>,
): Promise<Pick<Extract<Report, { kind: "formed" }>, "restored" | "damaged">> {
  const damaged: { folder: string; problem: string }[] = [];
  for (const folder of folders) {
    try {
      const state = loadTrainingState(folder);
      if (!state) throw new Error(`${folder}: no training state here`);
      await takeUp(state, folder);
      return { restored: folder, damaged };
    } catch (error) {
      damaged.push({ folder, problem: messageOf(error) });
    }
  }
  return { restored: undefined, damaged };
}

/** What a stretch of training needs of its worker. */
export interface StretchSurroundings {
  readonly pulse: Pick<PulseSender, "beat">;
  readonly seat: Pick<RingSeat, "close">;
  readonly snapshots: SnapshotTaker | undefined;
  send(report: Report): void;
  /** tensors that the engine holds */
  tensors(): number;
  /** told of each step */
  each?(progress: Progress): void;
}

/** What this process holds beside so many tensors. */
export function holding(tensors: number): Holding {
  return { rssBytes: process.memoryUsage.rss(), tensors };
}

/** Trains until it is time to stop, and tells of it on the way and at the end. */
export async function trainStretch(
  loop: Pick<TrainingLoop, "run" | "step" | "stepSeconds">,
  until: Until,
  { pulse, seat, snapshots, send, tensors, each }: StretchSurroundings,
): Promise<void> {
  let reported = 0;
  const untold = new MetricSums();
  let last: Progress | undefined;
  const tell = (): void => {
    const of = untold.take();
    if (!of) return;
    send({ kind: "progress", progress: { ...last!, ...of.metrics, steps: of.steps }, ...holding(tensors()) });
  };
  const watch = (progress: Progress): void => {
    pulse.beat();
    each?.(progress);
    untold.add(progress);
    last = progress;
    const now = performance.now() / 1000;
    if (now - reported < REPORT_SECONDS) return;
    reported = now;
    tell();
  };
  try {
    const why = await loop.run(until, watch, snapshots);
    tell();
    send({ kind: "trained", step: loop.step, why, stepSeconds: loop.stepSeconds });
  } catch (error) {
    seat.close(); // or the others would wait for this rank
    throw error;
  }
}
