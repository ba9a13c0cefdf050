/** The training that a group of workers has in common: its snapshots, and how often it was taken back to one. */
import { rmSync } from "node:fs";
import { listSnapshots, type SnapshotEntry } from "../checkpoint/snapshots.ts";
import { makeTemporaryFolder } from "../files/temporary-folder.ts";
import type { SnapshotOrder } from "./job.ts";

/** A training that diverges is taken back this often, with half the learning rates each time. */
export const MAX_ROLLBACKS = 3;

/** Joined workers share one; each worker has its own where they are apart. */
export class Lineage {
  /** factor of both learning rates */
  rateScale: number;
  rollbacks = 0;
  readonly #order: SnapshotOrder | undefined;
  /** where a state lies that the disk has no room for */
  #spare: string | undefined;
  /** the training's own state, as it was saved last */
  #saved: SnapshotEntry | undefined;
  /** snapshots that were found damaged, or from which training has diverged more than once */
  readonly #bad = new Set<string>();

  /** @param order where snapshots are kept; none where they aren't */
  constructor(order: SnapshotOrder | undefined, rateScale = 1) {
    this.#order = order;
    this.rateScale = rateScale;
  }

  /** What workers are told to write; undefined where no snapshots are kept. */
  get order(): SnapshotOrder | undefined {
    return this.#order;
  }

  /** States to go on from, best first. */
  sources(): SnapshotEntry[] {
    const isGood = (entry: SnapshotEntry): boolean => !this.#bad.has(keyOf(entry));
    const kept = this.#order ? listSnapshots(this.#order.folder).filter(isGood) : [];
    const spare = this.#spare === undefined ? [] : listSnapshots(this.#spare);
    const newest = kept[0]?.step ?? -1;
    const others = [...spare, ...(this.#saved ? [this.#saved] : [])].filter(({ step }) => step > newest);
    return [...others.filter(isGood).sort((a, b) => b.step - a.step), ...kept];
  }

  /** The training's state was saved: where snapshots are older, as on a disk without room for them, it is what to go on from. */
  saved(folder: string, step: number): void {
    this.#saved = { folder, step, sequence: step };
  }

  /** Training has diverged: the next attempt goes on with half the rates, from an older snapshot where the newest has led here before. */
  diverge(): void {
    const [newest, older] = this.sources();
    if (this.rollbacks > 0 && newest && older) this.exclude(newest);
    this.rollbacks++;
    this.rateScale /= 2;
  }

  /** Passes a snapshot over from now on; the next ones take its place in their turn. */
  exclude(snapshot: SnapshotEntry): void {
    this.#bad.add(keyOf(snapshot));
  }

  /** A folder outside the run's own, for a state that must be handed over though the disk is full. */
  spareFolder(): string {
    this.#spare ??= makeTemporaryFolder("trm-state-");
    return this.#spare;
  }

  /** Removes what lies outside the run's own folder. */
  close(): void {
    if (this.#spare !== undefined) rmSync(this.#spare, { recursive: true, force: true });
    this.#spare = undefined;
  }
}

function keyOf({ folder, sequence }: SnapshotEntry): string {
  return `${folder} ${sequence}`;
}
