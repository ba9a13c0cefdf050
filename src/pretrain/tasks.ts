/** The real tasks of a pre-training: read from files, answers put to them, chosen, and told of in words. */
import { basename } from "node:path";
import { readChallenges, readSolutions } from "../arc/challenges-file.ts";
import { describeBadTasks } from "../arc/challenges-json.ts";
import { withSolutions } from "../arc/solutions-json.ts";
import type { Task } from "../arc/task.ts";
import type { ExpectedTasks, PretrainingRecipe } from "../config/pretraining.ts";
import { type Overlap, type SetReport, selectTrainingTasks, type TaskSet } from "../data/training-tasks.ts";
import { InputError, UserError } from "../errors.ts";
import { createRandom } from "../random.ts";

export interface TaskFiles {
  /** challenges files, or folders of task files */
  readonly tasks: readonly string[];
  /** solutions files, in any order: each belongs to the tasks file with the same ids */
  readonly solutions: readonly string[];
  /** challenges whose demonstrations are trained on and whose tests are evaluated on */
  readonly evaluation: readonly string[];
  /** challenges of which nothing may be trained on */
  readonly heldOut: readonly string[];
  /** leave tasks out that overlap with held-out or evaluated ones, instead of refusing to start */
  readonly dropOverlap: boolean;
}

export interface SplitSettings {
  /** cells a side; tasks with a larger grid are left out */
  readonly canvas: number;
  /** tasks of the evaluation files that are trained on with their tests */
  readonly evaluationTrained: number;
  /** tasks of the evaluation files that are left out altogether */
  readonly evaluationHeldOut: number;
  /** of the split */
  readonly seed: number | string;
}

export interface PretrainingTasks {
  /** trained on, tests too where their answers are known */
  readonly trained: readonly Task[];
  /** trained on by their demonstrations; tests with the answers that are known */
  readonly evaluated: readonly Task[];
  readonly sets: readonly SetReport[];
}

/** Told what was found, left out and why, a sentence each; `debug` for details. */
export type Tell = (level: "info" | "warn" | "debug", text: string) => void;

/** Overlaps named in a message. */
const NAMED_OVERLAPS = 20;

/**
 * Reads and chooses the tasks.
 *
 * @throws UserError  where a file can't be read, or a solutions file belongs to none of the tasks files
 * @throws InputError where tasks overlap with held-out or evaluated ones and may not be dropped
 */
export function readPretrainingTasks(files: TaskFiles, settings: SplitSettings, tell: Tell): PretrainingTasks {
  const read = (path: string): TaskSet => {
    const { tasks, bad, solutions } = readChallenges(path);
    for (const line of describeBadTasks(path, bad)) tell("warn", `${line}; it is left out`);
    // Task files of a folder hold the outputs of their tests.
    return { name: basename(path), tasks: solutions ? withSolutions(tasks, solutions).tasks : tasks };
  };
  const answered = putAnswers([...files.tasks, ...files.evaluation].map(read), files.solutions, tell);
  const training = answered.slice(0, files.tasks.length);
  for (const { name, tasks } of training) {
    const tests = tasks.flatMap(({ test }) => test);
    const known = tests.filter(({ output }) => output).length;
    const hint = known === 0 && tests.length > 0 ? "; --solutions takes a file of them" : "";
    tell("info", `${name}: the answers of ${known} of ${tests.length} tests are known and trained on as well${hint}`);
  }
  const { trained, evaluated, heldOut } = splitEvaluation(answered.slice(files.tasks.length), settings);
  const never = [...files.heldOut.map(read), ...heldOut];
  const { canvas } = settings;
  const ofTraining = selectTrainingTasks([...training, ...trained], [...never, ...evaluated], canvas);
  const ofEvaluation = selectTrainingTasks(evaluated, never, canvas);
  const sets = [...ofTraining.sets, ...ofEvaluation.sets];
  for (const { name, given, repeated, tooLarge, heldOut, kept } of sets) {
    tell(
      "info",
      `${name}: ${kept} of ${given} tasks to train on; ${tooLarge} have a grid larger than ${canvas} x ${canvas}, ${repeated} came before, ${heldOut} overlap with held-out tasks`,
    );
  }
  const lines = [...ofTraining.overlaps, ...ofEvaluation.overlaps].map(describeOverlap);
  if (lines.length > 0 && !files.dropOverlap) {
    const more = lines.length > NAMED_OVERLAPS ? [`and ${lines.length - NAMED_OVERLAPS} more`] : [];
    throw new InputError("tasks to train on overlap with held-out ones (pass --drop-overlap to leave these out)", [
      ...lines.slice(0, NAMED_OVERLAPS),
      ...more,
    ]);
  }
  for (const line of lines) tell("debug", `${line}; left out`);
  if (ofTraining.tasks.length + ofEvaluation.tasks.length === 0) {
    throw new UserError(`--tasks: none of the tasks can be trained on; a larger --canvas than ${canvas} takes more`);
  }
  return { trained: ofTraining.tasks, evaluated: ofEvaluation.tasks, sets };
}

/** Compares the files with the sets that a recipe is made for. @throws UserError where there is no file at all for some of them */
export function compareWithRecipe(name: string, { expects }: PretrainingRecipe, files: TaskFiles, tell: Tell): void {
  const describe = (sets: readonly ExpectedTasks[]): string => sets.map((set) => `${set.name} (${set.tasks} tasks)`).join(", ");
  for (const [option, given] of [
    ["--tasks", files.tasks],
    ["--evaluation", files.evaluation],
  ] as const) {
    const sets = expects.filter((set) => set.option === option);
    if (sets.length === 0) continue;
    if (given.length === 0) throw new UserError(`--recipe ${name} needs ${option} FILES: ${describe(sets)}`);
    tell("info", `recipe ${name} is made for ${describe(sets)} as ${option}; given: ${given.map((path) => basename(path)).join(", ")}`);
  }
}

/** Deals the tasks of the evaluation files out: those trained on whole, those left out, and those evaluated on. */
function splitEvaluation(
  sets: readonly TaskSet[],
  { evaluationTrained, evaluationHeldOut, seed }: SplitSettings,
): Record<"trained" | "evaluated" | "heldOut", TaskSet[]> {
  const ids = [...new Set(sets.flatMap(({ tasks }) => tasks.map(({ id }) => id)))].sort();
  if (evaluationTrained + evaluationHeldOut > ids.length) {
    throw new UserError(
      `--evaluation has ${ids.length} tasks; --evaluation-trained ${evaluationTrained} and --evaluation-held-out ${evaluationHeldOut} ask for more`,
    );
  }
  const order = createRandom(seed).fork("evaluation split").shuffled(ids);
  const heldOut = new Set(order.slice(0, evaluationHeldOut));
  const trained = new Set(order.slice(evaluationHeldOut, evaluationHeldOut + evaluationTrained));
  const deal = (chosen: (id: string) => boolean, suffix: string): TaskSet[] =>
    sets
      .map(({ name, tasks }) => ({ name: `${name}${suffix}`, tasks: tasks.filter(({ id }) => chosen(id)) }))
      .filter(({ tasks }) => tasks.length > 0);
  return {
    trained: deal((id) => trained.has(id), " (tests too)"),
    heldOut: deal((id) => heldOut.has(id), " (held out)"),
    evaluated: deal((id) => !trained.has(id) && !heldOut.has(id), ""),
  };
}

function describeOverlap({ set, id, heldOutSet, heldOutId, how }: Overlap): string {
  return how === "same id"
    ? `task ${id} of ${set} is in ${heldOutSet} too`
    : `task ${id} of ${set} and task ${heldOutId} of ${heldOutSet}: ${how}`;
}

/** Gives each solutions file to the tasks file whose ids it shares most of, as a share of the ids of both. */
function putAnswers(sets: readonly TaskSet[], paths: readonly string[], tell: Tell): TaskSet[] {
  const answered = sets.slice();
  for (const path of paths) {
    const solutions = readSolutions(path);
    const likeness = sets.map(({ tasks }) => {
      const common = tasks.filter(({ id }) => solutions.has(id)).length;
      return common / Math.max(1, tasks.length + solutions.size - common);
    });
    const best = likeness.indexOf(Math.max(...likeness));
    if (!(likeness[best]! > 0)) {
      throw new UserError(`${path}: answers no task of ${sets.map(({ name }) => name).join(", ")}; pass its challenges file too`);
    }
    const { name, tasks } = answered[best]!;
    const wrong = tasks.flatMap(({ id, test }) => {
      const outputs = solutions.get(id);
      return outputs && outputs.length !== test.length ? [`task ${id} has ${test.length} test inputs but ${outputs.length} solutions`] : [];
    });
    if (wrong.length > 0) throw new InputError(`${path}, as answers to ${name}`, wrong);
    const solved = withSolutions(tasks, solutions).tasks.map((task, i): Task => (solutions.has(task.id) ? task : tasks[i]!));
    answered[best] = { name, tasks: solved };
    const tests = solved.reduce((sum, { test }) => sum + test.filter(({ output }) => output).length, 0);
    tell("info", `${basename(path)} answers ${tests} tests of ${name}`);
  }
  return answered;
}
