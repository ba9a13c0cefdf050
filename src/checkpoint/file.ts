/** Files of a checkpoint, read with their size known before memory is taken. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { InputError, messageOf, UserError } from "../errors.ts";

/** Bytes that can be read piece by piece. */
export interface ByteSource {
  readonly byteLength: number;
  /**
   * A copy of `length` bytes from `offset` on.
   *
   * @param into buffer to put them at the beginning of, so that reading on and on takes no more memory; one of their own unless given
   * @throws InputError where they are not all there
   */
  read(offset: number, length: number, into?: ArrayBuffer): Uint8Array<ArrayBuffer>;
}

/** One read of a file takes less than 2 GiB. */
const MAX_READ_BYTES = 2 ** 30;

/** What is at a path; undefined where there is nothing. @throws UserError where it cannot be told */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return undefined; // something on the way is a file
    throw new UserError(`${path}: cannot be read (${messageOf(error)})`, { cause: error });
  }
}

/** `bytes` as a source. */
export function memorySource(bytes: Uint8Array, where: string): ByteSource {
  return {
    byteLength: bytes.byteLength,
    read: (offset, length, into = new ArrayBuffer(length)) => {
      if (offset + length > bytes.byteLength) throw cutShort(where, offset + length, bytes.byteLength);
      const out = new Uint8Array(into, 0, length);
      out.set(bytes.subarray(offset, offset + length));
      return out;
    },
  };
}

/**
 * Opens a file for `use` and closes it after.
 *
 * @throws UserError where it cannot be opened or is not a plain file
 */
export function withFile<T>(path: string, use: (source: ByteSource) => T): T {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // a pipe under this name must not hang us
  } catch (error) {
    throw new UserError(`${path}: cannot be read (${messageOf(error)})`, { cause: error });
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new UserError(`${path}: is not a file`);
    return use({ byteLength: stat.size, read: (offset, length, into) => readRange(file, path, { offset, length, into, size: stat.size }) });
  } finally {
    closeSync(file);
  }
}

/**
 * All bytes of a file.
 *
 * @param maxBytes a larger file is refused before memory is taken
 * @throws UserError where it cannot be read or is too large
 */
export function readFileBounded(path: string, maxBytes: number): Uint8Array {
  return withFile(path, (source) => {
    if (source.byteLength > maxBytes) throw new InputError(path, [`has ${source.byteLength} bytes, at most ${maxBytes} are expected`]);
    return source.read(0, source.byteLength);
  });
}

interface Range {
  readonly offset: number;
  readonly length: number;
  readonly into: ArrayBuffer | undefined;
  /** of the file */
  readonly size: number;
}

function readRange(file: number, path: string, { offset, length, into, size }: Range): Uint8Array<ArrayBuffer> {
  if (offset + length > size) throw cutShort(path, offset + length, size);
  const out = new Uint8Array(into ?? new ArrayBuffer(length), 0, length);
  for (let done = 0; done < length; ) {
    const got = readSync(file, out, done, Math.min(MAX_READ_BYTES, length - done), offset + done);
    if (got === 0) throw cutShort(path, offset + length, offset + done);
    done += got;
  }
  return out;
}

function cutShort(where: string, needed: number, size: number): InputError {
  return new InputError(where, [`is cut short: ${needed} bytes are needed, it has ${size}`]);
}
