/** Numbers for people. */

/** Seconds as 41 s, 1m 30s, 11h 30m. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (part: number): string => String(part).padStart(2, "0");
  if (hours > 0) return minutes > 0 ? `${hours}h ${two(minutes)}m` : `${hours}h`;
  return rest > 0 ? `${minutes}m ${two(rest)}s` : `${minutes}m`;
}

/** A number at an axis: small ones as 4e-4. */
export function axisNumber(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-3) return Number(value.toPrecision(6)).toExponential().replace("e-", "e−");
  return String(Number(value.toPrecision(6)));
}

/** A share 0..1 as 59.1 %. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Thousands apart. */
export function count(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en").replaceAll(",", "\u202f") : String(Math.round(value * 100) / 100);
}

/** Round numbers that divide a range in about `pieces`. */
export function ticks(from: number, to: number, pieces: number): number[] {
  const rough = (to - from) / Math.max(1, pieces);
  if (!(rough > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough)!;
  const found: number[] = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + 1e-9 * step; i++) found.push(i * step);
  return found;
}

const CLOCK_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600];

/** Instants that divide a time, in seconds, in about `pieces`, at round times. */
export function clockTicks(from: number, to: number, pieces: number): number[] {
  const step = CLOCK_STEPS.find((size) => size >= (to - from) / pieces) ?? 43_200;
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.max(0, Math.floor(to / step) - first + 1) }, (_, i) => (first + i) * step);
}
