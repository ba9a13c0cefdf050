/** How a task stands: in a word, for its mark and its filter. */
import type { TaskReport, TestReport } from "../report-data.ts";
import { sizeOf } from "./grid-canvas.ts";

/** The leading answer of an unsure test input has less than this share of the votes. */
const SURE = 0.5;

export type Verdict = "solved" | "partly" | "unsolved" | "sure" | "unsure" | "fallback" | "left-out" | "unreadable";

/** What is shown of each. */
export const VERDICTS: Readonly<
  Record<Verdict, { readonly text: string; readonly mark: string; readonly kind: "good" | "half" | "bad" | "" }>
> = {
  solved: { text: "solved", mark: "✓", kind: "good" },
  partly: { text: "partly solved", mark: "½", kind: "half" },
  unsolved: { text: "not solved", mark: "✗", kind: "bad" },
  sure: { text: "most votes agree", mark: "●", kind: "" },
  unsure: { text: "unsure", mark: "?", kind: "half" },
  fallback: { text: "fallback answers", mark: "–", kind: "bad" },
  "left-out": { text: "not worked on", mark: "–", kind: "" },
  unreadable: { text: "unreadable", mark: "!", kind: "bad" },
};

/** A task with what it is listed by. */
export interface Judged {
  readonly task: TaskReport;
  /** place in the file */
  readonly index: number;
  readonly verdict: Verdict;
  /** test inputs, and those of them with a known solution that an attempt gives */
  readonly solved: number;
  readonly known: number;
  /** least share of the votes that the leading answer of a test input has; 0 where one has no vote */
  readonly voteShare: number;
  readonly isUnsure: boolean;
  /** cells of its largest grid */
  readonly cells: number;
}

export function judge(task: TaskReport, index: number): Judged {
  const known = task.test.filter(({ solution }) => solution !== undefined);
  const solved = known.filter(({ solution, attempts }) => attempts.includes(solution!)).length;
  const voteShare = task.test.length === 0 ? 0 : Math.min(...task.test.map(leadingShare));
  const isUnsure = task.state === "worked-on" && voteShare < SURE;
  const grids = [...task.train.flat(), ...task.test.flatMap(({ input }) => input ?? [])].map(sizeOf);
  return {
    task,
    index,
    verdict: verdictOf(task, { known: known.length, solved, isUnsure, voteShare }),
    solved,
    known: known.length,
    voteShare,
    isUnsure,
    cells: Math.max(0, ...grids.map(({ rows, cols }) => rows * cols)),
  };
}

/** Share of its votes that a test input's first answer has. */
export function leadingShare({ candidates, votes }: TestReport): number {
  return votes > 0 ? (candidates[0]?.votes ?? 0) / votes : 0;
}

function verdictOf(
  { state }: TaskReport,
  { known, solved, isUnsure, voteShare }: Pick<Judged, "known" | "solved" | "isUnsure" | "voteShare">,
): Verdict {
  if (state !== "worked-on") return state;
  if (known > 0) return solved === known ? "solved" : solved > 0 ? "partly" : "unsolved";
  if (voteShare === 0) return "fallback";
  return isUnsure ? "unsure" : "sure";
}
