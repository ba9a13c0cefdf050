/** What pages show: all that passes from `gather*.ts` to `page/`, as plain JSON. Times are seconds of the run unless said otherwise. */

/** A grid in few characters: a digit a cell, rows joined by "/"; empty for the 0 x 0 grid. */
export type PackedGrid = string;

export interface ReportData {
  readonly title: string;
  /** when the data were gathered, Unix milliseconds */
  readonly gatheredAt: number;
  /** `running` where a process works on the run now; `broken-off` where none does though the run has not ended in order */
  readonly state: "running" | "finished" | "broken-off";
  readonly summary: Summary;
  readonly timeline: Timeline;
  readonly curves: readonly Curve[];
  readonly tasks: readonly TaskReport[];
  /** resolved settings, each with where it is from */
  readonly settings: readonly { readonly name: string; readonly value: string; readonly origin: string }[];
  /** what could not be shown, and why */
  readonly notes: readonly string[];
}

export interface Summary {
  readonly budgetSeconds: number | undefined;
  readonly elapsedSeconds: number;
  /** when the run began, Unix milliseconds */
  readonly beganAt: number | undefined;
  readonly engine: string | undefined;
  readonly workers: number;
  /** how often a worker was lost */
  readonly lost: number;
  readonly steps: number;
  readonly votes: number;
  /** tasks of the challenges file, and those worked on */
  readonly tasks: number;
  readonly tasksChosen: number;
  /** test inputs worked on, and those of them that have an answer of the model */
  readonly testInputs: number;
  readonly answered: number;
  /** where solutions are at hand */
  readonly score: ScoreSummary | undefined;
  /** what the same votes would have solved, had each counted in another way: shares of the test inputs, 0..1; where solutions are at hand */
  readonly voteWeights: readonly { readonly name: string; readonly "pass@1": number; readonly "pass@2": number }[];
  /** how votes were counted */
  readonly voteWeight: string;
}

/** Of the test inputs worked on whose solution is known, by the attempts in the submission. */
export interface ScoreSummary {
  readonly testInputs: number;
  readonly solved: number;
  readonly solvedFirst: number;
  /** tasks all of whose test inputs have a known solution, and those of them that are solved throughout */
  readonly tasks: number;
  readonly tasksSolved: number;
  /** share of test inputs whose solution is among the first K candidates, 0..1 */
  readonly passAtK: readonly { readonly k: number; readonly share: number }[];
}

export interface Span {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export interface Timeline {
  /** what was planned when, the latest plan last; with numbers of the plan by name */
  readonly plans: readonly { readonly at: number; readonly phases: readonly Span[]; readonly numbers: Readonly<Record<string, number>> }[];
  readonly phases: readonly Span[];
  readonly workers: readonly WorkerLane[];
  /** instants at which the run was taken up again by a new process */
  readonly resumed: readonly number[];
  /** warnings and errors, in order */
  readonly troubles: readonly { readonly at: number; readonly level: "warning" | "error"; readonly text: string }[];
}

export interface WorkerLane {
  readonly rank: number;
  /** when it was there */
  readonly spans: readonly Span[];
  /** when it was lost, and whether it was started again */
  readonly losses: readonly { readonly at: number; readonly again: boolean; readonly text: string }[];
  /** largest resident memory seen; 0 where none was told */
  readonly peakBytes: number;
}

export interface Curve {
  readonly title: string;
  readonly x: "step" | "seconds";
  readonly unit: "" | "%" | "s";
  /** points that scatter: their local mean is drawn as well */
  readonly noisy: boolean;
  readonly series: readonly {
    readonly name: string;
    readonly points: readonly (readonly [number, number])[];
    /** around the points: place, lower and upper end */
    readonly band?: readonly (readonly [number, number, number])[] | undefined;
  }[];
}

/** What the page of a pre-training or of a comparison shows. */
export interface DocumentData {
  readonly kind: "training" | "comparison";
  readonly title: string;
  /** when the data were gathered, Unix milliseconds */
  readonly gatheredAt: number;
  readonly state: ReportData["state"];
  readonly tiles: readonly { readonly name: string; readonly large: string; readonly small?: string; readonly below?: string }[];
  readonly sections: readonly DocumentSection[];
  readonly notes: readonly string[];
}

export interface DocumentSection {
  readonly title: string;
  readonly about?: string;
  readonly charts?: readonly Curve[];
  readonly bars?: IntervalBars;
  readonly table?: DocumentTable;
  /** shown when it is asked for */
  readonly folded?: boolean;
}

/** Shares with their intervals, 0..1 (differences -1..1), a group of bars a row. */
export interface IntervalBars {
  readonly measures: readonly string[];
  readonly rows: readonly {
    readonly name: string;
    readonly detail: string;
    /** in the order of the measures */
    readonly values: readonly { readonly mean: number; readonly low: number; readonly high: number }[];
  }[];
}

/** The first cell of a row is its head; columns after the first are of numbers unless said otherwise. */
export interface DocumentTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly texts?: boolean;
}

export interface TaskReport {
  readonly id: string;
  /** left-out: good, but not worked on; unreadable: see `problems` */
  readonly state: "worked-on" | "left-out" | "unreadable";
  readonly problems?: readonly string[];
  readonly train: readonly (readonly [PackedGrid, PackedGrid])[];
  readonly test: readonly TestReport[];
}

export interface CandidateReport {
  readonly grid: PackedGrid;
  readonly votes: number;
  readonly confidence: number;
  /** its votes are of a stage before the one that the others are from: it fills up what was missing to two answers */
  readonly isEarlier?: true;
}

export interface TestReport {
  /** undefined where it can't be read */
  readonly input?: PackedGrid;
  readonly solution?: PackedGrid;
  /** as handed in: fewer than two where the submission has none */
  readonly attempts: readonly PackedGrid[];
  /** best first */
  readonly candidates: readonly CandidateReport[];
  /** votes on all answers, those not kept among the candidates too, but for those of earlier stages */
  readonly votes: number;
}
