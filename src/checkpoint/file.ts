/** Files of a checkpoint, read with their size known before memory is taken. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { InputError, messageOf, UserError } from "../errors.ts";

/** Bytes that can be read piece by piece. */
export interface ByteSource {
  readonly byteLength: number;
  /** A copy of `length` bytes from `offset` on, in a buffer of their own. @throws InputError where they are not all there */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
}

/** One read of a file takes less than 2 GiB. */
const MAX_READ_BYTES = 2 ** 30;

/** `bytes` as a source. */
export function memorySource(bytes: Uint8Array, where: string): ByteSource {
  return {
    byteLength: bytes.byteLength,
    read: (offset, length) => {
      if (offset + length > bytes.byteLength) throw cutShort(where, offset + length, bytes.byteLength);
      return new Uint8Array(bytes.subarray(offset, offset + length)); // Buffer's own slice would be a view
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
    return use({ byteLength: stat.size, read: (offset, length) => readRange(file, path, offset, length, stat.size) });
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

function readRange(file: number, path: string, offset: number, length: number, size: number): Uint8Array<ArrayBuffer> {
  if (offset + length > size) throw cutShort(path, offset + length, size);
  const out = new Uint8Array(length);
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
