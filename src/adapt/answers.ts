/** The answers of a run so far: votes counted, and the files that hold the best of them. */
import { dirname, join, resolve } from "node:path";
import { testInputsOf } from "../arc/challenges-json.ts";
import { messageOf } from "../errors.ts";
import type { EventLog } from "../events.ts";
import type { Prediction, PredictionItem } from "../parallel/job.ts";
import { writeCandidates } from "../predict/candidate-file.ts";
import type { Vote, VoteEntry } from "../predict/vote-log-file.ts";
import { scoreAnswers, scoreToJson, submittable } from "../score/pass-at-k.ts";
import { chooseAttempts } from "../submission/choose.ts";
import { writeSubmission } from "../submission/write.ts";
import { type HaltingScale, type Weigher, weigherOf, weighersFor } from "../vote/weighting.ts";
import { Ballot } from "./ballot.ts";
import { itemsOf } from "./items.ts";
import { type InputOutcome, isAgreementWatched, type RunRequest } from "./request.ts";
import { variantsOf } from "./setup.ts";

/** The stage of the last predictions; those before it have other names. */
export const FINAL_STAGE = "final";

/** The candidate file; and that of a rehearsal that has no folder of its own, lest its made-up answers take the place of a run's. */
const CANDIDATES = "candidates.json";
const REHEARSED_CANDIDATES = "rehearsal-candidates.json";

/** Where votes are kept for a run that is taken up again. */
export interface VoteKeeper {
  beginStage(name: string): void;
  add(votes: readonly Vote[]): void;
}

/** What answers need of the disk. */
export interface AnswersDisk {
  /** votes as they come in; none where there is no run folder */
  readonly votes?: VoteKeeper | undefined;
  /** makes room on a full disk, a little more each time; false where there is no more to be had */
  makeRoom(): boolean;
}

/** The ballot of a run, its submission and its candidate file. */
export class Answers {
  /** beside the submission, or in the run folder where there is one */
  readonly candidatesPath: string;
  readonly #request: RunRequest;
  readonly #log: EventLog;
  readonly #disk: AnswersDisk;
  /** the submission, in the run folder too where that is another one */
  readonly #submissions: readonly string[];
  readonly #ballot = new Ballot();
  readonly #haltingScale: () => HaltingScale | undefined;
  #stage: string | undefined;
  /** predictions counted in the current stage */
  readonly #counted = new Set<string>();
  /** files whose last writing failed */
  readonly #unwritten = new Set<string>();
  /** what the last writing of both files took */
  #writeSeconds = 0;

  /** @param haltingScale what the pairs held back have told of the halting head by now, if anything */
  constructor(request: RunRequest, log: EventLog, disk: AnswersDisk, haltingScale: () => HaltingScale | undefined = () => undefined) {
    this.#haltingScale = haltingScale;
    this.#request = request;
    this.#log = log;
    this.#disk = disk;
    this.#submissions = submissionPaths(request);
    this.candidatesPath =
      request.runDir === undefined ? candidatesPath(request.out, request.rehearsal !== undefined) : join(request.runDir, CANDIDATES);
  }

  /** Counts what an earlier process of the run has kept. */
  restore(entries: readonly VoteEntry[]): void {
    for (const entry of entries) {
      if (entry.kind === "stage") this.#begin(entry.name);
      else if (this.#stage !== undefined) this.#count(entry.vote);
    }
  }

  /** Votes that count, in all stages. */
  get votes(): number {
    return this.#ballot.total;
  }

  /** Begins a stage; votes now count for it. One that is under way, from an earlier process of the run, goes on. */
  beginStage(name: string): void {
    if (this.#stage === name) return;
    this.#begin(name);
    this.#disk.votes?.beginStage(name);
  }

  /** Whether the current stage has this prediction. */
  has(item: PredictionItem): boolean {
    return this.#counted.has(keyOf(item));
  }

  /** Whether no prediction of this test input that is to come in the last stage can change its two answers. */
  isDecided({ task, testIndex }: Pick<PredictionItem, "task" | "testIndex">): boolean {
    return this.#stage === FINAL_STAGE && this.#ballot.isDecided(this.#request.chosen[task]!.id, testIndex);
  }

  /** Of the test inputs worked on, how many are decided so, and how many planned predictions were not made for that. */
  decided(): { decidedInputs: number; savedPredictions: number } {
    const { chosen, recipe } = this.#request;
    const inputs = itemsOf(chosen, 0).filter((item) => this.isDecided(item));
    const variants = Array.from({ length: variantsOf(recipe) }, (_, variant) => variant);
    const unmade = inputs.map((item) => variants.filter((variant) => !this.has({ ...item, variant })).length);
    return { decidedInputs: inputs.length, savedPredictions: unmade.reduce((sum, count) => sum + count, 0) };
  }

  /** Counts predictions in the current stage. */
  count(predictions: readonly Prediction[]): void {
    const votes = predictions.map(({ rows, cols, cells, ...prediction }): Vote => ({ ...prediction, grid: { rows, cols, cells } }));
    const counted = votes.filter((vote) => this.#count(vote));
    this.#disk.votes?.add(counted);
  }

  #begin(name: string): void {
    this.#stage = name;
    this.#counted.clear();
    const { recipe } = this.#request;
    // Only the last stage has the scale: it is from the end of the training, also where an earlier stage's votes are counted again.
    const isFitted = name === FINAL_STAGE && recipe.haltingPairs === "held-out";
    const weigher = weigherOf(recipe.voteWeight, isFitted ? this.#haltingScale() : undefined);
    this.#ballot.beginStage(name === FINAL_STAGE && !recipe.voteAll ? variantsOf(recipe) : undefined, weigher);
  }

  #count(vote: Vote): boolean {
    const { task, testIndex, variant, grid, qHaltLogit, agreement } = vote;
    const taskId = this.#request.chosen[task]?.id;
    const key = keyOf(vote);
    if (taskId === undefined || this.#counted.has(key)) return false;
    this.#counted.add(key);
    return this.#ballot.add({ taskId, testIndex, grid, qHaltLogit, agreement, order: variant });
  }

  /**
   * Puts the best answers so far on disk; a disk that refuses is reported, and the older file stays.
   *
   * @param last  nothing is written after this
   * @param ended the run came to its end, see `Part`
   */
  write(last = false, ended = false): void {
    if (this.#request.planOnly) return;
    const began = performance.now();
    const { challenges, part, recipe, keepAnswers, rehearsal } = this.#request;
    const head = { part: part && { ...part, ended }, weighting: recipe.voteWeight, rehearsal: rehearsal !== undefined };
    const ranked = this.#ballot.rankedAll(challenges.entries);
    const { submission } = chooseAttempts(challenges.entries, ranked);
    for (const path of this.#submissions) this.#writeFile(path, last, () => writeSubmission(path, submission, challenges.entries));
    this.#writeFile(this.candidatesPath, last, () => writeCandidates(this.candidatesPath, ranked, head, keepAnswers));
    this.#writeSeconds = (performance.now() - began) / 1000 / (this.#request.rehearsal?.timeScale ?? 1);
  }

  /** Whether the submission on disk, where it was asked for, is the one of the last writing: else an older one stands there. */
  get isWritten(): boolean {
    return !this.#unwritten.has(this.#request.out);
  }

  /** Seconds of the run that putting the files on disk takes. */
  get writeSeconds(): number {
    return this.#writeSeconds;
  }

  #writeFile(path: string, last: boolean, write: () => void): void {
    for (;;) {
      try {
        write();
        this.#unwritten.delete(path);
        return;
      } catch (error) {
        if (isDiskFull(error) && this.#disk.makeRoom()) continue;
        this.#unwritten.add(path);
        const then = last ? "" : ", trying again later";
        this.#log.emit("error", "write", `${path}: ${messageOf(error)}; the file written before it stands${then}`);
        return;
      }
    }
  }

  /** Scores of the tasks worked on, where solutions are at hand; empty else. @param ks see `scoreAnswers` */
  score(ks?: readonly number[], weigher?: Weigher): Record<string, number> {
    const { solutions, chosen } = this.#request;
    if (!solutions) return {};
    const asked = new Map(chosen.flatMap(({ id }) => (solutions.has(id) ? [[id, solutions.get(id)!] as const] : [])));
    return scoreToJson(scoreAnswers(submittable(this.#ballot.rankedAll(chosen, weigher)), asked, ks));
  }

  /** What the same votes would have scored, each counting as the weighting says; only those weightings that the votes tell enough for. */
  scoreByWeighting(): Record<string, Record<string, number>> {
    const weighers = weighersFor(this.#haltingScale(), isAgreementWatched(this.#request));
    return Object.fromEntries([...weighers].map(([name, weigher]) => [name, this.score([1, 2], weigher)]));
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

/** Where the candidates of a run without a folder go: beside its submission. */
export function candidatesPath(out: string, isRehearsal: boolean): string {
  return join(dirname(out), isRehearsal ? REHEARSED_CANDIDATES : CANDIDATES);
}

/** Where the submission of a run goes: to where it is asked for and, where that is not in the run folder, there too. */
export function submissionPaths({ out, runDir }: Pick<RunRequest, "out" | "runDir">): string[] {
  const inside = runDir === undefined ? out : join(runDir, "submission.json");
  return resolve(inside) === resolve(out) ? [out] : [out, inside];
}

function keyOf({ task, testIndex, variant }: Pick<PredictionItem, "task" | "testIndex" | "variant">): string {
  return `${task}:${testIndex}:${variant}`;
}

/** No space, or the user's share of it is used up. */
function isDiskFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}
