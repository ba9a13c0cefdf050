/** The answers of a run so far: votes counted, and the files that hold the best of them. */
import { dirname, join } from "node:path";
import { testInputsOf } from "../arc/challenges-json.ts";
import { messageOf } from "../errors.ts";
import type { EventLog } from "../events.ts";
import type { Prediction } from "../parallel/job.ts";
import { writeCandidates } from "../predict/candidate-file.ts";
import { scoreAnswers, scoreToJson } from "../score/pass-at-k.ts";
import { chooseAttempts } from "../submission/choose.ts";
import { writeSubmission } from "../submission/write.ts";
import { Ballot } from "./ballot.ts";
import { itemsOf } from "./items.ts";
import type { InputOutcome, RunRequest } from "./request.ts";

/** The ballot of a run, its submission and its candidate file. */
export class Answers {
  /** beside the submission, or in the run folder where there is one */
  readonly candidatesPath: string;
  readonly #request: RunRequest;
  readonly #log: EventLog;
  readonly #ballot = new Ballot();
  #votes = 0;

  constructor(request: RunRequest, log: EventLog) {
    this.#request = request;
    this.#log = log;
    this.candidatesPath = join(request.runDir ?? dirname(request.out), "candidates.json");
  }

  /** Votes counted in all stages. */
  get votes(): number {
    return this.#votes;
  }

  /** Begins a stage; votes now count for it. */
  beginStage(): void {
    this.#ballot.beginStage();
  }

  /** Counts predictions in the current stage. */
  count(predictions: readonly Prediction[]): void {
    for (const { task, testIndex, variant, rows, cols, cells, qHaltLogit } of predictions) {
      this.#votes++;
      this.#ballot.add({ taskId: this.#request.chosen[task]!.id, testIndex, grid: { rows, cols, cells }, qHaltLogit, order: variant });
    }
  }

  /** Puts the best answers so far on disk; a disk that refuses is reported, and the older file stays. */
  write(last = false): void {
    const { challenges, out } = this.#request;
    try {
      const ranked = this.#ballot.rankedAll(challenges.entries);
      writeSubmission(out, chooseAttempts(challenges.entries, ranked).submission, challenges.entries);
      writeCandidates(this.candidatesPath, ranked);
    } catch (error) {
      this.#log.emit(
        "error",
        "write",
        `${out}: ${messageOf(error)}; the file written before it stands${last ? "" : ", trying again later"}`,
      );
    }
  }

  /** Scores of the tasks worked on, where solutions are at hand; empty else. */
  score(): Record<string, number> {
    const { solutions, chosen } = this.#request;
    if (!solutions) return {};
    const asked = new Map(chosen.flatMap(({ id }) => (solutions.has(id) ? [[id, solutions.get(id)!] as const] : [])));
    return scoreToJson(scoreAnswers(this.#ballot.rankedAll(chosen), asked));
  }

  /** Best answers of every test input worked on. */
  outcomes(): InputOutcome[] {
    return itemsOf(this.#request.chosen, 0).map(({ task, testIndex }) => {
      const taskId = this.#request.chosen[task]!.id;
      return { taskId, testIndex, answers: this.#ballot.ranked(taskId, testIndex) };
    });
  }

  /** Tasks and test inputs of the file, and how many of the inputs have nothing but fallbacks. */
  coverage(): { tasks: number; testInputs: number; fallbackInputs: number } {
    const { entries } = this.#request.challenges;
    return {
      tasks: entries.length,
      testInputs: entries.reduce((sum, entry) => sum + testInputsOf(entry), 0),
      fallbackInputs: chooseAttempts(entries, this.#ballot.rankedAll(entries)).fallbackInputs,
    };
  }
}
