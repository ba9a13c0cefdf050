/** A file that only grows, and that a full disk does not end: what can't be written is given up, and what was written stays whole. */
import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf } from "../errors.ts";

/** After a write that failed, nothing is tried for this long. */
const RETRY_MILLIS = 10_000;

/** Appends pieces, each of them whole or not at all. */
export class AppendFile {
  readonly path: string;
  readonly #refused: (text: string) => void;
  readonly #maxBytes: number;
  #file: number | undefined;
  /** length up to the last piece that is whole */
  #length = 0;
  #retryAt = Number.NEGATIVE_INFINITY;
  #told = false;

  /**
   * Opens the file, or makes it and its folder.
   *
   * @param refused  is told once, and again after writes have worked in between, that the file system refuses
   * @param maxBytes a file that has grown larger is set aside as `PATH.1`, in place of the one before
   */
  constructor(path: string, refused: (text: string) => void, maxBytes = Number.POSITIVE_INFINITY) {
    this.path = path;
    this.#refused = refused;
    this.#maxBytes = maxBytes;
    this.#open();
  }

  /** Appends a piece. @returns whether it was written */
  append(piece: Uint8Array): boolean {
    if (performance.now() < this.#retryAt || (this.#file === undefined && !this.#open())) return false;
    try {
      for (let done = 0; done < piece.byteLength; ) done += writeSync(this.#file!, piece, done);
      this.#length += piece.byteLength;
      this.#told = false;
      if (this.#length > this.#maxBytes) this.#setAside();
      return true;
    } catch (error) {
      try {
        ftruncateSync(this.#file!, this.#length); // half a piece would hide those after it
      } catch {} // then what follows is told apart by its own check
      this.#refuse(error);
      return false;
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #setAside(): void {
    this.close();
    try {
      renameSync(this.path, `${this.path}.1`);
    } catch {} // then it goes on growing
    this.#open();
  }

  #open(): boolean {
    try {
      mkdirSync(dirname(this.path), { recursive: true });
      this.#file = openSync(this.path, "a", 0o644);
      this.#length = fstatSync(this.#file).size;
      return true;
    } catch (error) {
      this.#refuse(error);
      return false;
    }
  }

  #refuse(error: unknown): void {
    this.#retryAt = performance.now() + RETRY_MILLIS;
    if (!this.#told) this.#refused(`${this.path} can't be written: ${messageOf(error)}; going on without it, a later try may work`);
    this.#told = true;
  }
}
