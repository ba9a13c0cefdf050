/** The real tasks of a pre-training: read from files, answers put to them, chosen, and told of in words. */
import { basename } from "node:path";
import { readChallenges, readSolutions } from "../arc/challenges-file.ts";
import { describeBadTasks } from "../arc/challenges-json.ts";
import { withSolutions } from "../arc/solutions-json.ts";
import type { Task } from "../arc/task.ts";
import { type Overlap, selectTrainingTasks, type TaskSelection, type TaskSet } from "../data/training-tasks.ts";
import { InputError, UserError } from "../errors.ts";

export interface TaskFiles {
  /** challenges files, or folders of task files */
  readonly tasks: readonly string[];
  /** solutions files, in any order: each belongs to the tasks file with the same ids */
  readonly solutions: readonly string[];
  /** challenges of which nothing may be trained on */
  readonly heldOut: readonly string[];
  /** leave tasks out that overlap with held-out ones, instead of refusing to start */
  readonly dropOverlap: boolean;
}

/** Overlaps named in a message. */
const NAMED_OVERLAPS = 20;

/**
 * Reads and chooses the tasks to train on.
 *
 * @param canvas cells a side; tasks with a larger grid are left out
 * @param tell   told in a sentence each what was found, left out and why; `debug` for details
 * @throws UserError  where a file can't be read, or a solutions file belongs to none of the tasks files
 * @throws InputError where tasks overlap with held-out ones and may not be dropped
 */
export function readTrainingTasks(
  files: TaskFiles,
  canvas: number,
  tell: (level: "info" | "warn" | "debug", text: string) => void,
): TaskSelection {
  const sets = files.tasks.map((path): TaskSet => {
    const { tasks, bad } = readChallenges(path);
    for (const line of describeBadTasks(path, bad)) tell("warn", `${line}; it is left out`);
    return { name: basename(path), tasks };
  });
  const answered = putAnswers(sets, files.solutions, tell);
  const heldOut = files.heldOut.map((path): TaskSet => ({ name: basename(path), tasks: readChallenges(path).tasks }));
  const selection = selectTrainingTasks(answered, heldOut, canvas);
  for (const { name, given, repeated, tooLarge, heldOut, kept } of selection.sets) {
    tell(
      "info",
      `${name}: ${kept} of ${given} tasks to train on; ${tooLarge} have a grid larger than ${canvas} x ${canvas}, ${repeated} came before, ${heldOut} overlap with held-out tasks`,
    );
  }
  const lines = selection.overlaps.map(describeOverlap);
  if (lines.length > 0 && !files.dropOverlap) {
    const more = lines.length > NAMED_OVERLAPS ? [`and ${lines.length - NAMED_OVERLAPS} more`] : [];
    throw new InputError("--tasks and --held-out overlap (pass --drop-overlap to leave these tasks out)", [
      ...lines.slice(0, NAMED_OVERLAPS),
      ...more,
    ]);
  }
  for (const line of lines) tell("debug", `${line}; left out`);
  if (selection.tasks.length === 0)
    throw new UserError(`--tasks: none of the tasks can be trained on; a larger --canvas than ${canvas} takes more`);
  return selection;
}

function describeOverlap({ set, id, heldOutSet, heldOutId, how }: Overlap): string {
  return how === "same id"
    ? `task ${id} of ${set} is in ${heldOutSet} too`
    : `task ${id} of ${set} and task ${heldOutId} of ${heldOutSet}: ${how}`;
}

/** Gives each solutions file to the tasks file whose ids it shares most of, as a share of the ids of both. */
function putAnswers(sets: readonly TaskSet[], paths: readonly string[], tell: (level: "info", text: string) => void): TaskSet[] {
  const answered = sets.slice();
  for (const path of paths) {
    const solutions = readSolutions(path);
    const likeness = sets.map(({ tasks }) => {
      const common = tasks.filter(({ id }) => solutions.has(id)).length;
      return common / Math.max(1, tasks.length + solutions.size - common);
    });
    const best = likeness.indexOf(Math.max(...likeness));
    if (!(likeness[best]! > 0))
      throw new UserError(`${path}: answers no task of ${sets.map(({ name }) => name).join(", ")}; pass its challenges file with --tasks`);
    const { name, tasks } = answered[best]!;
    const wrong = tasks.flatMap(({ id, test }) => {
      const outputs = solutions.get(id);
      return outputs && outputs.length !== test.length ? [`task ${id} has ${test.length} test inputs but ${outputs.length} solutions`] : [];
    });
    if (wrong.length > 0) throw new InputError(`${path}, as answers to ${name}`, wrong);
    const solved = withSolutions(tasks, solutions).tasks.map((task, i): Task => (solutions.has(task.id) ? task : tasks[i]!));
    answered[best] = { name, tasks: solved };
    const tests = solved.reduce((sum, { test }) => sum + test.filter(({ output }) => output).length, 0);
    tell("info", `${basename(path)} answers ${tests} tests of ${name}, which are trained on too`);
  }
  return answered;
}
