/** Durations as people write them. */
import { UserError } from "../errors.ts";

const FORM = /^(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?$/;

/**
 * Seconds in a duration: hours, minutes and seconds in this order (`11h30m`, `1m30s`, `1.5h`), or a plain number of seconds.
 *
 * @param text case and spaces don't matter
 * @param what the option it was given for, for the message
 * @throws UserError that says which forms are accepted
 */
export function parseDuration(text: string, what = "duration"): number {
  const compact = text.replace(/\s+/g, "").toLowerCase();
  if (/^\d+(\.\d+)?$/.test(compact)) return Number(compact);
  const match = compact === "" ? null : FORM.exec(compact);
  if (!match)
    throw new UserError(`${what} ${JSON.stringify(text)} is not a duration; write it as 11h30m, 1m30s, 90s, 1.5h or a number of seconds`);
  const [, hours = "0", minutes = "0", seconds = "0"] = match;
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

/** A duration for people: `11h30m`, `1m30s`, `41s`; below 10 s with one decimal (`9.4s`). `parseDuration` takes it back. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return Number.isNaN(seconds) ? "unknown" : "unlimited";
  const sign = seconds < 0 ? "-" : "";
  const size = Math.abs(seconds);
  const tenths = Math.round(size * 10) / 10;
  if (tenths < 10) return tenths === 0 ? "0s" : `${sign}${tenths}s`;
  const whole = Math.round(size);
  const parts = [
    [Math.floor(whole / 3600), "h"],
    [Math.floor(whole / 60) % 60, "m"],
    [whole % 60, "s"],
  ] as const;
  return (
    sign +
    parts
      .filter(([value]) => value > 0)
      .map(([value, unit]) => `${value}${unit}`)
      .join("")
  );
}
