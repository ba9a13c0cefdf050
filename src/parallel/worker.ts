/** A worker process: takes its parent's commands one after the other and tells what came of them. */
import { messageOf, UserError } from "../errors.ts";
import { causeOf } from "./failure.ts";
import type { Command, Report } from "./job.ts";
import type { Laborer } from "./laborer.ts";
import { startPulse } from "./pulse.ts";
import { Sleeper } from "./sleeper.ts";
import { Work } from "./work.ts";

/**
 * Set by tests of the way back from a training that diverges: the signal SIGUSR2 makes the next step do so. `attention` ends the process
 * where attention by cuDNN would run for the first time, as an error in native code does; `start` where TensorFlow would be loaded.
 */
const FAULT_VARIABLE = "TRM_FAULT_INJECTION";

/** Serves the parent until the IPC channel closes. */
export async function serveParent(): Promise<void> {
  const send = (report: Report): void => {
    if (process.connected) process.send!(report);
    if (report.kind === "first-run" && report.fused && report.underway && process.env[FAULT_VARIABLE] === "attention") process.abort();
  };
  process.on("disconnect", () => process.exit(0)); // the parent is gone: nothing here is worth going on for
  const pulse = startPulse();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {}); // the parent decides when workers end
  let work: Laborer | undefined;
  if (process.env[FAULT_VARIABLE]) process.on("SIGUSR2", () => work?.poison());
  let queue: Promise<void> = Promise.resolve();
  const fail = (error: unknown): void => {
    send({
      kind: "failed",
      message: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
      user: error instanceof UserError,
      cause: causeOf(error),
      step: work?.step,
    });
  };
  process.on("uncaughtException", fail);
  process.on("message", (command: Command) => {
    if (command.kind === "stop") return work?.stop();
    if (command.kind === "abandon") return work?.abandon();
    queue = queue
      .then(async () => {
        if (command.kind === "job" && command.job.engine === "tensorflow" && process.env[FAULT_VARIABLE] === "start") process.abort();
        if (command.kind === "job") work = await (command.job.rehearsal ? Sleeper : Work).begin(command.job, send, pulse);
        else if (!work) throw new Error(`${command.kind} before a job`);
        else await work.obey(command);
      })
      .catch(fail);
  });
}
