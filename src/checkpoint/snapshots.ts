/** Snapshots of a training under way: two training states that are written in turns, so that a good one stands while the other is replaced. */
import { mkdirSync, rmdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { removeUnfinished } from "./staged-files.ts";
import { type CarryPart, loadTrainingRecord, saveTrainingState, stageCarry, type TrainingState } from "./training-state.ts";

/** Folders of the two states below a snapshot folder. */
const PLACES = ["a", "b"] as const;
/** While one is written there are three; where they would take more than this, the older one makes way first. */
const MAX_BYTES = 1.5 * 2 ** 30;
/** Left free on the disk, for the submission and the log: this much, or a part of a small disk. */
const FREE_BYTES = 2 ** 26;
const FREE_SHARE = 0.05;

/** A snapshot as its record tells of it; whether its arrays are whole shows when they are read. */
export interface SnapshotEntry {
  readonly folder: string;
  /** snapshots are numbered as they are written */
  readonly sequence: number;
  /** optimizer steps done */
  readonly step: number;
}

/** The snapshots in a folder, newest first. Those whose record can't be read are left out. */
export function listSnapshots(folder: string): SnapshotEntry[] {
  const entries = PLACES.flatMap((place) => {
    const at = join(folder, place);
    try {
      const record = loadTrainingRecord(at);
      return record ? [{ folder: at, sequence: Number(record.sequence), step: Number(record.step) }] : [];
    } catch {
      return []; // a record that was damaged: to be written over
    }
  });
  return entries.sort((a, b) => b.sequence - a.sequence);
}

/** Removes the snapshots in a folder, and the folder where nothing else is in it. */
export function removeSnapshots(folder: string): void {
  for (const place of PLACES) rmSync(join(folder, place), { recursive: true, force: true });
  try {
    rmdirSync(folder);
  } catch {} // it is not there, or holds what is not ours
}

/**
 * Writes a snapshot in the place of the older one. Killed at any instant, the newer one stands.
 *
 * @param carry rows of the whole batch on their way; without them rows begin new samples
 * @returns its folder and its bytes
 * @throws InputError where the state holds NaN or an infinity; Error with code ENOSPC where the disk has too little room for it: nothing was
 *   written then; what the file system throws
 */
export function writeSnapshot(folder: string, state: TrainingState, carry?: CarryPart): { folder: string; bytes: number } {
  const entries = listSnapshots(folder);
  const newest = entries[0];
  const place = PLACES.map((name) => join(folder, name)).find((at) => at !== newest?.folder)!;
  if (!entries.some((entry) => entry.folder === place)) rmSync(place, { recursive: true, force: true }); // damaged, or never finished
  const arrays = [...state.state.values(), ...(carry?.values() ?? [])].reduce((sum, { data }) => sum + data.byteLength, 0);
  const bytes = arrays + 4 * (state.rows?.count ?? 0) * (state.rows?.size ?? 0);
  if (3 * bytes > MAX_BYTES) rmSync(place, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  removeUnfinished(place); // what a process that was killed has left takes room
  refuseFullDisk(folder, bytes);
  const staged = carry && stageCarry(place, 0, carry);
  saveTrainingState(place, { ...state, record: { ...state.record, sequence: (newest?.sequence ?? 0) + 1 } }, { carry: staged });
  return { folder: place, bytes };
}

/** Throws before a disk is filled to the brim. */
function refuseFullDisk(folder: string, bytes: number): void {
  const { bsize, bavail, blocks } = statfsSync(folder);
  const free = bavail * bsize - Math.min(FREE_BYTES, FREE_SHARE * blocks * bsize);
  if (free >= bytes) return;
  const mib = (count: number): string => `${(Math.max(0, count) / 2 ** 20).toFixed(1)} MiB`;
  throw Object.assign(new Error(`no space for a snapshot of ${mib(bytes)} (${mib(free)} free)`), { code: "ENOSPC" });
}
