/** Says whether the competition would take a submission, and all that stands against it. */
import { type Entry, testInputsOf } from "../arc/challenges-json.ts";
import { checkGrid, kindOf, quoted } from "../arc/grid-json.ts";
import { fileMembers } from "../arc/json-scan.ts";
import { InputError } from "../errors.ts";

/**
 * All problems of a submission's text, one sentence each; none where it is valid.
 *
 * @param entries the tasks it must answer, bad ones included: each one, nothing else, two attempts per test input
 */
export function validateSubmission(text: string, entries: readonly Entry[]): string[] {
  let members: ReturnType<typeof fileMembers>;
  try {
    members = fileMembers(text, "submission", "answers");
  } catch (error) {
    if (error instanceof InputError) return [...error.problems];
    throw error;
  }
  const problems: string[] = [];
  const expected = new Map(entries.map((entry) => [entry.id, testInputsOf(entry)]));
  const seen = new Set<string>();
  for (const { key: id, start, end } of members) {
    const spot = `task ${quoted(id)}`;
    if (seen.has(id)) problems.push(`${spot} stands twice`);
    seen.add(id);
    const testInputs = expected.get(id);
    if (testInputs === undefined) problems.push(`${spot} is not among the challenges`);
    else checkAnswers(JSON.parse(text.slice(start, end)), testInputs, spot, problems);
  }
  for (const id of expected.keys()) if (!seen.has(id)) problems.push(`task ${quoted(id)} has no answer`);
  return problems;
}

function checkAnswers(value: unknown, testInputs: number, spot: string, problems: string[]): void {
  if (!Array.isArray(value)) {
    problems.push(`${spot} is ${kindOf(value)}, not a list with one entry per test input`);
    return;
  }
  if (value.length !== testInputs)
    problems.push(`${spot} has ${value.length} ${value.length === 1 ? "entry" : "entries"} for ${testInputs} test inputs`);
  value.slice(0, testInputs).forEach((entry: unknown, i) => {
    if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
      problems.push(`${spot}, test ${i} is ${kindOf(entry)}, not an object with attempt_1 and attempt_2`);
      return;
    }
    const attempts = new Map(Object.entries(entry));
    for (const name of ["attempt_1", "attempt_2"]) checkGrid(attempts.get(name), `${spot}, test ${i}, ${name}`, problems);
    const others = [...attempts.keys()].filter((name) => name !== "attempt_1" && name !== "attempt_2");
    if (others.length > 0)
      problems.push(`${spot}, test ${i} has ${others.slice(0, 5).map(quoted).join(", ")} besides attempt_1 and attempt_2`);
  });
}
