/** The page that a run leaves in its folder, written at its very end: by a process of its own, which is ended where the time is over. */
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EventLog } from "../events.ts";
import { REPORT_FILE } from "../report/read-run-file.ts";

/** A process that has less time than this would not even start. */
const LEAST_SECONDS = 0.3;
/** The page of 240 large tasks takes 1 s, with all votes of a long run a few more. */
const MOST_SECONDS = 60;

/** Takes away the page of a run that was in the folder before. */
export function forgetReport(folder: string): void {
  rmSync(join(folder, REPORT_FILE), { force: true });
}

/** Writes the page, if that can be done in so many seconds; what becomes of it is logged. */
export async function reportAtEnd(folder: string, seconds: number, log: EventLog): Promise<void> {
  const later = `\`trm report ${folder}\` makes it`;
  if (seconds < LEAST_SECONDS) return log.emit("info", "report", `no time is left for a report; ${later}`);
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "report", folder], { stdio: ["ignore", "ignore", "pipe"] });
  const end = (): boolean => child.kill("SIGKILL");
  process.once("exit", end); // a signal ends this process at once
  const timer = setTimeout(end, 1000 * Math.min(MOST_SECONDS, seconds));
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-1000);
  });
  const why = await new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(code === 0 ? undefined : signal ? "the time was over" : said.trim()));
  });
  clearTimeout(timer);
  process.removeListener("exit", end);
  if (why === undefined) log.emit("info", "report", `${join(folder, REPORT_FILE)} written`);
  else log.emit("info", "report", `no report was written (${why}); ${later}`);
}
