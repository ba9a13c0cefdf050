/** What a run is asked to do, and what it says at its end. */
import type { ReadChallenges } from "../arc/challenges-file.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import type { Task } from "../arc/task.ts";
import type { ChosenEngine } from "../backend/choose.ts";
import type { EngineName } from "../backend/select.ts";
import type { Plan } from "../budget/planner.ts";
import type { Rehearsal } from "../budget/rehearsal.ts";
import type { CheckpointConfig } from "../checkpoint/config.ts";
import type { Recipe } from "../config/recipe.ts";
import type { Compilation } from "../trace/compilation.ts";
import type { Part } from "../vote/parts.ts";
import type { BallotAnswer } from "./ballot.ts";
import type { Forecast } from "./forecast.ts";
import type { ChosenStarts } from "./latent-search.ts";
import type { CurvePoint } from "./learning-curve.ts";
import type { LeftOut, LeftOutScore } from "./left-out.ts";
import type { Phase } from "./plan-phases.ts";
import type { RunNotes } from "./run-record-file.ts";

/** A training ends a step or so before its time. */
const TRAINED_SHARE = 0.8;

/** What a worker may take of memory, and what of its use was decided by hand. */
export interface MemoryRequest {
  readonly bytesPerWorker: number;
  /** where a GPU was planned for and the engine uses none */
  readonly bytesWithoutGpu: number;
  /** rows that go through the model together; by the memory unless given */
  readonly microBatch: number | undefined;
  /** compute blocks again for the gradient; by the memory unless given */
  readonly recompute: boolean | undefined;
}

/** What a run is asked to do; every path and number resolved. */
export interface RunRequest {
  readonly challenges: ReadChallenges;
  readonly challengesPath: string;
  /** ids of the tasks to work on; the others get fallbacks */
  readonly chosen: readonly Task[];
  /** demonstrations that are held back, of the same tasks in the same order; `chosen` lacks them then */
  readonly leftOut?: LeftOut | undefined;
  /** where the tasks are one of several shares: what the candidate file says of itself */
  readonly part?: Part | undefined;
  readonly solutions: Solutions | undefined;
  readonly checkpoint: { readonly folder: string; readonly config: CheckpointConfig };
  /** keep the checkpoint's shape, forget its weights */
  readonly scratch: boolean;
  readonly out: string;
  readonly runDir: string | undefined;
  /** wall clock from the start of the process, writing and shutdown included */
  readonly budgetSeconds: number;
  readonly steps: number | undefined;
  readonly workers: number;
  readonly threads: number | undefined;
  /** GPUs that the workers are spread over; 0 where the engine uses none */
  readonly gpus: number;
  /** how steps run on the engine */
  readonly compilation: Compilation;
  readonly engine: ChosenEngine;
  /** environment of a worker */
  readonly environment: (rank: number) => Record<string, string>;
  readonly joined: boolean;
  readonly canvas: CanvasChoice;
  readonly memory: MemoryRequest;
  /** answers to each test input that the candidate file has, the best first */
  readonly keepAnswers: number;
  /** seconds between two snapshots at least */
  readonly snapshotSeconds: number;
  /** the same on the engine that runs anywhere, where the one that was chosen need not be had */
  readonly onWasm?: (() => RunRequest) | undefined;
  readonly seed: string;
  readonly recipe: Recipe;
  /** workers that sleep as long as another machine would work, on a clock that runs faster */
  readonly rehearsal?: Rehearsal | undefined;
  /** end once the plan is made */
  readonly planOnly?: boolean | undefined;
}

/** Cells a side, for all tasks; as few as the tasks allow; or canvases of several sizes, each for the tasks that need no larger one. */
export type CanvasChoice = number | "auto" | "grouped";

/** Whether predictions tell how long they have stood: where votes are weighed by it, and where solutions can tell what that would be worth. */
export function isAgreementWatched({ recipe, solutions }: Pick<RunRequest, "recipe" | "solutions">): boolean {
  return recipe.voteWeight === "agreement" || solutions !== undefined;
}

/** Nothing is to be trained, as was asked for. */
export function isPredictOnly({ recipe, steps }: Pick<RunRequest, "recipe" | "steps">): boolean {
  return recipe.method === "none" || steps === 0;
}

/**
 * Whether a training went as far as it was to go.
 *
 * @param seconds of the run, when it ended
 */
export function isTrained(request: RunRequest, { plan, steps, trainBegan }: RunNotes, seconds: number): boolean {
  if (isPredictOnly(request) || plan?.trainSeconds === 0 || steps >= (request.steps ?? Number.POSITIVE_INFINITY)) return true;
  return plan !== undefined && trainBegan !== undefined && seconds >= trainBegan + TRAINED_SHARE * plan.trainSeconds;
}

/** Answers to one test input, for the table at the end. */
export interface InputOutcome {
  readonly taskId: string;
  readonly testIndex: number;
  readonly answers: readonly BallotAnswer[];
}

/** What `run --json` prints, and what the table is made of. */
export interface RunResult {
  readonly submission: string;
  readonly candidates: string;
  readonly tasks: number;
  readonly testInputs: number;
  readonly steps: number;
  readonly seconds: { readonly load: number; readonly adapt: number; readonly predict: number; readonly total: number };
  readonly engine: EngineName;
  /** library, device, how steps are run, precision */
  readonly engineDescription: string;
  readonly workers: number;
  /** how often a worker was lost */
  readonly lost: number;
  readonly fallbackInputs: number;
  /** cells a side, of the largest where there are several */
  readonly canvas: number;
  /** where there are several: cells a side, and tasks on each */
  readonly canvases?: readonly { readonly side: number; readonly tasks: number }[] | undefined;
  readonly votes: number;
  /** test inputs whose two answers no further vote could change; planned predictions that were not made for that */
  readonly decidedInputs: number;
  readonly savedPredictions: number;
  /** nothing was left to do: training went as far as it was to go, and every test input has all its votes, or those that decide */
  readonly complete: boolean;
  /** false: the disk refused the last answers, and older ones stand in the submission */
  readonly written: boolean;
  readonly lmLoss: number | undefined;
  readonly demonstrationExact: number | undefined;
  readonly workerRssBytes: readonly number[];
  readonly parentRssBytes: number;
  readonly score?: Record<string, number>;
  /** pass@1 and pass@2 of the same votes by what each counts, see `Answers.scoreByWeighting` */
  readonly voteWeights?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** the scores on the way */
  readonly curve?: readonly CurvePoint[];
  readonly plan?: Plan | undefined;
  /** what the plan comes to, of a run that was only planned */
  readonly phases?: readonly Phase[];
  /** on demonstrations that were held back: before the training, and after it */
  readonly leftOut?: readonly LeftOutScore[] | undefined;
  /** what a latent search has chosen */
  readonly chosenStarts?: ChosenStarts | undefined;
  /** of a dry run with fewer tasks than the hidden set has */
  readonly forecast?: Forecast | undefined;
  /** the answers are made up */
  readonly rehearsal?: true;
}
