/** The structured log of a run: one JSON object a line in a file, and readable lines on standard error. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import pino from "pino";

export type LogLevel = "error" | "warn" | "info" | "debug";

/** Where events go. */
export interface EventLog {
  /** something that happened; `fields` are for machines, `text` for people */
  emit(level: LogLevel, name: string, text: string, fields?: Record<string, unknown>): void;
  /** writes out what is buffered */
  close(): void;
}

const ORDER: readonly LogLevel[] = ["error", "warn", "info", "debug"];

/**
 * A log to standard error and, if given, a file that keeps every level.
 *
 * A file that can't be written (disk full) is given up with one line; the run goes on.
 *
 * @param seconds since the run began, put before each line
 */
export function openEventLog(options: { readonly file?: string | undefined; readonly level: LogLevel; seconds(): number }): EventLog {
  let destination: ReturnType<typeof pino.destination> | undefined;
  if (options.file !== undefined) {
    mkdirSync(dirname(options.file), { recursive: true });
    destination = pino.destination({ dest: options.file, sync: true, append: true });
    destination.on("error", (error: Error) => {
      if (destination) console.error(`warning: ${options.file} can't be written any more: ${error.message}; going on without it`);
      destination = undefined;
    });
  }
  const logger =
    destination && pino({ level: "debug", base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: "text" }, destination);
  const shown = ORDER.indexOf(options.level);
  return {
    emit(level, name, text, fields = {}) {
      const seconds = options.seconds();
      if (destination) logger?.[level]({ event: name, seconds: Math.round(seconds * 1000) / 1000, ...fields }, text);
      if (ORDER.indexOf(level) > shown) return;
      const mark = level === "warn" ? "warning: " : level === "error" ? "error: " : "";
      console.error(`[${seconds.toFixed(1).padStart(6)} s] ${mark}${text}`);
    },
    close() {
      destination?.flushSync();
    },
  };
}
