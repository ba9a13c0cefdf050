/** Reads the answers to a challenges file and puts them to their tasks. */
import { InputError } from "../errors.ts";
import { equalGrids, type Grid } from "./grid.ts";
import { checkGrid, kindOf, quoted, shortened } from "./grid-json.ts";
import { fileMembers } from "./json-scan.ts";
import type { Task } from "./task.ts";

/** Answers by task id, one per test input, in file order. */
export type Solutions = ReadonlyMap<string, readonly Grid[]>;

/**
 * The content of a solutions file: task id -> `[output grid per test input]`.
 *
 * @throws InputError that lists everything wrong; a score from half a file would mislead
 */
export function parseSolutions(text: string, where: string): Map<string, Grid[]> {
  const members = fileMembers(text, where, "solutions");
  if (members.length === 0) throw new InputError(where, ["holds no solution: it is an empty object"]);
  if (members.every(({ start }) => text[start] === "{")) {
    throw new InputError(where, ["holds no solution; every value is an object: is this a challenges file?"]);
  }
  const solutions = new Map<string, Grid[]>();
  const problems: string[] = [];
  for (const { key: id, start, end } of members) {
    const value: unknown = JSON.parse(text.slice(start, end));
    const spot = `task ${quoted(id)}`;
    if (!Array.isArray(value)) {
      problems.push(`${spot} is ${kindOf(value)}, not a list of grids`);
      continue;
    }
    const grids = value.map((grid, i) => checkGrid(grid, `${spot}, output ${i}`, problems)).filter((grid) => grid !== undefined);
    const earlier = solutions.get(id);
    if (earlier && !equalLists(earlier, grids)) problems.push(`${spot} stands twice with different content`);
    if (!earlier) solutions.set(id, grids);
  }
  if (problems.length > 0) throw new InputError(where, shortened(problems));
  return solutions;
}

/** Tasks with the outputs that a solutions file gives, and where the two don't fit. */
export interface SolvedTasks {
  readonly tasks: Task[];
  /** One sentence for each test input without an answer. */
  readonly missing: string[];
  /** One sentence for each answer or id without a test input. */
  readonly surplus: string[];
}

/** Puts answers to their tasks; a test input without one stays without. */
export function withSolutions(tasks: readonly Task[], solutions: Solutions): SolvedTasks {
  const missing: string[] = [];
  const surplus: string[] = [];
  const ids = new Set(tasks.map(({ id }) => id));
  for (const id of solutions.keys()) if (!ids.has(id)) surplus.push(`task ${quoted(id)} has a solution but is not among the tasks`);
  const solved = tasks.map((task): Task => {
    const outputs = solutions.get(task.id) ?? [];
    const name = `task ${quoted(task.id)}`;
    if (!solutions.has(task.id)) missing.push(`${name} has no solution`);
    else if (outputs.length < task.test.length) missing.push(`${name} has ${task.test.length} test inputs but ${outputs.length} solutions`);
    else if (outputs.length > task.test.length) surplus.push(`${name} has ${task.test.length} test inputs but ${outputs.length} solutions`);
    return {
      ...task,
      test: task.test.map(({ input }, i) => {
        const output = outputs[i];
        return output ? { input, output } : { input };
      }),
    };
  });
  return { tasks: solved, missing, surplus };
}

function equalLists(a: readonly Grid[], b: readonly Grid[]): boolean {
  return a.length === b.length && a.every((grid, i) => equalGrids(grid, b[i]!));
}
