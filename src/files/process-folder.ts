/** Temporary folders that bear the number of the process that made them, so that whoever ends it can remove them. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const prefixOf = (pid: number): string => `trm-process-${pid}-`;

/** A new folder of this process, in the temporary folder, which is made where it has gone. Remove it after use. */
export function makeProcessFolder(): string {
  mkdirSync(tmpdir(), { recursive: true });
  return mkdtempSync(join(tmpdir(), prefixOf(process.pid)));
}

/** Removes what a process that was ended has left. Never throws: what can't be removed stays. */
export function removeProcessFolders(pid: number): void {
  try {
    for (const name of readdirSync(tmpdir()))
      if (name.startsWith(prefixOf(pid))) rmSync(join(tmpdir(), name), { recursive: true, force: true, maxRetries: 3, retryDelay: 10 });
  } catch {
    // the temporary folder itself may be gone
  }
}
