/** Puts a submission on disk so that a valid one is there at every instant. */
import type { Entry } from "../arc/challenges-json.ts";
import { shortened } from "../arc/grid-json.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { formatSubmission, type Submission } from "./format.ts";
import { validateSubmission } from "./validate.ts";

/**
 * Replaces the file at once.
 *
 * @param entries where given, the text is checked against these tasks before the old file is touched; leave them out for more than two attempts
 * @throws Error (a bug of ours) where the submission is not valid; what the file system throws where it can't be written
 */
export function writeSubmission(path: string, submission: Submission, entries?: readonly Entry[]): void {
  const text = formatSubmission(submission);
  const problems = entries ? validateSubmission(text, entries) : [];
  if (problems.length > 0) throw new Error(`refused to write a submission that is not valid:\n${shortened(problems).join("\n")}`);
  writeFileAtomically(path, text);
}
