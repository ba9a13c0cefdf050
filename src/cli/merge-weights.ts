/** `merge --solutions`: weights found on tasks with solutions, and what each file adds. */
import { readSolutions } from "../arc/challenges-file.ts";
import { UserError } from "../errors.ts";
import { readAnswers } from "../predict/candidate-file.ts";
import { contestOf, type Solved, type Weighing, weighSystems } from "../vote/find-weights.ts";

/** Fewer tasks than this say little of weights. */
const FEW_TASKS = 50;

/** @throws UserError where no file answers a task that has a solution */
export function weighFiles(files: readonly string[], solutionsPath: string): Weighing {
  const contest = contestOf(files.map(readAnswers), readSolutions(solutionsPath));
  if (contest.inputs.length === 0)
    throw new UserError(`${solutionsPath}: solves no task that is answered; are these files of the same set?`);
  const weighing = weighSystems(contest);
  if (weighing.tasks < FEW_TASKS) console.error(`${weighing.tasks} tasks are few to find weights on: they say little of other tasks`);
  return weighing;
}

/** As plain data; shares are of test inputs, 0..1. */
export function weighingToJson(files: readonly string[], weighing: Weighing): Record<string, unknown> {
  const share = (inputs: number): number => inputs / weighing.testInputs;
  const both = ({ within1, within2 }: Solved) => ({ "pass@1": share(within1), "pass@2": share(within2) });
  return {
    weights: weighing.weights,
    weighing: {
      tasks: weighing.tasks,
      testInputs: weighing.testInputs,
      equal: both(weighing.equal),
      found: { weights: weighing.found.weights, ...both(weighing.found) },
      crossValidated: { folds: weighing.folds, ...both(weighing.crossValidated) },
      holds: weighing.holds,
      oracle: share(weighing.oracle),
      systems: weighing.systems.map(({ alone, only, adds }, i) => ({
        file: files[i],
        ...both(alone),
        only: share(only),
        ...(adds && { adds: share(adds.inputs), addsError: share(adds.error) }),
      })),
    },
  };
}

/** As a table for people. */
export function weighingTable(files: readonly string[], weighing: Weighing): string {
  const { tasks, testInputs, systems, weights, equal, found, crossValidated, folds, holds, oracle } = weighing;
  const percent = (inputs: number): string => `${((100 * inputs) / testInputs).toFixed(2)} %`;
  const width = Math.max(6, ...files.map((file) => file.length));
  const line = (...cells: string[]): string => [cells[0]!.padEnd(width), ...cells.slice(1).map((cell) => cell.padStart(12))].join("");
  const adds = (i: number): string => {
    const { adds: gain } = systems[i]!;
    return gain ? `${gain.inputs > 0 ? "+" : ""}${percent(gain.inputs)} ± ${((100 * gain.error) / testInputs).toFixed(2)}` : "";
  };
  return [
    `${tasks} tasks, ${testInputs} test inputs; what a file adds: pass@2 with it less pass@2 without it, both with weights found on other tasks`,
    `${line("file", "weight", "pass@1", "pass@2", "only it")}  what it adds`,
    ...systems.map(
      ({ alone, only }, i) =>
        `${line(files[i]!, String(weights[i]), percent(alone.within1), percent(alone.within2), percent(only))}  ${adds(i)}`,
    ),
    line("together, equal weights", "", percent(equal.within1), percent(equal.within2)),
    line("weights found", "", percent(found.within1), percent(found.within2)),
    line(`the same, ${folds}-fold`, "", percent(crossValidated.within1), percent(crossValidated.within2)),
    line("any of them", "", "", percent(oracle)),
    holds
      ? `the weights found hold on tasks that they were not found on: --weights ${weights.join(",")}`
      : `on tasks that they were not found on, the weights found (${found.weights.join(",")}) are no better than equal ones: --weights ${weights.join(",")}`,
  ].join("\n");
}
