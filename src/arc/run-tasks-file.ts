/**
 * `tasks.jsonl`: the tasks of a run as they were read, kept in its folder so that they can be shown when the challenges file is gone. One a line, in the
 * file's order: `{id, chosen, train, test}` of a good task, `{id, problems, inputs}` of a bad one, with null for inputs that can't be read.
 */
import { InputError, messageOf } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { readTextFile } from "./challenges-file.ts";
import { type BadTask, type Entry, parseTask } from "./challenges-json.ts";
import { type Grid, gridToRows } from "./grid.ts";
import { checkGrid, quoted, shortened } from "./grid-json.ts";
import type { Task } from "./task.ts";

/** Its name in a run's folder. */
export const TASKS_FILE = "tasks.jsonl";

/** A task, and whether the run works on it. A bad one never is. */
export interface RunTask {
  readonly entry: Entry;
  readonly chosen: boolean;
}

/** Those that the run works on, which votes name by their place. */
export function chosenTasks(tasks: readonly RunTask[]): Task[] {
  return tasks.flatMap(({ entry, chosen }) => (chosen ? [entry as Task] : []));
}

/** Writes the file atomically. */
export function writeRunTasks(path: string, entries: readonly Entry[], chosen: readonly Task[]): void {
  const ids = new Set(chosen.map(({ id }) => id));
  writeFileAtomically(path, entries.map((entry) => `${JSON.stringify(lineOf(entry, ids.has(entry.id)))}\n`).join(""));
}

/** The tasks in such a file. @throws UserError where it can't be read, InputError that lists everything wrong with it */
export function readRunTasks(path: string): RunTask[] {
  const problems: string[] = [];
  const lines = readTextFile(path).split("\n");
  const tasks = lines.flatMap((line, i) => {
    if (line === "") return [];
    try {
      return [taskOf(line)];
    } catch (error) {
      problems.push(`line ${i + 1}: ${messageOf(error)}`);
      return [];
    }
  });
  if (problems.length > 0) throw new InputError(path, shortened(problems));
  return tasks;
}

function lineOf(entry: Entry, chosen: boolean): object {
  if (!("test" in entry)) {
    const { id, problems, testInputs, inputs = [] } = entry;
    return { id, problems, inputs: Array.from({ length: testInputs }, (_, i) => (inputs[i] ? gridToRows(inputs[i]) : null)) };
  }
  const train = entry.train.map(({ input, output }) => ({ input: gridToRows(input), output: gridToRows(output) }));
  return { id: entry.id, chosen, train, test: entry.test.map(({ input }) => ({ input: gridToRows(input) })) };
}

function taskOf(line: string): RunTask {
  const value: unknown = JSON.parse(line);
  const { id, chosen, problems, inputs } = (value ?? {}) as { id?: unknown; chosen?: unknown; problems?: unknown; inputs?: unknown };
  if (typeof id !== "string") throw new Error("has no id");
  if (Array.isArray(problems)) return { entry: badTask(id, problems, inputs), chosen: false };
  const { entry } = parseTask(id, line);
  if (!("test" in entry)) throw new Error(`task ${quoted(id)} ${entry.problems.join("; ")}`);
  return { entry, chosen: chosen === true };
}

function badTask(id: string, problems: readonly unknown[], inputs: unknown): BadTask {
  const read: (Grid | undefined)[] = Array.isArray(inputs) ? inputs.map((input) => checkGrid(input, "", [])) : [];
  return { id, testInputs: read.length, problems: problems.map(String), inputs: read };
}
