/** The shards of a run as one run for the report: all tasks with the merged answers; of the time, that of one shard. */
import { chosenTasks, type RunTask } from "../arc/run-tasks-file.ts";
import type { ReadRun } from "./read-run-file.ts";
import { LEVEL, numberOf, type RunEvent } from "./run-events.ts";
import { stageVotesOf } from "./stage-votes.ts";

/** A shard that has left a run folder. */
export interface ShardRun {
  readonly index: number;
  readonly run: ReadRun;
}

/** What the merge came to. */
export type Merged = Pick<ReadRun, "title" | "submission" | "candidates"> & {
  readonly shards: number;
  /** what is to be said of it, such as which shards failed */
  readonly notes: readonly string[];
};

/**
 * One run of what the shards did.
 *
 * Tasks are worked on where a shard worked on them. Log, plan and curves are those of the shard that took longest, for several can't be drawn as one; the
 * others' warnings and errors stand beside its own.
 *
 * @param shards at least one
 */
export function mergedRun(shards: readonly ShardRun[], { shards: count, notes, ...merged }: Merged): ReadRun {
  const longest = shards.reduce((a, b) => (secondsOf(b.run) > secondsOf(a.run) ? b : a));
  const others = shards.filter((shard) => shard !== longest);
  const troubles = others.flatMap(({ index, run }) =>
    run.events.flatMap((event) =>
      event.level >= LEVEL.warning ? [{ ...plainTrouble(event), text: `shard ${index}: ${event.text}` }] : [],
    ),
  );
  const results = shards.map(({ run }) => resultOf(run));
  const votes = results.reduce((sum, result) => sum + (numberOf(result.votes) ?? 0), 0);
  const events = longest.run.events.map((event) =>
    event.event === "result" ? { ...event, result: { ...(event.result as object), votes } } : event,
  );
  const solutions = shards.find(({ run }) => run.solutions !== undefined)?.run.solutions;
  const { shard: _, out: __, ...given } = longest.run.config.arguments;
  return {
    ...longest.run,
    ...merged,
    isRunning: shards.some(({ run }) => run.isRunning),
    config: { ...longest.run.config, arguments: { ...given, shards: count } },
    events: [...events, ...troubles].sort((a, b) => a.seconds - b.seconds),
    tasks: tasksOf(shards),
    solutions,
    votes: [],
    stageVotes: new Map(shards.flatMap(({ run }) => [...stageVotesOf(run.votes, chosenTasks(run.tasks))])),
    notes: [
      ...notes,
      `Merged from ${shards.length} of ${count} shards. Timeline, plan, workers and curves are those of shard ${longest.index}, which took longest; each shard's own page has its own.`,
      ...shards.flatMap(({ index, run }) => run.notes.map((note) => `Shard ${index}: ${note}`)),
    ],
  };
}

/** Every shard has read all tasks, and chosen its own of them. */
function tasksOf(shards: readonly ShardRun[]): RunTask[] {
  const chosen = new Set(shards.flatMap(({ run }) => run.tasks.flatMap((task) => (task.chosen ? [task.entry.id] : []))));
  const most = shards.reduce((a, b) => (b.run.tasks.length > a.run.tasks.length ? b : a));
  return most.run.tasks.map(({ entry }) => ({ entry, chosen: chosen.has(entry.id) }));
}

/** A line of the log that says no more than that something was wrong: no worker, phase or result of the run that is shown. */
function plainTrouble({ level, seconds, time, text }: RunEvent): RunEvent {
  return { level, event: "of-another-shard", seconds, time, text };
}

function secondsOf(run: ReadRun): number {
  return run.events.at(-1)?.seconds ?? 0;
}

/** What a run that ended in order has told at its end; nothing of another. */
function resultOf(run: ReadRun): Readonly<Record<string, unknown>> {
  return (run.events.findLast(({ event }) => event === "result")?.result ?? {}) as Record<string, unknown>;
}
