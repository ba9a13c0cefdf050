/** The votes of a run as they came in, so that a run that was killed need not make them again. */
import { readFileSync, truncateSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { Grid } from "../arc/grid.ts";
import { AppendFile } from "../files/append.ts";
import type { Agreement } from "../vote/weighting.ts";

/** A prediction, undone to the task's own colours and orientation. */
export interface Vote {
  /** place among the tasks worked on */
  readonly task: number;
  readonly testIndex: number;
  /** 0 is the original */
  readonly variant: number;
  readonly grid: Grid;
  readonly qHaltLogit: number;
  /** where it was watched */
  readonly agreement?: Agreement | undefined;
}

/** What a log holds, in order: votes count for the stage that was begun last. */
export type VoteEntry = { readonly kind: "stage"; readonly name: string } | { readonly kind: "vote"; readonly vote: Vote };

/*
 * A record: payload bytes u16, CRC-32 of the payload u32, payload; little-endian. Payload of a stage: 0 u8, name. Of a vote: 1 u8, task u32,
 * test input u16, variant u32, halt logit f32, rows u8, columns u8, then the cells, two in a byte, the first one in the lower half. Of a vote whose
 * agreement was watched: the same with 2 u8 at its head, and at its end the ACT steps that agreed u8 and those taken u8.
 */
const HEAD = 6;
const VOTE_HEAD = 17;
const AGREEMENT_BYTES = 2;

/** Appends votes as they come in. */
export class VoteLog {
  readonly #file: AppendFile;

  /** @param refused see `AppendFile` */
  constructor(path: string, refused: (text: string) => void) {
    this.#file = new AppendFile(path, refused);
  }

  beginStage(name: string): void {
    this.#file.append(recordOf(Buffer.concat([Buffer.of(0), Buffer.from(name, "utf8")])));
  }

  add(votes: readonly Vote[]): void {
    if (votes.length > 0) this.#file.append(Buffer.concat(votes.map((vote) => recordOf(payloadOf(vote)))));
  }

  close(): void {
    this.#file.close();
  }
}

/**
 * The entries of a log up to the first that is damaged, which a kill in the middle of a write leaves: it and what follows is cut off, so that the
 * log can be gone on with.
 *
 * @returns nothing where there is no log
 */
export function readVoteLog(path: string): VoteEntry[] {
  const entries: VoteEntry[] = [];
  const { read, bytes } = eachVote(path, (entry) => entries.push(entry));
  if (read < bytes) truncateSync(path, read);
  return entries;
}

/**
 * Shows each entry of a log up to the first that is damaged, as a log that is being written has one at its end. Changes nothing.
 *
 * @returns bytes read and bytes there are; 0 where there is no log
 */
export function eachVote(path: string, visit: (entry: VoteEntry) => void): { read: number; bytes: number } {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { read: 0, bytes: 0 };
    throw error;
  }
  let at = 0;
  while (at + HEAD <= bytes.length) {
    const length = bytes.readUInt16LE(at);
    const payload = bytes.subarray(at + HEAD, at + HEAD + length);
    if (payload.length < length || crc32(payload) !== bytes.readUInt32LE(at + 2)) break;
    const entry = entryOf(payload);
    if (!entry) break;
    visit(entry);
    at += HEAD + length;
  }
  return { read: at, bytes: bytes.length };
}

function recordOf(payload: Buffer): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt16LE(payload.length, 0);
  head.writeUInt32LE(crc32(payload), 2);
  return Buffer.concat([head, payload]);
}

function payloadOf({ task, testIndex, variant, grid: { rows, cols, cells }, qHaltLogit, agreement }: Vote): Buffer {
  const end = VOTE_HEAD + Math.ceil(cells.length / 2);
  const out = Buffer.alloc(end + (agreement ? AGREEMENT_BYTES : 0));
  out.writeUInt8(agreement ? 2 : 1, 0);
  out.writeUInt32LE(task, 1);
  out.writeUInt16LE(testIndex, 5);
  out.writeUInt32LE(variant, 7);
  out.writeFloatLE(qHaltLogit, 11);
  out.writeUInt8(rows, 15);
  out.writeUInt8(cols, 16);
  for (let i = 0; i < cells.length; i++) out[VOTE_HEAD + (i >> 1)]! |= cells[i]! << (4 * (i & 1));
  if (agreement) {
    // A byte each: of more steps their share is kept.
    const scale = Math.min(1, 255 / agreement.of);
    out.writeUInt8(Math.round(scale * agreement.steps), end);
    out.writeUInt8(Math.round(scale * agreement.of), end + 1);
  }
  return out;
}

/** @returns undefined where the payload is none that this version writes */
function entryOf(payload: Buffer): VoteEntry | undefined {
  if (payload[0] === 0) return { kind: "stage", name: payload.toString("utf8", 1) };
  const isWatched = payload[0] === 2;
  if ((payload[0] !== 1 && !isWatched) || payload.length < VOTE_HEAD) return undefined;
  const [rows, cols] = [payload.readUInt8(15), payload.readUInt8(16)];
  const end = VOTE_HEAD + Math.ceil((rows * cols) / 2);
  if (payload.length !== end + (isWatched ? AGREEMENT_BYTES : 0)) return undefined;
  const cells = new Uint8Array(rows * cols);
  for (let i = 0; i < cells.length; i++) cells[i] = (payload[VOTE_HEAD + (i >> 1)]! >> (4 * (i & 1))) & 15;
  const vote = {
    task: payload.readUInt32LE(1),
    testIndex: payload.readUInt16LE(5),
    variant: payload.readUInt32LE(7),
    grid: { rows, cols, cells },
    qHaltLogit: payload.readFloatLE(11),
    ...(isWatched && { agreement: { steps: payload.readUInt8(end), of: payload.readUInt8(end + 1) } }),
  };
  return { kind: "vote", vote };
}
