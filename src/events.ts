/** The structured log of a run: one JSON object a line in a file, and readable lines on standard error. */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import pino from "pino";
import { AppendFile } from "./files/append.ts";
import { LiveBlock } from "./live-block.ts";

export type LogLevel = "error" | "warn" | "info" | "debug";

/** Where events go. */
export interface EventLog {
  /** something that happened; `fields` are for machines, `text` for people */
  emit(level: LogLevel, name: string, text: string, fields?: Record<string, unknown>): void;
  /** where standard error is a terminal that somebody looks at: lines there that are renewed in place, instead of those of `progress` */
  readonly live?: LiveBlock | undefined;
  /** what was held back goes into the file from now on */
  release?(): void;
  /** writes out what is buffered, but for what is held back */
  close(): void;
}

/** A log that has grown larger is set aside, and the one that was set aside before is given up. */
const MAX_BYTES = 2 ** 26;

const ORDER: readonly LogLevel[] = ["error", "warn", "info", "debug"];

/**
 * A log to standard error and, if given, a file that keeps every level.
 *
 * What a full disk has no room for is left out of the file; the run goes on.
 *
 * @param seconds since the run began, put before each line
 * @throws what the file system throws where the file can't be made
 */
export function openEventLog(options: {
  readonly file?: string | undefined;
  readonly level: LogLevel;
  /** show progress in place, where there is a terminal for it */
  readonly live?: boolean;
  /** hold back what goes into the file until `release`: it may come to nothing */
  readonly held?: boolean;
  seconds(): number;
}): EventLog {
  const shown = ORDER.indexOf(options.level);
  const live = options.live && shown >= ORDER.indexOf("info") ? liveBlock() : undefined;
  let file: AppendFile | undefined;
  let held: Buffer[] | undefined = options.held ? [] : undefined;
  if (options.file !== undefined) {
    mkdirSync(dirname(options.file), { recursive: true });
    closeSync(openSync(options.file, "a"));
    file = new AppendFile(options.file, (text) => console.error(`warning: ${text}`), MAX_BYTES);
  }
  const logger =
    file &&
    pino(
      { level: "debug", base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: "text" },
      { write: (line: string) => (held ? held.push(Buffer.from(line)) : file.append(Buffer.from(line))) },
    );
  return {
    live,
    emit(level, name, text, fields = {}) {
      const seconds = options.seconds();
      logger?.[level]({ ...fields, event: name, seconds: Math.round(seconds * 1000) / 1000 }, text);
      if (ORDER.indexOf(level) > shown || (live && name === "progress")) return;
      const mark = level === "warn" ? "warning: " : level === "error" ? "error: " : "";
      const line = `[${seconds.toFixed(1).padStart(6)} s] ${mark}${text}`;
      if (live) live.print(line);
      else console.error(line);
    },
    release() {
      for (const line of held ?? []) file?.append(line);
      held = undefined;
    },
    close() {
      live?.show([]);
      file?.close();
    },
  };
}

/** A block at the foot of standard error, if that is a terminal which can be drawn on. */
function liveBlock(): LiveBlock | undefined {
  const { stderr } = process;
  if (!stderr.isTTY || process.env.TERM === "dumb") return undefined;
  return new LiveBlock({
    write: (text) => stderr.write(text),
    get columns() {
      return stderr.columns || 80;
    },
    get rows() {
      return stderr.rows || 24;
    },
  });
}
