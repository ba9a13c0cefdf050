/** Files that are never seen half-written: temporary name in the same folder, sync, rename, sync of the folder. */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * Replaces a file at once: a reader sees all of the old one or all of the new one, also after a crash or power loss.
 * The folder is made if it is missing.
 *
 * @throws what the file system throws (disk full, no permission); the old file is untouched then and no temporary file stays
 */
export function writeFileAtomically(path: string, content: string | Uint8Array | Iterable<Uint8Array>): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true });
  const temporary = join(folder, `.${basename(path)}.${process.pid}.${process.hrtime.bigint().toString(36)}.tmp`);
  const parts = typeof content === "string" ? [Buffer.from(content, "utf8")] : content instanceof Uint8Array ? [content] : content;
  try {
    const file = openSync(temporary, "wx", 0o644);
    try {
      for (const part of parts) for (let done = 0; done < part.byteLength; ) done += writeSync(file, part, done);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(folder);
}

/** Makes a rename durable. Some file systems refuse to sync a folder; the rename itself is still atomic there. */
function syncFolder(folder: string): void {
  try {
    const handle = openSync(folder, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch {}
}
