/** Reads challenges and solutions from disk: one file as on Kaggle, or a folder with one file per task. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { InputError, messageOf, UserError } from "../errors.ts";
import { type Challenges, challengesOf, type Entry, parseChallenges, parseTask } from "./challenges-json.ts";
import type { Grid } from "./grid.ts";
import { checkGrid, quoted, shortened } from "./grid-json.ts";
import { fileMembers } from "./json-scan.ts";
import { parseSolutions, type Solutions } from "./solutions-json.ts";

/** Challenges, and the answers that a folder's files hold beside them. */
export interface ReadChallenges extends Challenges {
  /** Given for a folder whose tasks all have readable outputs at their test inputs. */
  readonly solutions?: Solutions;
}

/** A text file longer than this is none of ours. */
const MAX_FILE_BYTES = 400 * 2 ** 20;

/**
 * The tasks at a path.
 *
 * @param path a challenges file, or a folder of task files, whose names without `.json` are the ids (in order of name)
 * @throws UserError where nothing can be read there; InputError where what was read is wrong as a whole
 */
export function readChallenges(path: string): ReadChallenges {
  return isFolder(path) ? readFolder(path) : parseChallenges(readTextFile(path), path);
}

/**
 * The answers at a path.
 *
 * @param path a solutions file, or a folder of task files with outputs at their test inputs
 * @throws UserError where nothing can be read there; InputError that lists everything wrong
 */
export function readSolutions(path: string): Solutions {
  if (!isFolder(path)) return parseSolutions(readTextFile(path), path);
  const problems: string[] = [];
  const { solutions } = readTaskFiles(path, problems);
  if (problems.length > 0) throw new InputError(path, shortened(problems));
  return solutions;
}

/** A file's text. @throws UserError that says what to do where it can't be read */
export function readTextFile(path: string): string {
  return readFileBytes(path).toString("utf8");
}

/** Room that large files are read into one after the other; what is read next takes the place of what was read before. */
export class ReadingRoom {
  #bytes = Buffer.alloc(0);

  /** The first `size` bytes of a file, or all where it has fewer. */
  fill(path: string, size: number): Buffer {
    if (this.#bytes.length < size) this.#bytes = Buffer.allocUnsafeSlow(Math.ceil(1.1 * size));
    const file = openSync(path, "r");
    try {
      let done = 0;
      for (let read = -1; read !== 0 && done < size; done += read) read = readSync(file, this.#bytes, done, size - done, done);
      return this.#bytes.subarray(0, done);
    } finally {
      closeSync(file);
    }
  }
}

/** What is in a file. @throws as `readTextFile` */
export function readFileBytes(path: string, room?: ReadingRoom): Buffer {
  try {
    const stats = statSync(path);
    if (stats.size > MAX_FILE_BYTES)
      throw new UserError(`${path}: has ${(stats.size / 2 ** 20).toFixed(0)} MiB; the files read here have a few: is it the right one?`);
    return room && stats.isFile() ? room.fill(path, stats.size) : readFileSync(path); // a pipe does not say how much it has
  } catch (error) {
    throw error instanceof UserError ? error : unreadable(path, error);
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): UserError {
  const { code } = error as NodeJS.ErrnoException;
  const text =
    {
      ENOENT: "does not exist; check the path",
      ENOTDIR: "does not exist; a part of the path is a file, not a folder",
      EACCES: "may not be read; change its permissions",
      EPERM: "may not be read; change its permissions",
      EISDIR: "is a folder; pass a file",
    }[code ?? ""] ?? `can't be read: ${messageOf(error)}`;
  return new UserError(`${path}: ${text}`, { cause: error });
}

function readFolder(folder: string): ReadChallenges {
  const problems: string[] = [];
  const { entries, solutions, whole } = readTaskFiles(folder, problems);
  if (whole.length === entries.length) throw new InputError(folder, shortened(whole));
  const challenges = challengesOf(entries, []);
  return problems.length === 0 ? { ...challenges, solutions } : challenges;
}

/** The task files of a folder; `problems` gets what is wrong with their answers, `whole` what is wrong with files that hold no task at all. */
function readTaskFiles(folder: string, problems: string[]): { entries: Entry[]; solutions: Map<string, Grid[]>; whole: string[] } {
  let names: string[];
  try {
    names = readdirSync(folder)
      .filter((name) => name.endsWith(".json") && !name.startsWith("."))
      .sort();
  } catch (error) {
    throw unreadable(folder, error);
  }
  if (names.length === 0) throw new UserError(`${folder}: holds no .json file; pass a challenges file or a folder of task files`);
  const kaggle = names.filter((name) => name.endsWith("_challenges.json") || name.endsWith("_solutions.json"));
  if (kaggle.length > 0) throw new UserError(`${folder}: is a folder of whole sets (${kaggle.join(", ")}); pass one of these files`);
  const solutions = new Map<string, Grid[]>();
  const entries: Entry[] = [];
  const whole: string[] = [];
  for (const name of names) {
    const id = name.slice(0, -".json".length);
    try {
      const text = readTextFile(join(folder, name)).replace(/^\uFEFF/, "");
      const keys = new Set(fileMembers(text, name, "train and test pairs").map(({ key }) => key));
      if (!keys.has("train") && !keys.has("test")) whole.push(`${name} has neither train nor test: it is no task file`);
      const { entry, outputs } = parseTask(id, text.trim());
      entries.push(entry);
      const grids = outputs.map((output, i) => checkGrid(output, `task ${quoted(id)}, test ${i}, output`, problems));
      solutions.set(
        id,
        grids.filter((grid) => grid !== undefined),
      );
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const texts = error instanceof InputError ? error.problems : [error.message];
      for (const text of texts) {
        whole.push(`${name} ${text}`);
        problems.push(`${name} ${text}`);
      }
      entries.push({ id, testInputs: 1, problems: texts });
    }
  }
  return { entries, solutions, whole };
}
