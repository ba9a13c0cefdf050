/** What a run did when, from its log: phases beside the plan, workers with their losses, trouble. */
import type { Span, Timeline, WorkerLane } from "./report-data.ts";
import { LEVEL, numberOf, type RunEvent } from "./run-events.ts";

/** Trouble shown at most. */
const MOST_TROUBLES = 200;

/**
 * @param elapsedSeconds how long the run has gone on by now
 * @param workers        how many it has, at least
 */
export function timelineOf(events: readonly RunEvent[], elapsedSeconds: number, workers: number): Timeline {
  const troubles = events.flatMap(({ level, seconds, text }) =>
    level >= LEVEL.warning ? [{ at: seconds, level: level >= LEVEL.error ? ("error" as const) : ("warning" as const), text }] : [],
  );
  return {
    plans: events.flatMap((event) => (event.event === "plan" ? [planOf(event)] : [])),
    phases: phasesOf(events, elapsedSeconds),
    workers: lanesOf(events, elapsedSeconds, workers),
    resumed: events.flatMap(({ event, seconds }) => (event === "goes-on" ? [seconds] : [])),
    troubles: troubles.slice(0, MOST_TROUBLES),
  };
}

/** Phases one after the other; between two processes of a run there is a gap. */
function phasesOf(events: readonly RunEvent[], elapsedSeconds: number): Span[] {
  const spans: Span[] = [];
  let open: { name: string; from: number } | undefined = { name: "load", from: 0 };
  let last = 0;
  const close = (to: number): void => {
    if (open && to > open.from) spans.push({ ...open, to });
    open = undefined;
  };
  for (const { event, seconds, phase } of events) {
    if (event === "goes-on") {
      close(last); // the process before was killed; when it last said something is what is known
      open = { name: "load", from: seconds };
    } else if (event === "phase" && typeof phase === "string" && phase !== open?.name) {
      close(seconds);
      open = { name: phase, from: seconds };
    } else if (event === "ended") close(seconds);
    last = Math.max(last, seconds);
  }
  close(elapsedSeconds);
  return spans;
}

function planOf(event: RunEvent): Timeline["plans"][number] {
  const numbers = Object.fromEntries(
    Object.entries(event).flatMap(([name, value]) =>
      name !== "level" && name !== "seconds" && numberOf(value) !== undefined ? [[name, value as number]] : [],
    ),
  );
  const at = event.seconds;
  const { trainSeconds = 0, predictSeconds = 0 } = numbers;
  const trained = at + trainSeconds;
  const phases = [
    { name: "train", from: at, to: trained },
    { name: "predict", from: trained, to: trained + predictSeconds },
  ].filter(({ from, to }) => to > from);
  return { at, phases, numbers };
}

function lanesOf(events: readonly RunEvent[], elapsedSeconds: number, workers: number): WorkerLane[] {
  const peaks = peakBytesOf(events);
  const count = Math.max(workers, peaks.length, ...events.map(({ rank }) => (typeof rank === "number" ? rank + 1 : 0)));
  return Array.from({ length: count }, (_, rank) => laneOf(events, rank, elapsedSeconds, peaks[rank] ?? 0));
}

/** A worker is there from the moment that all are ready until it is lost, and again once it has taken up its place. */
function laneOf(events: readonly RunEvent[], rank: number, elapsedSeconds: number, peakBytes: number): WorkerLane {
  const spans: Span[] = [];
  const losses: { at: number; again: boolean; text: string }[] = [];
  let since: number | undefined;
  let last = 0;
  const close = (to: number): void => {
    if (since !== undefined && to > since) spans.push({ name: "there", from: since, to });
    since = undefined;
  };
  for (const { event, seconds, rank: of, ranks, again, text } of events) {
    if (event === "ready") since ??= seconds;
    if (event === "goes-on") close(last);
    if (event === "ended") close(seconds);
    if (event === "lost" && of === rank) {
      close(seconds);
      losses.push({ at: seconds, again: again === true, text });
    }
    if (event === "restored" && Array.isArray(ranks) && ranks.includes(rank)) since ??= seconds;
    last = Math.max(last, seconds);
  }
  close(elapsedSeconds);
  return { rank, spans, losses, peakBytes };
}

/** Largest resident memory by rank. */
function peakBytesOf(events: readonly RunEvent[]): number[] {
  const peaks: number[] = [];
  for (const { rssBytes } of events) {
    if (!Array.isArray(rssBytes)) continue;
    for (const [rank, bytes] of rssBytes.entries()) peaks[rank] = Math.max(peaks[rank] ?? 0, numberOf(bytes) ?? 0);
  }
  return peaks;
}
