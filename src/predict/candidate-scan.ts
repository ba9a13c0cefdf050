/** Reads candidate files as programs write them, many times faster than `JSON.parse` and checks: of ten thousand tasks, nearly all is rows of grids. */
import { MAX_GRID_SIDE } from "../arc/grid.ts";
import type { RankedAnswer } from "../vote/rank.ts";

const [TAB, LINE, RETURN, BLANK, QUOTE, COMMA, COLON] = [0x09, 0x0a, 0x0d, 0x20, 0x22, 0x2c, 0x3a] as const;
const [ZERO, NINE, OPEN, BACKSLASH, CLOSE, OPEN_BRACE, CLOSE_BRACE] = [0x30, 0x39, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d] as const;
const KEYS = { grid: Buffer.from('"grid"'), votes: Buffer.from('"votes"'), meanQ: Buffer.from('"meanQ"'), weight: Buffer.from('"weight"') };
const NUMBER = /^(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** More than a file of ours has; longer ones are left to who says so. */
const MAX_TASKS = 100_000;
/** Cells of many grids lie in one block: a block of its own for each would cost more than the cells. */
const BLOCK_CELLS = 1 << 18;

/** What was read. */
export interface ScannedCandidates {
  /** the file's text with no task in it */
  readonly head: string;
  readonly answers: Map<string, RankedAnswer[][]>;
}

/**
 * The tasks of a candidate file, where `tasks` is its last member and everything in it is right: no id twice, no escape in an id, candidates with their
 * members in the order grid, votes, meanQ and perhaps weight, rows without blanks but one after a comma.
 *
 * @returns undefined where it is not: read the file in the slow way then, which also says what is wrong
 */
export function scanCandidates(bytes: Buffer): ScannedCandidates | undefined {
  try {
    return new Scan(bytes).file();
  } catch (error) {
    if (error === NOT_SO) return undefined;
    throw error;
  }
}

/** Thrown where the file goes another way. */
const NOT_SO = new Error("not as programs write it");

class Scan {
  readonly #bytes: Buffer;
  #at = 0;
  #block = new Uint8Array(BLOCK_CELLS);
  #used = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  file(): ScannedCandidates {
    const bytes = this.#bytes;
    this.#expect(OPEN_BRACE);
    for (let key = this.#key(); key !== "tasks"; key = this.#key()) {
      this.#skipValue();
      this.#expect(COMMA);
    }
    const start = this.#at;
    const answers = this.#tasks();
    this.#expect(CLOSE_BRACE);
    this.#space();
    if (this.#at !== bytes.length) throw NOT_SO;
    return { head: `${bytes.toString("utf8", 0, start)}{}}`, answers };
  }

  #tasks(): Map<string, RankedAnswer[][]> {
    const answers = new Map<string, RankedAnswer[][]>();
    this.#expect(OPEN_BRACE);
    if (this.#takes(CLOSE_BRACE)) return answers;
    do {
      const id = this.#key();
      if (answers.has(id) || answers.size === MAX_TASKS) throw NOT_SO;
      answers.set(
        id,
        this.#list(() => this.#list(() => this.#candidate())),
      );
    } while (this.#takes(COMMA));
    this.#expect(CLOSE_BRACE);
    return answers;
  }

  #list<T>(read: () => T): T[] {
    const list: T[] = [];
    this.#expect(OPEN);
    if (this.#takes(CLOSE)) return list;
    do list.push(read());
    while (this.#takes(COMMA));
    this.#expect(CLOSE);
    return list;
  }

  #candidate(): RankedAnswer {
    this.#expect(OPEN_BRACE);
    this.#expectKey(KEYS.grid);
    const grid = this.#grid();
    this.#expect(COMMA);
    this.#expectKey(KEYS.votes);
    const votes = this.#number();
    this.#expect(COMMA);
    this.#expectKey(KEYS.meanQ);
    const meanQ = this.#number();
    if (!(votes > 0 && meanQ <= 1)) throw NOT_SO;
    if (this.#takes(CLOSE_BRACE)) return { grid, votes, meanQ };
    this.#expect(COMMA);
    this.#expectKey(KEYS.weight);
    const weight = this.#number();
    this.#expect(CLOSE_BRACE);
    return { grid, votes, meanQ, ...{ weight } };
  }

  #grid(): RankedAnswer["grid"] {
    const bytes = this.#bytes;
    this.#expect(OPEN);
    if (this.#takes(CLOSE)) return { rows: 0, cols: 0, cells: new Uint8Array(0) };
    this.#space();
    if (this.#used + MAX_GRID_SIDE ** 2 > BLOCK_CELLS) {
      this.#block = new Uint8Array(BLOCK_CELLS);
      this.#used = 0;
    }
    const block = this.#block;
    const first = this.#used;
    let [at, to, cols, rows] = [this.#at, first, 0, 0];
    for (;;) {
      if (rows === MAX_GRID_SIDE || bytes[at] !== OPEN) throw NOT_SO;
      const last = to + MAX_GRID_SIDE;
      const before = to;
      for (;;) {
        const digit = bytes[++at]!;
        if (!(digit >= ZERO && digit <= NINE) || to === last) throw NOT_SO;
        block[to++] = digit - ZERO;
        const next = bytes[++at];
        if (next === CLOSE) break;
        if (next !== COMMA) throw NOT_SO;
        if (bytes[at + 1] === BLANK) at++;
      }
      at++;
      if (rows++ === 0) cols = to - before;
      else if (to - before !== cols) throw NOT_SO;
      const next = bytes[at++];
      if (next === CLOSE) break;
      if (next !== COMMA) throw NOT_SO;
      if (bytes[at] === BLANK) at++;
    }
    this.#at = at;
    this.#used = to;
    return { rows, cols, cells: block.subarray(first, to) };
  }

  /** A number from 0 up. */
  #number(): number {
    this.#space();
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    while (bytes[at] !== COMMA && bytes[at] !== CLOSE_BRACE && at - start < 40) at++;
    this.#at = at;
    const text = bytes.toString("latin1", start, at).trimEnd();
    const value = NUMBER.test(text) ? Number(text) : Number.NaN;
    if (!Number.isFinite(value)) throw NOT_SO;
    return value;
  }

  #expectKey(key: Uint8Array): void {
    this.#space();
    const bytes = this.#bytes;
    for (let i = 0; i < key.length; i++) if (bytes[this.#at + i] !== key[i]) throw NOT_SO;
    this.#at += key.length;
    this.#expect(COLON);
  }

  /** A key without escapes, and its colon. */
  #key(): string {
    this.#expect(QUOTE);
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    for (; bytes[at] !== QUOTE; at++) {
      const byte = bytes[at];
      if (byte === undefined || byte < BLANK || byte === BACKSLASH || byte > 0x7e) throw NOT_SO;
    }
    this.#at = at + 1;
    this.#expect(COLON);
    return bytes.toString("latin1", start, at);
  }

  /** Goes past a value that is no text with an escape; whether it is JSON is for others to say. */
  #skipValue(): void {
    const bytes = this.#bytes;
    let depth = 0;
    for (; ; this.#at++) {
      const byte = bytes[this.#at];
      if (byte === undefined || byte === BACKSLASH) throw NOT_SO;
      if (depth === 0 && (byte === COMMA || byte === CLOSE_BRACE)) return;
      if (byte === QUOTE) {
        const end = bytes.indexOf(QUOTE, this.#at + 1);
        if (end < 0 || bytes.subarray(this.#at, end).includes(BACKSLASH)) throw NOT_SO;
        this.#at = end;
      } else if (byte === OPEN || byte === OPEN_BRACE) depth++;
      else if (byte === CLOSE || byte === CLOSE_BRACE) depth--;
    }
  }

  #expect(byte: number): void {
    if (!this.#takes(byte)) throw NOT_SO;
  }

  #takes(byte: number): boolean {
    this.#space();
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    for (; ; this.#at++) {
      const byte = this.#bytes[this.#at];
      if (byte !== BLANK && byte !== LINE && byte !== RETURN && byte !== TAB) return;
    }
  }
}
