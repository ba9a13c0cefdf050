/** Folders for what need not outlive the process, wherever there is room for one. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../errors.ts";

/** Where there may be room: the temporary folder can be full, read-only, or have been cleared away under a run of hours. */
const PLACES = ["/tmp", "/dev/shm", "/var/tmp"];

/**
 * Makes a new folder that is this user's alone. Remove it after use.
 *
 * @param longest bytes that the path before its name may have at most
 * @throws Error that says why there is none to be had anywhere
 */
export function makeTemporaryFolder(prefix: string, longest = Number.POSITIVE_INFINITY): string {
  const reasons: string[] = [];
  for (const place of new Set([tmpdir(), ...PLACES])) {
    if (Buffer.byteLength(place) > longest) continue;
    try {
      mkdirSync(place, { recursive: true });
      return mkdtempSync(join(place, prefix));
    } catch (error) {
      reasons.push(messageOf(error));
    }
  }
  throw new Error(`no temporary folder can be made: ${reasons.join("; ")}`);
}
