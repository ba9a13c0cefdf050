/** How the score came about: the votes of a run counted once more, scored at many instants. */

import { Ballot } from "../adapt/ballot.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import type { Task } from "../arc/task.ts";
import type { VoteEntry } from "../predict/vote-log-file.ts";
import { scoreAnswers, submittable } from "../score/pass-at-k.ts";
import type { Curve } from "./report-data.ts";
import { numberOf, type RunEvent } from "./run-events.ts";

/** Instants scored within the last stage. */
const INSTANTS = 24;
const KS = [1, 2, 10] as const;

/**
 * pass@K over the seconds of the run.
 *
 * Votes have no time of their own. Those of a stage that ended with an event count from then on; those of the stage after the last such event lie
 * between the times at which the log tells how many there were.
 *
 * @param chosen tasks worked on, in the order that votes number them
 * @param counted is given the ballot once all votes are in it: to count them takes seconds where there are many
 */
export function scoreOverTime(
  entries: readonly VoteEntry[],
  chosen: readonly Task[],
  solutions: Solutions,
  events: readonly RunEvent[],
  counted?: (ballot: Ballot) => void,
): Curve | undefined {
  const known = new Map(chosen.flatMap(({ id }) => (solutions.has(id) ? [[id, solutions.get(id)!] as const] : [])));
  if (known.size === 0 || entries.length === 0) return undefined;
  const stageEnds = events.filter(({ event }) => event === "measured" || event === "interim").map(({ seconds }) => seconds);
  const stages = entries.filter(({ kind }) => kind === "stage").length;
  const votesInLast = entries.length - 1 - entries.findLastIndex(({ kind }) => kind === "stage");
  const timeOf = timesOfLastStage(events, votesInLast);
  const every = Math.max(1, Math.ceil(votesInLast / INSTANTS));
  const points = KS.map((): [number, number][] => []);
  const ballot = new Ballot();
  const score = (seconds: number): void => {
    const { passAtK } = scoreAnswers(submittable(ballot.rankedAll(chosen)), known, KS);
    for (const [i, k] of KS.entries())
      points[i]!.push([Math.round(seconds * 10) / 10, Number((100 * passAtK.get(`pass@${k}`)!).toFixed(2))]);
  };
  let stage = 0;
  let made = 0;
  for (const [at, entry] of entries.entries()) {
    if (entry.kind === "stage") {
      stage++;
      made = 0;
      ballot.beginStage();
    } else if (stage > 0) {
      const { task, variant, ...vote } = entry.vote;
      const taskId = chosen[task]?.id;
      if (taskId === undefined || !ballot.add({ ...vote, taskId, order: variant })) continue;
      made++;
    }
    const next = entries[at + 1];
    const isEnd = next === undefined || next.kind === "stage";
    if (stage === stages && stage > stageEnds.length) {
      if (isEnd || made % every === 0) score(timeOf(made));
    } else if (isEnd && stageEnds[stage - 1] !== undefined) score(stageEnds[stage - 1]!);
  }
  counted?.(ballot);
  const longest = Math.max(...[...ballot.rankedAll(chosen).values()].flat().map((list) => list.length));
  const series = KS.flatMap((k, i) => (k <= Math.max(2, longest) ? [{ name: `pass@${k}`, points: points[i]! }] : []));
  return series[0]!.points.length > 0 ? { title: "Solved test inputs", x: "seconds", unit: "%", noisy: false, series } : undefined;
}

/** When the stage under way had this many votes, as far as the log tells. */
function timesOfLastStage(events: readonly RunEvent[], all: number): (made: number) => number {
  const began = events.find(({ event, phase }) => event === "phase" && phase === "predict")?.seconds ?? events.at(-1)?.seconds ?? 0;
  const told: [number, number][] = [[0, began]];
  for (const { event, phase, made, seconds } of events) {
    const count = numberOf(made);
    if (event === "progress" && phase === "predict" && count !== undefined && count > told.at(-1)![0]) told.push([count, seconds]);
    if ((event === "predicted" || event === "ended") && seconds > began && all > told.at(-1)![0]) told.push([all, seconds]);
  }
  return (made) => {
    const after = told.findIndex(([count]) => count >= made);
    if (after <= 0) return after === 0 ? told[0]![1] : told.at(-1)![1];
    const [[from, begin], [to, end]] = [told[after - 1]!, told[after]!];
    return begin + ((made - from) / (to - from)) * (end - begin);
  };
}
