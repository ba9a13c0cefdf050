/** Makes the runs of a comparison, each in processes of its own, and keeps what came of them: one that was made already is not made again. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunResult } from "../adapt/request.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import { UserError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { readAnswers } from "../predict/candidate-file.ts";
import { scoreAnswers, submittable } from "../score/pass-at-k.ts";
import type { ArmRun } from "./arms.ts";
import type { Outcome } from "./summary.ts";

const RESULT_FILE = "result.json";
/** Lines of a run that failed that are worth showing. */
const LAST_LINES = 12;
/** What is right among all answers of a run is a measure: more than there can be. */
const ALL_ANSWERS = 1e6;

/** What all runs have in common. */
export interface Surroundings {
  readonly folder: string;
  /** options of `run` that all get, before those of their arm */
  readonly common: readonly string[];
  /** hash of what the files hold that the options name */
  readonly data: string;
  /** of the tasks that are worked on */
  readonly solutions: Solutions;
  /** told of each line of a run's log */
  line(text: string): void;
}

/** What came of a run made earlier with the very same options; undefined where there is none. */
export function madeAlready(run: ArmRun, surroundings: Surroundings): Outcome | undefined {
  const { folder, solutions } = surroundings;
  const path = join(folder, run.folder, RESULT_FILE);
  try {
    const { key, result } = JSON.parse(readFileSync(path, "utf8")) as { key: string; result: RunResult };
    return key === keyOf(run, surroundings) ? outcomeOf(result, join(folder, run.folder), solutions) : undefined;
  } catch {
    return undefined;
  }
}

/** Makes a run. @throws UserError with its last lines where it fails */
export async function make(run: ArmRun, surroundings: Surroundings): Promise<Outcome> {
  const { folder, common, solutions } = surroundings;
  const at = join(folder, run.folder);
  mkdirSync(at, { recursive: true });
  // Of other options, or of a run that was cut: what it leaves from now on is not its, and is not to be kept.
  for (const name of [RESULT_FILE, "run.json"]) rmSync(join(at, name), { force: true });
  const args = ["run", ...argumentsOf(run, common), "--run-dir", at, "--out", join(at, "submission.json"), "--json"];
  const result = JSON.parse(await lastLineOf(args, run, surroundings)) as RunResult;
  writeFileAtomically(join(at, RESULT_FILE), `${JSON.stringify({ key: keyOf(run, surroundings), result })}\n`);
  return outcomeOf(result, at, solutions);
}

function argumentsOf({ arm, seed }: ArmRun, common: readonly string[]): string[] {
  return [...common, ...arm.options, "--seed", seed, "--keep-answers", String(ALL_ANSWERS)];
}

function keyOf(run: ArmRun, { common, data }: Surroundings): string {
  return createHash("sha256")
    .update(JSON.stringify([argumentsOf(run, common), data]))
    .digest("hex");
}

function outcomeOf({ steps, seconds, leftOut }: RunResult, folder: string, solutions: Solutions): Outcome {
  const { places } = scoreAnswers(submittable(readAnswers(join(folder, "candidates.json"))), solutions);
  const within = (k: number): number[] =>
    [...solutions.keys()].map((id) => {
      const all = places.get(id)!;
      return all.filter((place) => place !== null && place <= k).length / Math.max(1, all.length);
    });
  return {
    steps,
    seconds: seconds.total,
    tasks: { "pass@1": within(1), "pass@2": within(2), oracle: within(Number.POSITIVE_INFINITY) },
    leftOut: leftOut?.findLast(({ step }) => step > 0 || steps === 0), // one of before the training is no measure of it
  };
}

function lastLineOf(args: readonly string[], { arm, seed }: ArmRun, { line }: Surroundings): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const end = (): void => void child.kill("SIGTERM");
    process.once("exit", end);
    let out = "";
    let rest = "";
    const last: string[] = [];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const each of lines) line(each);
      last.push(...lines);
      last.splice(0, last.length - LAST_LINES);
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      process.off("exit", end);
      if (code === 0) return resolve(out.trimEnd().split("\n").at(-1)!);
      reject(new UserError(`${arm.name}, seed ${seed}: the run ended with ${signal ?? `status ${code}`}:\n${[...last, rest].join("\n")}`));
    });
  });
}
