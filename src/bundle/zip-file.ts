/** Writes a zip archive file by file, in little memory. */
import { closeSync, createReadStream, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { crc32, createDeflateRaw } from "node:zlib";
import { Zip, type ZipInputFile } from "fflate";
import { UserError } from "../errors.ts";

/** A file that goes into an archive. */
export interface ZipEntry {
  /** name in the archive and in the folder it is read from */
  readonly name: string;
  /** may be executed: unzip sets this on the systems that know of it */
  readonly executable: boolean;
}

/** Deflate, in the numbers of the format. */
const DEFLATE = 8;
/** "made on Unix": the upper half of the attributes are a file's mode. */
const UNIX = 3;
/** The format without its 64-bit extension, which fflate does not write, ends here. */
const MAX_BYTES = 2 ** 32 - 1;

/**
 * Zips files of a folder; the archive appears when it is whole. The same files and time give the same bytes.
 *
 * @param time of every entry, in local time as the format has it
 * @returns the compressed size of each file in bytes, in the order of the entries
 * @throws UserError where a file or the archive is too large for the format
 */
export async function writeZip(path: string, folder: string, entries: readonly ZipEntry[], time: Date): Promise<number[]> {
  const temporary = `${path}.${process.pid}.tmp`;
  const out = openSync(temporary, "wx", 0o644);
  let written = 0;
  const sizes: number[] = [];
  try {
    // Zip calls back at once, within add, ondata and end: what is thrown here reaches the caller.
    const zip = new Zip((error, chunk) => {
      if (error) throw error;
      for (let done = 0; done < chunk.length; ) done += writeSync(out, chunk, done);
      written += chunk.length;
      if (written > MAX_BYTES) throw new UserError(`${path}: would be larger than 4 GiB; Kaggle takes the folder beside it as it is`);
    });
    for (const entry of entries) sizes.push(await addFile(zip, folder, entry, time));
    zip.end();
    closeSync(out);
    renameSync(temporary, path);
  } catch (error) {
    try {
      closeSync(out);
    } catch {} // closed above
    rmSync(temporary, { force: true });
    throw error;
  }
  return sizes;
}

/** Streams a file through zlib, which is three times as fast as fflate's own deflate. */
async function addFile(zip: Zip, folder: string, { name, executable }: ZipEntry, time: Date): Promise<number> {
  const path = join(folder, name);
  if (statSync(path).size > MAX_BYTES) throw new UserError(`${path}: is larger than 4 GiB, too large for a zip`);
  const attrs = ((executable ? 0o100755 : 0o100644) << 16) >>> 0;
  const file: ZipInputFile = { filename: name, size: 0, crc: 0, compression: DEFLATE, flag: 0, os: UNIX, attrs, mtime: time };
  zip.add(file);
  let compressed = 0;
  const deflate = createDeflateRaw({ level: 6 });
  const source = createReadStream(path);
  source.on("data", (chunk) => {
    file.crc = crc32(chunk as Buffer, file.crc);
    file.size += (chunk as Buffer).length;
  });
  source.on("error", (error) => deflate.destroy(error));
  for await (const chunk of source.pipe(deflate) as AsyncIterable<Buffer>) {
    compressed += chunk.length;
    file.ondata!(null, new Uint8Array(chunk), false);
  }
  file.ondata!(null, new Uint8Array(0), true);
  return compressed;
}
