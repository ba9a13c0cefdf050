/** A run as a terminal shows it while it goes: the phase against its plan, what is learned, every worker. */
import { formatDuration } from "../budget/duration.ts";

/** What is known at the moment; instants are seconds of the run. */
export interface LiveState {
  readonly now: number;
  readonly budgetSeconds: number;
  readonly phase: string;
  readonly phaseBegan: number;
  /** when it should end */
  readonly phaseEnds: number;
  /** phases after it, and the seconds that they are planned to take */
  readonly coming: readonly ComingPhase[];
  /** the phase's own account: steps, predictions */
  readonly told: string;
  readonly votes: number;
  readonly workers: readonly WorkerState[];
}

/** A phase that is still to come: its name, and the seconds planned for it. */
export type ComingPhase = readonly [string, number];

export interface WorkerState {
  /** optimizer steps made; 0 before the first */
  readonly step: number;
  readonly stepSeconds: number;
  /** most resident memory seen; 0 where it has told of none */
  readonly rssBytes: number;
  /** seconds since it was heard of; undefined where it never was */
  readonly heardAgo: number | undefined;
}

/** The first line of a twelve-hour run fits 80 columns with it. */
const BAR_CELLS = 20;
/** Workers shown one by one; of more the others are counted. */
const MOST_WORKERS = 8;

/** Lines of plain text. */
export function liveView({ now, budgetSeconds, phase, phaseBegan, phaseEnds, coming, told, votes, workers }: LiveState): string[] {
  const planned = phaseEnds - phaseBegan;
  const share = planned > 0 ? Math.min(1, Math.max(0, (now - phaseBegan) / planned)) : 0;
  const filled = Math.round(share * BAR_CELLS);
  const bar = `[${"#".repeat(filled)}${".".repeat(BAR_CELLS - filled)}]`;
  const late = now - phaseEnds;
  const left = late > 0 ? `${formatDuration(late)} over its plan` : `${formatDuration(-late)} left`;
  const time =
    planned > 0 ? `${formatDuration(now - phaseBegan)} of ${formatDuration(planned)} planned, ${left}` : formatDuration(now - phaseBegan);
  const others = workers.length - MOST_WORKERS;
  const then = coming.map(([name, seconds]) => `, then ${name} ${formatDuration(seconds)}`).join("");
  return [
    `${phase.padEnd(8)} ${bar} ${time}`,
    `${" ".repeat(8)} ${[told, `votes ${votes}`].filter((text) => text !== "").join("   ")}`,
    `${" ".repeat(8)} run: ${formatDuration(now)} of ${formatDuration(budgetSeconds)}${then}`,
    ...workers.slice(0, MOST_WORKERS).map((worker, rank) => `${" ".repeat(8)} ${`worker ${rank}`.padEnd(10)}${workerText(worker)}`),
    ...(others > 0 ? [`${" ".repeat(8)} and ${others} more workers`] : []),
  ];
}

function workerText({ step, stepSeconds, rssBytes, heardAgo }: WorkerState): string {
  if (heardAgo === undefined) return "not heard of yet";
  const steps = step > 0 ? `step ${step}   ${(1 / stepSeconds).toFixed(2)} steps/s   ` : "";
  const quiet = heardAgo >= 5 ? `   last heard of ${formatDuration(heardAgo)} ago` : "";
  return `${steps}${(rssBytes / 2 ** 20).toFixed(0)} MiB${quiet}`;
}
