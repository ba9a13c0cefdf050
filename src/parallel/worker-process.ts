/** One worker process as its parent sees it. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { monotonicSeconds } from "../budget/clock.ts";
import { UserError } from "../errors.ts";
import { removeProcessFolders } from "../files/process-folder.ts";
import type { Command, FailureCause, Report } from "./job.ts";
import { countOomKills } from "./oom-kills.ts";
import { PULSE_PIPE, parsePulses } from "./pulse.ts";
import { type Patience, Vigil } from "./vigil.ts";

export type ReportOf<Kind extends Report["kind"]> = Extract<Report, { kind: Kind }>;

/** What is told of a process without being asked for. */
export interface ProcessWatcher {
  /** a report that answers no command */
  report(report: ReportOf<"progress" | "warning" | "snapshot" | "first-run">): void;
  /** a line that the process, or a library in it, wrote to its standard output or error */
  line(text: string): void;
  /** the process is gone though nobody ended it, or was ended because it hung */
  lost(error: WorkerLost): void;
}

/** A worker process is gone. */
export class WorkerLost extends Error {
  override readonly name = "WorkerLost";
  constructor(
    message: string,
    /** the kernel ended it, or it ended itself, because memory ran out */
    readonly outOfMemory = false,
    /** somebody else ended it */
    readonly byOthers = false,
  ) {
    super(message);
  }
}

/** A worker is there but could not do what it was told. */
export class WorkFailed extends Error {
  override readonly name = "WorkFailed";
  constructor(
    message: string,
    readonly failure: FailureCause,
    /** optimizer steps that it had completed; none where it had no state yet */
    readonly step: number | undefined,
    readonly trace: string | undefined,
  ) {
    super(message);
  }
}

/** V8's last words where it gets no more memory, and the signals by which it ends itself then. */
const LAST_WORDS = /out of memory|allocation failed/i;
const ABORTS: ReadonlySet<string | null> = new Set(["SIGABRT", "SIGTRAP", "SIGILL"]);
/** What a process wrote before its end may come a little after the word of it. */
const LAST_WORDS_MILLIS = 200;

export class WorkerProcess {
  readonly child: ChildProcess;
  /** why it can't be used any more */
  lost: WorkerLost | undefined;
  /** it has done what it was told, beyond taking its place */
  hasWorked = false;
  readonly #name: string;
  readonly #watcher: ProcessWatcher;
  readonly #vigil: Vigil;
  readonly #oomKills = countOomKills();
  #saidOutOfMemory = false;
  #waiting: { kinds: readonly string[]; resolve: (report: Report) => void; reject: (error: Error) => void } | undefined;

  /** @param name for messages: `worker 1` */
  constructor(name: string, environment: Readonly<Record<string, string>>, patience: Patience, watcher: ProcessWatcher) {
    this.#name = name;
    this.#watcher = watcher;
    this.child = spawn(process.execPath, ["--max-old-space-size=4096", fileURLToPath(import.meta.url), "worker"], {
      stdio: ["ignore", "pipe", "pipe", "ipc", "pipe"],
      serialization: "advanced",
      env: { ...process.env, ...environment },
      detached: true, // a signal of the terminal reaches the parent alone, which ends its workers in order
    });
    this.#vigil = new Vigil(patience, monotonicSeconds());
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#saidOutOfMemory ||= LAST_WORDS.test(text);
        for (const line of text.split("\n")) if (line.trim() !== "") watcher.line(line);
      });
    }
    let rest = "";
    const pulses = this.child.stdio?.[PULSE_PIPE] as Readable | undefined;
    pulses?.setEncoding("utf8").on("data", (text: string) => {
      const parsed = parsePulses(text, rest);
      rest = parsed.rest;
      for (const pulse of parsed.pulses) this.#vigil.pulse(pulse, monotonicSeconds());
    });
    for (const stream of this.child.stdio ?? []) stream?.on("error", () => {}); // a pipe that breaks with its process
    this.child.on("message", (report: Report) => this.#hear(report));
    this.child.on("error", (error) => this.#lose(`could not be started: ${error.message}`));
    this.child.on("exit", (code, signal) => {
      const told = setTimeout(() => this.#exited(code, signal), LAST_WORDS_MILLIS);
      this.child.on("close", () => {
        clearTimeout(told);
        this.#exited(code, signal);
      });
    });
  }

  /** Sends a command that is not answered. */
  send(command: Command): void {
    if (!this.lost) this.child.send(command, () => {}); // a process that can't be reached has ended, which is told of
  }

  /**
   * Sends a command and awaits its answer; only one may be under way.
   *
   * @throws WorkerLost where the process is gone; WorkFailed or UserError where the worker says that it failed
   */
  command<Kind extends Report["kind"]>(command: Command, ...kinds: readonly Kind[]): Promise<ReportOf<Kind>> {
    if (this.lost) return Promise.reject(this.lost);
    this.#vigil.begin(workOf(command), monotonicSeconds());
    const answer = new Promise<ReportOf<Kind>>((resolve, reject) => {
      this.#waiting = { kinds, resolve: resolve as (report: Report) => void, reject };
    });
    this.send(command);
    return answer;
  }

  /** Ends the process if it hangs. @param standstill seconds for which the parent itself stood still since it last looked */
  look(standstill: number): void {
    if (this.lost) return;
    this.#vigil.excuse(standstill);
    const verdict = this.#vigil.verdict(monotonicSeconds());
    if (verdict !== undefined) this.giveUp(verdict);
  }

  /** Resolves once the process has ended, or after so long: until then it may hold what the next one needs. */
  async ended(seconds: number): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined) return;
    const over = new AbortController();
    const exit = new Promise((resolve) => this.child.once("exit", resolve));
    await Promise.race([exit, sleep(1000 * seconds, undefined, { signal: over.signal, ref: false }).catch(() => {})]);
    over.abort();
  }

  /** Ends the process as one that is lost. */
  giveUp(why: string): void {
    this.#lose(why);
    this.#end();
  }

  /** Ends the process because we want it to: nothing that anyone need hear of but who waits for it. */
  kill(why: string): void {
    if (!this.lost) {
      this.lost = new WorkerLost(`${this.#name} ${why}`);
      this.#settle((waiting) => waiting.reject(this.lost!));
    }
    this.#end();
  }

  /** What it was about to compile lies in the temporary folder; this process may end before it hears of the end. */
  #end(): void {
    this.child.kill("SIGKILL");
    if (this.child.pid !== undefined) removeProcessFolders(this.child.pid);
  }

  #hear(report: Report): void {
    if (report.kind === "standstill" || report.kind === "first-run") this.#vigil.otherwise(report.underway, monotonicSeconds());
    if (this.#waiting?.kinds.includes(report.kind)) {
      this.hasWorked ||= report.kind !== "ready" && report.kind !== "formed";
      this.#settle((waiting) => waiting.resolve(report));
    } else if (report.kind === "failed") {
      const { message, user, cause, step, stack } = report;
      this.#settle((waiting) => waiting.reject(user ? new UserError(message) : new WorkFailed(message, cause, step, stack)));
    } else if (report.kind === "progress" || report.kind === "warning" || report.kind === "snapshot" || report.kind === "first-run")
      this.#watcher.report(report);
  }

  #settle(settle: (waiting: { resolve: (report: Report) => void; reject: (error: Error) => void }) => void): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#vigil.end();
    if (waiting) settle(waiting);
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.child.pid !== undefined) removeProcessFolders(this.child.pid);
    const killed = signal === "SIGKILL" && (countOomKills() ?? 0) > (this.#oomKills ?? 0);
    const outOfMemory = killed || (ABORTS.has(signal) && this.#saidOutOfMemory);
    const how = signal ? `ended by ${signal}` : `ended with exit status ${code}`;
    this.#lose(outOfMemory ? `${how}: out of memory` : how, outOfMemory, !outOfMemory && signal === "SIGKILL");
  }

  #lose(how: string, outOfMemory = false, byOthers = false): void {
    if (this.lost) return;
    this.lost = new WorkerLost(`${this.#name} ${how}`, outOfMemory, byOthers);
    this.#watcher.lost(this.lost);
    this.#settle((waiting) => waiting.reject(this.lost!));
  }
}

/** What kind of work a command is, as far as its time goes: engines compile predictions anew for each canvas. */
export function workOf(command: Command): string {
  return command.kind === "predict" && command.canvas !== undefined ? `predict on canvas ${command.canvas + 1}` : command.kind;
}
