/** Rows of a table that has no room in memory. */
import { closeSync, mkdirSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

/** A file of equally long rows of float32 that no one else sees: it is gone with the process, however that ends. */
export class RowFile {
  readonly #file: number;
  readonly #rowBytes: number;

  /**
   * @param folder on a disk with room for the whole table; made where it is missing
   * @param size   numbers a row
   */
  constructor(folder: string, size: number) {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `.rows.${process.pid}.${process.hrtime.bigint().toString(36)}.tmp`);
    this.#file = openSync(path, "wx+", 0o600);
    rmSync(path); // the open file stays
    this.#rowBytes = 4 * size;
  }

  /** Reads a row that was written before. */
  read(place: number, row: Float32Array): void {
    const bytes = new Uint8Array(row.buffer, row.byteOffset, this.#rowBytes);
    for (let done = 0; done < this.#rowBytes; ) {
      const got = readSync(this.#file, bytes, done, this.#rowBytes - done, place * this.#rowBytes + done);
      if (got === 0) throw new Error(`row ${place} was never written`);
      done += got;
    }
  }

  write(place: number, row: Float32Array): void {
    const bytes = new Uint8Array(row.buffer, row.byteOffset, this.#rowBytes);
    for (let done = 0; done < this.#rowBytes; ) {
      done += writeSync(this.#file, bytes, done, this.#rowBytes - done, place * this.#rowBytes + done);
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}
