/** Reads tasks in ARC's JSON: all of a file's good tasks, and what is wrong with the others. */
import { InputError } from "../errors.ts";
import { equalGrids, type Grid } from "./grid.ts";
import { checkGrid, kindOf, quoted, shortened } from "./grid-json.ts";
import { fileMembers, objectMembers } from "./json-scan.ts";
import type { Pair, Task, TestPair } from "./task.ts";

/** A task that can't be worked on. It still needs a valid answer for each of its test inputs. */
export interface BadTask {
  readonly id: string;
  /** How many test inputs it has; 1 where the file does not tell, at most `MAX_TEST_INPUTS`. */
  readonly testInputs: number;
  /** One sentence each, without file and task. */
  readonly problems: readonly string[];
  /** Its test inputs as far as they are readable, for a better guess than a single black cell. */
  readonly inputs?: readonly (Grid | undefined)[];
}

/** What a submission must answer, in file order. */
export type Entry = Task | BadTask;

/** The content of a challenges file. */
export interface Challenges {
  /** The good tasks, in file order, without answers. */
  readonly tasks: readonly Task[];
  readonly bad: readonly BadTask[];
  /** Good and bad tasks in file order. */
  readonly entries: readonly Entry[];
  /** Things worth a line in the log that stop nothing. */
  readonly notes: readonly string[];
}

/** More test inputs than this in one task are nonsense; ARC has at most four. */
export const MAX_TEST_INPUTS = 1000;

/** A task's text may have this many characters; one of ten 30 x 30 pairs has 40 000. */
const MAX_TASK_CHARS = 4_000_000;

/** How many test inputs a task has, good or bad. */
export function testInputsOf(entry: Entry): number {
  return "test" in entry ? entry.test.length : entry.testInputs;
}

/** "file: task id, problem" for every problem of every bad task. */
export function describeBadTasks(where: string, bad: readonly BadTask[]): string[] {
  return problemsOf(bad).map((problem) => `${where}: ${problem}`);
}

/** What is wrong with bad tasks, each problem with its task. */
export function problemsOf(bad: readonly BadTask[]): string[] {
  return bad.flatMap(({ id, problems }) => problems.map((problem) => `task ${quoted(id)}, ${problem}`));
}

/**
 * The tasks of a challenges file (task id -> `{train: [{input, output}], test: [{input}]}`), in file order.
 * A bad task costs that task only; answers that stand in the file are left out and noted.
 *
 * @throws InputError where the file is wrong as a whole: no JSON object, no member that looks like a task, one id with two contents
 */
export function parseChallenges(text: string, where: string): Challenges {
  const members = fileMembers(text, where, "tasks");
  if (members.length === 0) throw new InputError(where, ["holds no task: it is an empty object"]);
  if (!members.some(({ start }) => text[start] === "{")) {
    const lists = members.every(({ start }) => text[start] === "[");
    const hint = lists
      ? "every value is a list: is this a solutions file or a submission?"
      : 'expected {"id": {"train": [...], "test": [...]}, ...}';
    throw new InputError(where, [`holds no task; ${hint}`]);
  }
  const found = new Map<string, ParsedTask & { text: string }>();
  const notes: string[] = [];
  const clashes: string[] = [];
  for (const { key: id, start, end } of members) {
    const first = found.get(id);
    const span = text.slice(start, end);
    const parsed = parseTask(id, span);
    if (!first) found.set(id, { ...parsed, text: span });
    else if (first.text === span || equalEntries(first.entry, parsed.entry))
      notes.push(`task ${quoted(id)} stands twice with the same content; it is taken once`);
    else clashes.push(`task ${quoted(id)} stands twice with different content`);
  }
  if (clashes.length > 0) throw new InputError(where, shortened([...new Set(clashes)]));
  const answered = [...found.values()].reduce((sum, { outputs }) => sum + outputs.filter((output) => output !== undefined).length, 0);
  if (answered > 0) notes.push(`${answered} test ${answered === 1 ? "pair has its" : "pairs have their"} output in this file; not used`);
  return challengesOf(
    [...found.values()].map(({ entry }) => entry),
    notes,
  );
}

/** Tasks sorted into good and bad. */
export function challengesOf(entries: readonly Entry[], notes: readonly string[]): Challenges {
  const isTask = (entry: Entry): entry is Task => "test" in entry;
  return { tasks: entries.filter(isTask), bad: entries.filter((entry): entry is BadTask => !isTask(entry)), entries, notes };
}

/** One task, and the outputs that stand beside its test inputs (as they are: neither checked nor part of the task). */
export interface ParsedTask {
  readonly entry: Entry;
  readonly outputs: readonly unknown[];
}

/** A task from the text of its JSON value. The text must be JSON (`json-scan.ts` has seen to that). */
export function parseTask(id: string, text: string): ParsedTask {
  if (text.length > MAX_TASK_CHARS) {
    return { entry: { id, testInputs: 1, problems: [`has ${text.length} characters; at most ${MAX_TASK_CHARS} are read`] }, outputs: [] };
  }
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { entry: { id, testInputs: 1, problems: [`is ${kindOf(value)}, not an object with train and test`] }, outputs: [] };
  }
  const { train: trainValue, test: testValue } = value as { train?: unknown; test?: unknown };
  const problems: string[] = [];
  const keys = objectMembers(text, 0).map(({ key }) => key);
  for (const name of ["train", "test"])
    if (keys.filter((key) => key === name).length > 1) problems.push(`has the key ${name} more than once`);

  const train = listOf(trainValue, "train", problems).map((pair, i): Partial<Pair> => {
    const input = checkGrid(fieldOf(pair, "input"), `train ${i}, input`, problems);
    const output = checkGrid(fieldOf(pair, "output"), `train ${i}, output`, problems);
    return { ...(input && { input }), ...(output && { output }) };
  });
  if (Array.isArray(trainValue) && train.length === 0) problems.push("has no train pair; one at least is needed");

  const tests = listOf(testValue, "test", problems);
  if (Array.isArray(testValue) && tests.length === 0) problems.push("has no test input");
  if (tests.length > MAX_TEST_INPUTS) problems.push(`has ${tests.length} test inputs; at most ${MAX_TEST_INPUTS} are answered`);
  const inputs = tests.slice(0, MAX_TEST_INPUTS).map((pair, i) => checkGrid(fieldOf(pair, "input"), `test ${i}, input`, problems));
  const outputs = tests.slice(0, MAX_TEST_INPUTS).map((pair) => fieldOf(pair, "output"));

  if (problems.length > 0) {
    const testInputs = Array.isArray(testValue) ? inputs.length : 1;
    return { entry: { id, testInputs, problems: shortened(problems), inputs }, outputs };
  }
  const testFirst = keys.indexOf("test") < keys.indexOf("train");
  const test = inputs.map((input): TestPair => ({ input: input as Grid }));
  return { entry: { id, train: train as Pair[], test, ...(testFirst && { testFirst }) }, outputs };
}

function listOf(value: unknown, name: string, problems: string[]): readonly unknown[] {
  if (Array.isArray(value)) return value;
  problems.push(value === undefined ? `has no ${name} list` : `${name} is ${kindOf(value)}, not a list of pairs`);
  return [];
}

function fieldOf(pair: unknown, name: "input" | "output"): unknown {
  return typeof pair === "object" && pair !== null && Object.hasOwn(pair, name) ? (pair as Record<string, unknown>)[name] : undefined;
}

/** Whether two good tasks ask the same, in the same order. */
function equalEntries(a: Entry, b: Entry): boolean {
  if (!("test" in a) || !("test" in b)) return false;
  return (
    a.train.length === b.train.length &&
    a.test.length === b.test.length &&
    a.train.every(({ input, output }, i) => equalGrids(input, b.train[i]!.input) && equalGrids(output, b.train[i]!.output)) &&
    a.test.every(({ input }, i) => equalGrids(input, b.test[i]!.input))
  );
}
