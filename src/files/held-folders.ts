/** Folders that one process at a time writes to; its workers are marked, so that those of an earlier one are found and ended. */
import { join, resolve } from "node:path";
import { endLeftBehind, markedProcesses, takeLock } from "./processes.ts";

/** A folder to be held, which exists. */
export interface FolderToHold {
  /** what it is to the user, for the message: `--out DIR` */
  readonly what: string;
  readonly path: string;
  /** environment variable that tells in a worker that it writes there */
  readonly variable: string;
}

/** Folders held by this process. */
export interface HeldFolders {
  /** what workers that write there have in their environment */
  readonly mark: Readonly<Record<string, string>>;
  release(): void;
}

/**
 * Holds folders until the process ends or lets them go. What a process that is gone has left behind is taken over, and its workers, which may be about
 * to write, are ended.
 *
 * @param lockName name of the lock file in each
 * @throws UserError where another process holds one of them: none is held then
 */
export function holdFolders(folders: readonly FolderToHold[], lockName: string): HeldFolders {
  const held: { release(): void }[] = [];
  const release = (): void => {
    for (const lock of held.splice(0)) lock.release();
  };
  const paths = new Map(folders.map(({ path, what }) => [resolve(path), what])); // one that is given twice is held once
  try {
    for (const [path, what] of paths) held.push(takeLock(join(path, lockName), what));
  } catch (error) {
    release();
    throw error;
  }
  const mark = Object.fromEntries(folders.map(({ variable, path }) => [variable, resolve(path)]));
  for (const [variable, path] of Object.entries(mark)) endLeftBehind(markedProcesses(variable, path));
  return { mark, release };
}
