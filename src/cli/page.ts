/** Pages of any kind of folder. */
import { join } from "node:path";
import { messageOf, UserError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { isLocked } from "../files/processes.ts";
import { gatherReport } from "../report/gather.ts";
import { reportHtml } from "../report/html.ts";
import { folderKind, gatherDocument } from "../report/read-document-file.ts";
import { REPORT_FILE, readRun } from "../report/read-run-file.ts";
import type { DocumentData, ReportData } from "../report/report-data.ts";

/** Held by the process that pre-trains. */
export const PRETRAIN_LOCK = "pretrain.lock";

/** Held by the process that compares. */
export const COMPARE_LOCK = "compare.lock";

/** What the page of a folder shows. */
export function gatherPage(folder: string, solutions: string | undefined): ReportData | DocumentData {
  const kind = folderKind(folder);
  if (kind === "run") return gatherReport(readRun(folder, solutions), Date.now());
  if (solutions !== undefined) throw new UserError(`--solutions: ${folder} is the folder of a ${kind}, which has no answers to score`);
  return gatherDocument(folder, kind, isLocked(join(folder, kind === "training" ? PRETRAIN_LOCK : COMPARE_LOCK)), Date.now());
}

/** The page of a pre-training at its end, or of a comparison, in its folder. What goes wrong is told; nothing else suffers. */
export function documentAtEnd(folder: string, kind: "training" | "comparison", isRunning = false): void {
  try {
    writeFileAtomically(join(folder, REPORT_FILE), reportHtml(gatherDocument(folder, kind, isRunning, Date.now())));
  } catch (error) {
    console.error(`no report was written (${messageOf(error)}); \`trm report ${folder}\` makes it`);
  }
}
