/** Finds the members of a JSON object in file order, duplicates included: `JSON.parse` moves digit-only keys to the front and drops repeated ones. */
import { InputError } from "../errors.ts";

/** One `"key": value` of an object; the value is `text.slice(start, end)`, already checked to be JSON. */
export interface JsonMember {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

/** Deeper nesting than any file of ours has is refused, so that nonsense costs neither time nor memory. */
const MAX_DEPTH = 64;

/** More members than any file of ours has: refused for the same reason. */
const MAX_MEMBERS = 100_000;

/** Where a text stops being JSON. */
export class JsonSyntaxError extends Error {
  override readonly name = "JsonSyntaxError";
  constructor(
    readonly offset: number,
    readonly expected: string,
  ) {
    super(`${expected} at offset ${offset}`);
  }
}

/** Where a text goes beyond what is read here, JSON or not. */
class JsonLimitError extends JsonSyntaxError {}

/**
 * The members of the object that is a whole file, in file order.
 *
 * @param what what the object should hold, for messages: "tasks"
 * @throws InputError where the text is empty, no JSON (line and column are named), no object, or something well known in its place
 */
export function fileMembers(text: string, where: string, what: string): JsonMember[] {
  const refuse = (problem: string): never => {
    throw new InputError(where, [problem]);
  };
  const start = skipSpace(text, text.charCodeAt(0) === 0xfeff ? 1 : 0);
  if (start === text.length) refuse(`is empty; expected a JSON object of ${what}`);
  const head = text.slice(start, start + 200);
  if (head.startsWith("version https://git-lfs"))
    refuse("is a Git LFS pointer, not the file itself; run `git lfs pull` or download the file");
  if (/^<(!doctype|html|head|\?xml)/i.test(head)) refuse("is a web page (HTML), not JSON; download the raw file");
  if (head[0] !== "{") refuse(`is not a JSON object of ${what}: it starts with ${excerpt(text, start)}`);
  try {
    const { members, end } = scanObject(text, start, 1);
    const rest = skipSpace(text, end);
    if (rest < text.length) throw new JsonSyntaxError(rest, "the end of the file");
    return members;
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const found = error.offset >= text.length ? "the file ends" : `found ${excerpt(text, error.offset)}`;
    throw new InputError(where, [
      `${error instanceof JsonLimitError ? "is too large" : "is not JSON"}: ${lineAndColumn(text, error.offset)}: expected ${error.expected}, ${found}`,
    ]);
  }
}

/** The members of the object that starts at `start`, in file order; an empty list where another kind of value starts there. */
export function objectMembers(text: string, start: number): JsonMember[] {
  return text[start] === "{" ? scanObject(text, start, 1).members : [];
}

/** Line and column (both from 1) of an offset. */
export function lineAndColumn(text: string, offset: number): string {
  let line = 1;
  let lineStart = 0;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) {
    line++;
    lineStart = at + 1;
  }
  return `line ${line}, column ${offset - lineStart + 1}`;
}

/** A short piece of a text in quotes, control characters escaped. */
function excerpt(text: string, offset: number): string {
  return JSON.stringify(text.slice(offset, offset + 20)) + (text.length > offset + 20 ? "..." : "");
}

function scanObject(text: string, start: number, depth: number): { members: JsonMember[]; end: number } {
  const members: JsonMember[] = [];
  let i = skipSpace(text, start + 1);
  if (text[i] === "}") return { members, end: i + 1 };
  for (;;) {
    const keyEnd = skipString(text, i);
    const key = JSON.parse(text.slice(i, keyEnd)) as string;
    const valueStart = skipSpace(text, skipColon(text, keyEnd));
    const end = skipValue(text, valueStart, depth);
    members.push({ key, start: valueStart, end });
    if (members.length > MAX_MEMBERS) throw new JsonLimitError(i, `at most ${MAX_MEMBERS} members in an object`);
    i = skipSpace(text, end);
    if (text[i] === "}") return { members, end: i + 1 };
    if (text[i] !== ",") throw new JsonSyntaxError(i, "a comma or }");
    i = skipSpace(text, i + 1);
  }
}

/** The offset after the value that starts at `start`. No recursion: a file must not overflow the stack. */
function skipValue(text: string, start: number, depth: number): number {
  const open: ("list" | "object")[] = [];
  let i = start;
  for (;;) {
    const c = text.charCodeAt(i);
    let closed = true; // whether a value has just ended at i
    if (c === 0x5b || c === 0x7b) {
      const kind = c === 0x5b ? "list" : "object";
      const inside = skipSpace(text, i + 1);
      const row = c === 0x5b ? skipDigits(text, inside) : -1;
      if (row !== -1) i = row;
      else if (text.charCodeAt(inside) === c + 2) i = inside + 1;
      else {
        open.push(kind);
        if (open.length + depth > MAX_DEPTH) throw new JsonLimitError(i, `at most ${MAX_DEPTH} levels of nesting`);
        i = kind === "object" ? skipKey(text, inside) : inside;
        closed = false;
      }
    } else i = skipScalar(text, i, c);
    while (closed) {
      const kind = open.at(-1);
      if (kind === undefined) return i;
      i = skipSpace(text, i);
      const next = text.charCodeAt(i);
      if (next === 0x2c) {
        i = skipSpace(text, i + 1);
        if (kind === "object") i = skipKey(text, i);
        closed = false;
      } else if (next === (kind === "object" ? 0x7d : 0x5d)) {
        open.pop();
        i++;
      } else throw new JsonSyntaxError(i, kind === "object" ? "a comma or }" : "a comma or ]");
    }
  }
}

/** The offset after a list of single digits whose first is at `i`, such as a row of a grid, most of what there is in our files; -1 for any other. */
function skipDigits(text: string, i: number): number {
  for (let at = i; ; at++) {
    const digit = text.charCodeAt(at);
    if (!(digit >= 0x30 && digit <= 0x39)) return -1;
    const next = text.charCodeAt(++at);
    if (next === 0x5d) return at + 1;
    if (next !== 0x2c) return -1;
    if (text.charCodeAt(at + 1) === 0x20) at++;
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

function skipScalar(text: string, i: number, c: number): number {
  if (c === 0x22) return skipString(text, i);
  if (c === 0x2d || (c >= 0x30 && c <= 0x39)) {
    const next = text.charCodeAt(i + 1);
    if (c !== 0x2d && (next === 0x2c || next === 0x5d)) return i + 1; // one digit, the common case
    NUMBER.lastIndex = i;
    const end = NUMBER.test(text) ? NUMBER.lastIndex : i;
    if (end > i) return end;
  }
  for (const word of ["true", "false", "null"]) if (text.startsWith(word, i)) return i + word.length;
  throw new JsonSyntaxError(i, "a value");
}

function skipKey(text: string, i: number): number {
  return skipSpace(text, skipColon(text, skipString(text, i)));
}

function skipColon(text: string, i: number): number {
  const at = skipSpace(text, i);
  if (text.charCodeAt(at) !== 0x3a) throw new JsonSyntaxError(at, "a colon");
  return at + 1;
}

function skipString(text: string, start: number): number {
  if (text.charCodeAt(start) !== 0x22) throw new JsonSyntaxError(start, "a key or text in double quotes");
  for (let i = start + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) return i + 1;
    if (c < 0x20) throw new JsonSyntaxError(i, "the closing quote of a text (control characters must be escaped)");
    if (c !== 0x5c) continue;
    const escaped = text[++i] ?? "";
    if (escaped === "u" && /^[0-9a-fA-F]{4}$/.test(text.slice(i + 1, i + 5))) i += 4;
    else if (escaped === "" || !'"\\/bfnrt'.includes(escaped)) throw new JsonSyntaxError(Math.min(i, text.length), "an escape of JSON");
  }
  throw new JsonSyntaxError(text.length, "the closing quote of a text");
}

function skipSpace(text: string, start: number): number {
  let i = start;
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break;
  }
  return i;
}
