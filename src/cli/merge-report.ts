/** The page of a run in shards, for `merge --report`. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { messageOf, UserError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { gatherReport } from "../report/gather.ts";
import { reportHtml } from "../report/html.ts";
import { type Merged, mergedRun, type ShardRun } from "../report/merged-run.ts";
import { readRun } from "../report/read-run-file.ts";
import type { NamedPart } from "../vote/parts.ts";

/**
 * Writes one page of all shards whose candidate files lie in their run folders.
 *
 * @throws UserError where none does, or where the page can't be written
 */
export function writeMergedReport(path: string, parts: readonly NamedPart[], merged: Merged): void {
  const shards: ShardRun[] = [];
  const notes = [...merged.notes];
  for (const { where, part } of parts) {
    const folder = dirname(where);
    if (!part) continue;
    if (existsSync(join(folder, "config.json"))) shards.push({ index: part.shard.index, run: readRun(folder) });
    else notes.push(`Shard ${part.shard.index} has left no run folder beside ${where}.`);
  }
  if (shards.length === 0)
    throw new UserError(
      `--report ${path}: none of the files lies in the run folder of a shard; begin shards with --run-dir, and merge the candidates.json there`,
    );
  const html = reportHtml(gatherReport(mergedRun(shards, { ...merged, notes }), Date.now()));
  try {
    writeFileAtomically(path, html);
  } catch (error) {
    throw new UserError(`--report ${path}: can't be written: ${messageOf(error)}`, { cause: error });
  }
}
