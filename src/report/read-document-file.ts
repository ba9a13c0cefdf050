/** Reads the folder of a pre-training or of a comparison for its page. Changes nothing there. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runFolder } from "../compare/arms.ts";
import { messageOf, UserError } from "../errors.ts";
import { readLearning } from "../metrics/learning-file.ts";
import { type ComparedRun, gatherComparison, type ReadComparison } from "./gather-comparison.ts";
import { gatherTraining } from "./gather-training.ts";
import type { DocumentData } from "./report-data.ts";
import { parseRunEvents } from "./run-events.ts";

/** What a folder is the folder of. */
export type FolderKind = "run" | "training" | "comparison";

/** By its files; `run` where nothing else is found. */
export function folderKind(folder: string): FolderKind {
  if (existsSync(join(folder, "comparison.json"))) return "comparison";
  const config = textOf(join(folder, "config.json"));
  const isPretraining = config === "" || (/"command"/.test(config) && !config.includes('"trm-run-config"'));
  return isPretraining && existsSync(join(folder, "metrics.jsonl")) ? "training" : "run";
}

/** All that the page of such a folder shows. @param now Unix milliseconds @throws UserError where it can't be read */
export function gatherDocument(folder: string, kind: "training" | "comparison", isRunning: boolean, now: number): DocumentData {
  return kind === "comparison"
    ? gatherComparison(readComparison(folder), now, isRunning)
    : gatherTraining(readTraining(folder, isRunning), now);
}

function readTraining(folder: string, isRunning: boolean): Parameters<typeof gatherTraining>[0] {
  return {
    folder,
    isRunning,
    events: parseRunEvents(textOf(join(folder, "events.jsonl.1")) + textOf(join(folder, "events.jsonl"))),
    metrics: textOf(join(folder, "metrics.jsonl")),
    learning: readLearning(folder),
    notes: [],
  };
}

function readComparison(folder: string): ReadComparison {
  const path = join(folder, "comparison.json");
  let summary: ReadComparison["summary"];
  try {
    summary = JSON.parse(readFileSync(path, "utf8")) as ReadComparison["summary"];
    if (!summary.arms?.length) throw new Error("it has no arms");
  } catch (error) {
    throw new UserError(`${path}: is not the outcome of a comparison: ${messageOf(error)}`, { cause: error });
  }
  const notes: string[] = [];
  const arms = summary.arms.map(({ name, seeds }, place) =>
    seeds.flatMap((seed): ComparedRun[] => {
      const at = join(folder, runFolder(place, name, seed));
      try {
        const { result } = JSON.parse(readFileSync(join(at, "result.json"), "utf8")) as { result: { curve?: ComparedRun["curve"] } };
        return [{ seed, curve: result.curve ?? [], metrics: textOf(join(at, "metrics.jsonl")) }];
      } catch (error) {
        notes.push(`The curves of ${name}, seed ${seed}, can't be shown: ${messageOf(error)}`);
        return [];
      }
    }),
  );
  return { folder, summary, arms, notes };
}

/** Empty where there is no such file. */
function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
