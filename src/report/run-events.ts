/** The log of a run, as far as a report makes use of it. */

/** A line of `events.jsonl`; `seconds` of the run. Other fields are the event's own. */
export interface RunEvent {
  readonly level: number;
  readonly event: string;
  readonly seconds: number;
  /** ISO 8601 */
  readonly time: string;
  readonly text: string;
  readonly [field: string]: unknown;
}

/** pino's levels. */
export const LEVEL = { warning: 40, error: 50 } as const;

/** Lines of workers' libraries, and others that no report shows. */
const SKIPPED = /"event":"(worker|recipe|snapshot)"/;

/**
 * The events of the run that began last; a folder may have held others before.
 *
 * @param text lines; those that are cut off or damaged are passed over
 */
export function parseRunEvents(text: string): RunEvent[] {
  const lines = text.split("\n");
  const first = Math.max(
    0,
    lines.findLastIndex((line) => line.includes('"event":"begins"')),
  );
  return lines.slice(first).flatMap((line) => {
    if (line === "" || SKIPPED.test(line)) return [];
    try {
      const value = JSON.parse(line) as Partial<RunEvent> | null;
      const { level, event, seconds } = value ?? {};
      return typeof level === "number" && typeof event === "string" && typeof seconds === "number" ? [value as RunEvent] : [];
    } catch {
      return [];
    }
  });
}

/** A field that is a number, or undefined. */
export function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
