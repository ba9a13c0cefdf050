/** What `run` prints at its end. */
import pc from "picocolors";
import type { RunResult } from "../adapt/request.ts";
import type { Run } from "../adapt/run.ts";
import { equalGrids } from "../arc/grid.ts";
import type { Solutions } from "../arc/solutions-json.ts";

/** A line a test input: its votes, and whether it was solved. */
export function describeOutcomes(run: Run, solutions: Solutions | undefined): string[] {
  return run.outcomes().map(({ taskId, testIndex, answers }) => {
    const [first, second] = answers;
    const truth = solutions?.get(taskId)?.[testIndex];
    const rank = truth ? answers.slice(0, 2).findIndex(({ grid }) => equalGrids(grid, truth)) + 1 : 0;
    const solved = !truth ? "" : rank > 0 ? pc.green(`solved (attempt ${rank})`) : pc.red("not solved");
    const total = answers.reduce((sum, { votes, isEarlier }) => sum + (isEarlier ? 0 : votes), 0);
    const votes = first ? `${first.votes}${second && !second.isEarlier ? ` + ${second.votes}` : ""} of ${total} votes` : "no vote";
    return `${taskId}  test ${testIndex}  ${votes.padEnd(20)}  ${solved}`;
  });
}

/** A line a test input, then the sums. */
export function printTable(run: Run, result: RunResult, solutions: Solutions | undefined): void {
  console.log(describeOutcomes(run, solutions).join("\n"));
  const { seconds, score, voteWeights = {} } = result;
  console.log(
    `\n${result.tasks} tasks, ${result.testInputs} test inputs, ${result.steps} optimizer steps; load ${seconds.load.toFixed(1)} s, adapt ${seconds.adapt.toFixed(1)} s, predict ${seconds.predict.toFixed(1)} s, total ${seconds.total.toFixed(1)} s`,
  );
  if (result.fallbackInputs > 0) console.log(`${result.fallbackInputs} test inputs have only fallback answers`);
  if (score)
    console.log(
      `pass@1 ${(100 * score["pass@1"]!).toFixed(1)} %, pass@2 ${(100 * score["pass@2"]!).toFixed(1)} % of the test inputs worked on`,
    );
  if (score && Object.keys(voteWeights).length > 1) {
    const shares = Object.entries(voteWeights).map(([name, each]) => `${name} ${(100 * each["pass@2"]!).toFixed(1)} %`);
    console.log(`pass@2 of the same votes by what each counts (--vote-weight): ${shares.join(", ")}`);
  }
  console.log(`${result.submission} and ${result.candidates} written`);
}
