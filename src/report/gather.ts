/** All that the page of a run shows, from what its folder holds. */
import { chosenTasks } from "../arc/run-tasks-file.ts";
import type { Task } from "../arc/task.ts";
import { parseDuration } from "../budget/duration.ts";
import type { HaltingScale } from "../vote/weighting.ts";
import { curvesOf } from "./curves.ts";
import { withLearning } from "./learning-curves.ts";
import type { ReadRun } from "./read-run-file.ts";
import type { ReportData, Summary } from "./report-data.ts";
import { numberOf, type RunEvent } from "./run-events.ts";
import { scoreOverTime } from "./score-over-time.ts";
import { stageVotesOf } from "./stage-votes.ts";
import { type Answered, scoreOf, taskReports, withinCharacters } from "./task-reports.ts";
import { timelineOf } from "./timeline.ts";
import { scoresByWeighting, type WeightingScore } from "./vote-weights.ts";

/** Grids may take this much of the page; then candidates are left out, those with the fewest votes first. */
const MOST_CHARACTERS = 12e6;

/** @param now Unix milliseconds */
export function gatherReport(run: ReadRun, now: number): ReportData {
  const { events, config, solutions } = run;
  const chosen = chosenTasks(run.tasks);
  const answered: Answered = { ...run, votes: run.stageVotes ?? stageVotesOf(run.votes, chosen) };
  const all = taskReports(answered);
  const { tasks, kept } = withinCharacters(all, MOST_CHARACTERS);
  const result = events.findLast(({ event }) => event === "result");
  const isOver = result !== undefined && !events.slice(events.lastIndexOf(result)).some(({ event }) => event === "goes-on");
  const elapsedSeconds = (isOver ? result : events.at(-1))?.seconds ?? 0; // the report itself comes after the result
  let voteWeights: WeightingScore[] = [];
  const overTime =
    solutions &&
    scoreOverTime(run.votes, chosen, solutions, events, (ballot) => {
      voteWeights = scoresByWeighting(ballot, run.votes, chosen, solutions, haltingScaleOf(events));
    });
  const summary = { ...summaryOf(run, all, chosen, result), voteWeights, elapsedSeconds };
  return {
    title: run.title,
    gatheredAt: now,
    state: isOver ? "finished" : run.isRunning ? "running" : "broken-off",
    summary,
    timeline: timelineOf(events, elapsedSeconds, summary.workers),
    curves: [...(overTime ? [overTime] : []), ...withLearning(curvesOf(run.metrics), run.learning)],
    tasks,
    settings: [
      ...(config.tasksSha256 === undefined ? [] : [{ name: "tasks worked on, SHA-256", value: config.tasksSha256, origin: "data" }]),
      ...Object.entries(config.arguments).map(([name, value]) => ({ name, value: String(value), origin: "option" })),
      ...Object.entries(config.settings).map(([name, { value, origin }]) => ({ name, value: String(value), origin })),
    ],
    notes: [
      ...run.notes,
      ...(kept === undefined ? [] : [`Only the best ${kept} candidates of each test input are shown, to keep the page small.`]),
    ],
  };
}

function summaryOf(
  { events, config, votes }: ReadRun,
  tasks: ReportData["tasks"],
  chosen: readonly Task[],
  resultEvent: RunEvent | undefined,
): Omit<Summary, "elapsedSeconds" | "voteWeights"> {
  const result = (resultEvent?.result ?? {}) as Record<string, unknown>;
  const tests = tasks.flatMap(({ state, test }) => (state === "worked-on" ? test : []));
  const ranks = events.flatMap(({ rssBytes }) => (Array.isArray(rssBytes) ? [rssBytes.length] : []));
  return {
    budgetSeconds: typeof config.arguments.budget === "string" ? durationOf(config.arguments.budget) : undefined,
    beganAt: config.beganAt,
    engine: [result.engineDescription, result.engine].find((words) => typeof words === "string") as string | undefined,
    workers: Math.max(numberOf(result.workers) ?? 0, ...ranks, 0),
    lost: events.filter(({ event }) => event === "lost").length,
    steps: Math.max(
      0,
      ...events.flatMap(({ event, step }) => (event === "progress" ? (numberOf(step) ?? []) : [])),
      numberOf(result.steps) ?? 0,
    ),
    votes: Math.max(numberOf(result.votes) ?? 0, votes.filter(({ kind }) => kind === "vote").length),
    tasks: tasks.length,
    tasksChosen: chosen.length,
    testInputs: tests.length,
    answered: tests.filter(({ candidates }) => candidates.some(({ grid }) => grid !== "")).length,
    score: scoreOf(tasks),
    voteWeight: weightingOf(config.settings),
  };
}

/** How votes were counted, by the names of `weighersFor`. */
function weightingOf({ voteWeight, haltingPairs }: ReadRun["config"]["settings"]): string {
  const name = String(voteWeight?.value ?? "count");
  return name === "halting" && haltingPairs?.value === "held-out" ? "halting, held-out" : name;
}

/** What pairs held back have told of the halting head after the training. */
export function haltingScaleOf(events: readonly RunEvent[]): HaltingScale | undefined {
  const halting = events.findLast(({ event, step }) => event === "left-out" && (numberOf(step) ?? 0) > 0)?.halting;
  const { slope, offset } = (halting ?? {}) as Partial<Record<"slope" | "offset", unknown>>;
  return typeof slope === "number" && typeof offset === "number" ? { slope, offset } : undefined;
}

function durationOf(text: string): number | undefined {
  try {
    return parseDuration(text);
  } catch {
    return undefined;
  }
}
