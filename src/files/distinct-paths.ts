/** Keeps a command from writing over what it reads, or one of its outputs over another. */
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { UserError } from "../errors.ts";

/** A path, and the option that it is of, for messages. */
export type NamedPath = readonly [what: string, path: string | undefined];

/** @throws UserError where an output is an input, or another output: they are the same file, whatever they are called */
export function refuseClash(outputs: readonly NamedPath[], inputs: readonly NamedPath[]): void {
  const seen = new Map(inputs.flatMap(([what, path]) => (path === undefined ? [] : [[placeOf(path), what]])));
  for (const [what, path] of outputs) {
    if (path === undefined) continue;
    const place = placeOf(path);
    const other = seen.get(place);
    if (other !== undefined) throw new UserError(`${what} ${path} is ${other} too, which would be written over; name another file`);
    seen.set(place, what);
  }
}

/** The file's place, links on the way to it followed. */
export function placeOf(path: string): string {
  const whole = resolve(path);
  if (existsSync(whole)) return realpathSync(whole);
  const parent = dirname(whole);
  return existsSync(parent) ? join(realpathSync(parent), basename(whole)) : whole;
}
