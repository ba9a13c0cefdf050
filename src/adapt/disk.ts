/** The disks that a run writes to, and what is given up when one of them is full: the submission comes before everything else. */
import { rmSync } from "node:fs";
import { listSnapshots } from "../checkpoint/snapshots.ts";
import type { EventLog } from "../events.ts";
import { DiskReserve } from "../files/disk-reserve.ts";

/** Kept free beside the submission. */
const RESERVE_BYTES = 10 * 2 ** 20;
/** Snapshots of workers apart. */
const MAX_WORKERS = 64;

export class RunDisk {
  readonly #reserve: DiskReserve;
  readonly #snapshots: string | undefined;
  readonly #log: EventLog;

  /**
   * @param outFolder folder of the submission
   * @param snapshots folder of the snapshots, where the run keeps any
   */
  constructor(outFolder: string, snapshots: string | undefined, log: EventLog) {
    this.#reserve = new DiskReserve(outFolder, RESERVE_BYTES);
    this.#snapshots = snapshots;
    this.#log = log;
  }

  /** Takes the reserve. */
  open(): void {
    this.#reserve.hold();
  }

  /** Gives up the reserve, then older snapshots. @returns false where there is nothing more to give up */
  makeRoom(): boolean {
    if (this.#reserve.release()) {
      this.#log.emit("warn", "disk-full", "the disk is full: the space kept for the submission is used now");
      return true;
    }
    const older = this.#snapshotFolders().flatMap((folder) => listSnapshots(folder).slice(1));
    for (const { folder } of older) rmSync(folder, { recursive: true, force: true });
    if (older.length > 0)
      this.#log.emit("warn", "disk-full", "the disk is full: the older snapshot is removed to make room for the submission");
    return older.length > 0;
  }

  /** Gives the reserve back. */
  close(): void {
    this.#reserve.release();
  }

  #snapshotFolders(): string[] {
    const root = this.#snapshots;
    return root === undefined ? [] : [root, ...Array.from({ length: MAX_WORKERS }, (_, rank) => `${root}/worker-${rank}`)];
  }
}
