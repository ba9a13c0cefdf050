/** Space on a disk that is kept for the file that matters most, and given up when the disk is full. */
import { closeSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";

const NAME = ".trm-reserve";
const PIECE = Buffer.alloc(2 ** 16, "reserve");
/** A small disk is not filled with it. */
const MAX_SHARE = 0.2;

/** Keeps `bytes` in a folder as a file of that size. */
export class DiskReserve {
  readonly #path: string;
  readonly #folder: string;
  readonly #bytes: number;

  constructor(folder: string, bytes: number) {
    this.#folder = folder;
    this.#path = join(folder, NAME);
    this.#bytes = bytes;
  }

  /** Takes the space, as far as there is any. */
  hold(): void {
    try {
      const { bsize, bavail } = statfsSync(this.#folder);
      const wanted = Math.min(this.#bytes, MAX_SHARE * bavail * bsize);
      if ((statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) >= wanted) return;
      const file = openSync(this.#path, "w", 0o644);
      try {
        for (let done = 0; done + PIECE.length <= wanted; ) done += writeSync(file, PIECE);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } catch {
      this.release(); // too full already: then nothing is kept
    }
  }

  /** Gives the space back. @returns whether there was any */
  release(): boolean {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    try {
      rmSync(this.#path, { force: true });
    } catch {
      return false;
    }
    return size > 0;
  }
}
