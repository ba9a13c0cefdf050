/**
 * Files of a folder that only count together. New ones wait beside the old under `NAME.new` until a record that names their sizes and hashes is in
 * place; then they are renamed. A reader takes of `NAME` and `NAME.new` the one that the record speaks of, so a kill at any instant leaves the old
 * files or the new ones, whole.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { InputError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { type ByteSource, withFile } from "./file.ts";

/** Suffix of a file that waits for its record. */
export const WAITING = ".new";

/** Size and SHA-256 of a file, as a record names them. */
export const fileSchema = z.strictObject({ bytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
export type FileRecord = z.infer<typeof fileSchema>;
export type FileRecords = Readonly<Record<string, FileRecord>>;

/** Records of some of these files and no others: names in a file are used as paths only where they are among those that are known beforehand. */
export function recordsSchema(names: readonly string[]): z.ZodType<FileRecords> {
  return z.partialRecord(z.enum(names as [string, ...string[]]), fileSchema) as unknown as z.ZodType<FileRecords>;
}

/** Bytes hashed at a time. */
const HASH_PIECE = 2 ** 24;

/** Writes `NAME.new`. @param content parts in order, made as they are written */
export function stageFile(folder: string, name: string, content: Iterable<Uint8Array>): FileRecord {
  const hash = createHash("sha256");
  let bytes = 0;
  function* hashed(): Generator<Uint8Array> {
    for (const part of content) {
      hash.update(part);
      bytes += part.byteLength;
      yield part;
    }
  }
  writeFileAtomically(join(folder, name + WAITING), hashed());
  return { bytes, sha256: hash.digest("hex") };
}

/** What `writeFileAtomically` calls a staged file until it is whole. */
const UNFINISHED = /^\..+\.new\.\d+\.[0-9a-z]+\.tmp$/;

/** Removes what processes that were killed left half-written in a folder that nobody else is writing to now. */
export function removeUnfinished(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) if (UNFINISHED.test(name)) rmSync(join(folder, name), { force: true });
}

/** Puts staged files in place, in order. Their record must be in place already, or be the first of them. */
export function placeFiles(folder: string, names: Iterable<string>): void {
  for (const name of names) renameSync(join(folder, name + WAITING), join(folder, name));
}

/**
 * Puts in place what a save that was cut off left waiting. A waiting file that the record does not speak of is from a save cut off before its record
 * was written: it stays, and is overwritten by the next save.
 */
export function placeLeftovers(folder: string, files: FileRecords): void {
  for (const [name, expected] of Object.entries(files)) {
    if (isWaiting(folder, name, expected)) renameSync(join(folder, name + WAITING), join(folder, name));
  }
}

/** Whether the file that a record speaks of is not yet in place. */
export function isWaiting(folder: string, name: string, expected: FileRecord): boolean {
  const path = join(folder, name + WAITING);
  return existsSync(path) && withFile(path, (source) => fits(source, expected));
}

/**
 * Opens the file that a record speaks of, in place or still waiting, once its hash was compared.
 *
 * @param speaker name of the record, for messages
 * @param use     told the file's name as messages should have it, and the name under which it is now
 * @throws InputError where neither is that file
 */
export function withRecordedFile<T>(
  folder: string,
  name: string,
  expected: FileRecord,
  speaker: string,
  use: (source: ByteSource, path: string, actualPath: string) => T,
): T {
  const path = join(folder, name);
  const found: string[] = [];
  for (const candidate of [path, path + WAITING]) {
    if (!existsSync(candidate)) continue;
    const result = withFile(candidate, (source) => {
      if (source.byteLength !== expected.bytes) return { problem: `${source.byteLength} bytes, not ${expected.bytes}` };
      const sha256 = hashOf(source);
      if (sha256 !== expected.sha256) return { problem: `SHA-256 ${sha256.slice(0, 12)}…, not ${expected.sha256.slice(0, 12)}…` };
      return { value: use(source, path, candidate) };
    });
    if (result.problem === undefined) return result.value as T;
    found.push(result.problem);
  }
  const what = found[0] === undefined ? "is missing" : `is not the file that ${speaker} speaks of (${found[0]})`;
  throw new InputError(path, [what]);
}

function fits(source: ByteSource, { bytes, sha256 }: FileRecord): boolean {
  return source.byteLength === bytes && hashOf(source) === sha256;
}

function hashOf(source: ByteSource): string {
  const hash = createHash("sha256");
  const piece = new ArrayBuffer(Math.min(HASH_PIECE, source.byteLength));
  for (let at = 0; at < source.byteLength; at += HASH_PIECE)
    hash.update(source.read(at, Math.min(HASH_PIECE, source.byteLength - at), piece));
  return hash.digest("hex");
}
