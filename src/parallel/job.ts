/** What passes between the parent and its workers. Sent as structured clones over Node's IPC channel. */
import type { Pair, Task } from "../arc/task.ts";
import type { EngineName } from "../backend/select.ts";
import type { Rehearsal } from "../budget/rehearsal.ts";
import type { FileRecords } from "../checkpoint/staged-files.ts";
import type { Json } from "../checkpoint/training-state.ts";
import type { PretrainingData } from "../data/pretraining-stream.ts";
import type { CanvasGroups } from "../encode/canvas-groups.ts";
import type { ModelConfig } from "../model/config.ts";
import type { EncoderConfig } from "../model/encoder-config.ts";
import type { LoraSettings } from "../model/lora.ts";
import type { RowSimilarity } from "../model/row-similarity.ts";
import type { AdamATan2Settings } from "../optim/adam-atan2.ts";
import type { Compilation } from "../trace/compilation.ts";
import type { FirstRun } from "../trace/jit.ts";
import type { Course, Progress, Until } from "../train/loop.ts";
import type { Agreement } from "../vote/weighting.ts";
import type { Diagnosis } from "./diagnosis.ts";

/** Where a trunk comes from. */
export type TrunkSource =
  | { readonly kind: "checkpoint"; readonly folder: string }
  /** untrained weights; the puzzle rows start at zero */
  | { readonly kind: "random" }
  /** a training state to go on with, puzzle rows and optimizer included */
  | { readonly kind: "state"; readonly folder: string };

/** What a worker trains on. */
export type TrainingData =
  | {
      readonly kind: "tasks";
      readonly tasks: readonly Task[];
      /** augmented variants of each task besides the original */
      readonly variants: number;
      readonly translate: boolean;
      /** train on the tests' outputs too */
      readonly trainOnTests: boolean;
      /** a row for each task and codes of what a variant changes, see `data/augmentation-codes.ts`; a row for each variant unless given */
      readonly factored?: boolean | undefined;
      /** of each task the pairs on which the halting head alone is trained, if it is */
      readonly taught?: readonly (readonly Pair[])[] | undefined;
    }
  | ({ readonly kind: "pretraining" } & PretrainingData);

/** How a worker's share of a batch goes through the model, see the same names in `Job`. */
export interface Rows {
  readonly microBatch: number;
  readonly recompute: boolean;
}

/** An encoder that is trained. */
export interface JobEncoder {
  readonly config: EncoderConfig;
  /** of the batch's rows it makes this share */
  readonly share: number;
  /** share of the table's rows that begin at what it makes of their demonstrations, where rows have lives; the others begin as any row */
  readonly births: number;
}

/** Everything that a worker is told at its start. Its place among the others follows, see `Formation`. */
export interface Job {
  readonly engine: EngineName;
  /** threads of the engine in this process, where it has a choice */
  readonly threads?: number | undefined;
  /** the driver shows a GPU for this process: one that the engine does not use is told of */
  readonly expectsGpu?: boolean | undefined;
  /** a worker that ends is started again */
  readonly mayRestart?: boolean | undefined;
  /** how steps run on it */
  readonly compilation: Compilation;
  readonly seed: number | string;
  readonly model: ModelConfig;
  /** cells a side of this run's canvas, of the largest where there are several */
  readonly canvas: number;
  /** canvases of several sizes, by the job's tasks; all are on `canvas` unless given */
  readonly canvases?: CanvasGroups | undefined;
  /** cells a side of the canvas that fixes the row stride of positions */
  readonly fullCanvas: number;
  readonly trunk: TrunkSource;
  readonly start: "mean" | "normal" | "zero" | "encoder";
  /** what rows are in predictions until they are first trained, so that the first answers are the encoder's; `start` unless given */
  readonly untrained?: Job["start"] | undefined;
  /** an encoder is trained too, that of the checkpoint or state where there is one */
  readonly encoder?: JobEncoder | undefined;
  /** rows with these starts compete until it is told which each task keeps, see `competition.ts`; the first is `start` */
  readonly search?: { readonly starts: readonly Job["start"][] } | undefined;
  /** adapters learn in place of the trunk; the trunk unless given */
  readonly lora?: LoraSettings | undefined;
  /** memory that puzzle rows may take; what is more lies in a file in this folder. All of it in memory unless given */
  readonly rowMemory?: { readonly bytes: number; readonly folder: string } | undefined;
  readonly data: TrainingData;
  /** places of the tasks whose demonstrations this worker trains on; all unless given */
  readonly trainOn?: readonly number[] | undefined;
  readonly globalBatch: number;
  readonly microBatch: number;
  /** whether blocks are computed again for the gradient, for want of memory */
  readonly recompute: boolean;
  /** the same for a worker whose engine turns out to use no GPU, though one was planned for */
  readonly withoutGpu?: Rows | undefined;
  /** the same for a worker that was lost over attention by cuDNN and begins again with composed attention */
  readonly composed?: Rows | undefined;
  readonly adam: AdamATan2Settings;
  readonly puzzleWeightDecay: number;
  readonly explorationProbability: number;
  /** a predicted row ends when its halting head says so */
  readonly stopAtHalt?: boolean | undefined;
  /** predictions tell over how many of their last ACT steps they stayed the same */
  readonly watchAgreement?: boolean | undefined;
  readonly course: Course;
  /** keeps how each task fares, for whoever asks with `diagnose` */
  readonly watchTasks?: boolean | undefined;
  /** steps of the whole course; where they are not given, a training state says them until the first step was timed */
  readonly plannedSteps?: number | undefined;
  /** nothing is computed: the worker sleeps instead */
  readonly rehearsal?: Rehearsal | undefined;
}

/** A worker's place among the others, until the next one is told. */
export interface Formation {
  readonly rank: number;
  readonly worldSize: number;
  /** none where there are no others, or where there is nothing to exchange because nothing is trained */
  readonly ring?: { readonly folder: string; readonly token: string; readonly timeoutMillis: number } | undefined;
  /** folders of training states: the first that is whole is taken up; where none is, the job begins anew */
  readonly restore: readonly string[];
  /** factor of both learning rates */
  readonly rateScale: number;
  /** which start the rows of each task have, where that was chosen already */
  readonly chosenStarts?: readonly number[] | undefined;
}

/** Snapshots to be made while training. */
export interface SnapshotOrder {
  readonly folder: string;
  /** seconds between two of them at least; longer where they cost much */
  readonly everySeconds: number;
}

/** Why work failed: another rank was lost; a number was not finite; memory ran out; XLA and its cache don't go together; anything else. */
export type FailureCause = "peer" | "diverged" | "memory" | "cache" | "other";

/** One prediction to make: a test input of a task, or that of a pair which is trained on, under one of its variants. */
export interface PredictionItem {
  /** place in the job's tasks */
  readonly task: number;
  /** place of the test; with `trained`, of the pair among those trained on */
  readonly testIndex: number;
  readonly trained?: boolean | undefined;
  /** 0 is the original */
  readonly variant: number;
  /** the row is what the encoder that is trained makes of the variant's demonstrations, but for the pair that is asked about */
  readonly encoded?: boolean | undefined;
  /** row that stands for the variant; the plan's unless given */
  readonly puzzleId?: number | undefined;
  /** of the variant's rows that compete the one with this start, see `competition.ts` */
  readonly start?: number | undefined;
  /** the answer is known, and its loss is wanted */
  readonly withLoss?: boolean | undefined;
}

/** What can be predicted of a pre-training as its rows are now, and how alike they are. */
export interface Survey {
  readonly items: readonly PredictionItem[];
  readonly similarity: RowSimilarity;
}

/** A prediction, undone to the task's own colours and orientation. */
export interface Prediction extends PredictionItem {
  readonly rows: number;
  readonly cols: number;
  readonly cells: Uint8Array;
  readonly qHaltLogit: number;
  /** where it was watched */
  readonly agreement?: Agreement | undefined;
  /** mean token loss of the true answer, where it was wanted */
  readonly lmLoss?: number | undefined;
}

/** From the parent. */
export type Command =
  | { readonly kind: "job"; readonly job: Job }
  | ({ readonly kind: "form" } & Formation)
  | { readonly kind: "train"; readonly until: Until; readonly snapshots?: SnapshotOrder | undefined }
  /** ends the training under way after its current step */
  | { readonly kind: "stop" }
  /** gives up joining a ring: another rank is lost */
  | { readonly kind: "abandon" }
  | {
      readonly kind: "predict";
      readonly id: number;
      readonly items: readonly PredictionItem[];
      readonly actSteps: number;
      /** place of their canvas among those of the job, where there are several */
      readonly canvas?: number | undefined;
    }
  /** writes a snapshot now; samples under way are not kept */
  | { readonly kind: "snapshot"; readonly folder: string }
  /** rows that compete make way for those of the start that was chosen for their task */
  | { readonly kind: "choose"; readonly chosenStarts: readonly number[] }
  /** asks what can be predicted: `votes` variants of each test at most, `pairs` of those trained on in all */
  | { readonly kind: "survey"; readonly votes: number; readonly pairs: number }
  /** asks how far the training has come from its start, see `diagnosis.ts` */
  | { readonly kind: "diagnose" }
  /** writes this rank's rows of the batch into the folder of a training state, to be counted in by the rank that saves it */
  | { readonly kind: "stage"; readonly state: string }
  /** writes a checkpoint, and where `state` is given a training state */
  | {
      readonly kind: "save";
      readonly folder: string;
      readonly notes: CheckpointNotes;
      readonly state?: string | undefined;
      /** what the other ranks have staged */
      readonly staged?: FileRecords | undefined;
      /** kept in the training state, word for word */
      readonly record?: { readonly [key: string]: Json } | undefined;
    };

/** What is put into a checkpoint as it is. */
export interface CheckpointNotes {
  /** fields of `training` in its config */
  readonly training: Readonly<Record<string, unknown>>;
  readonly adaptation?: Readonly<Record<string, unknown>> | undefined;
  /** text of its README.md */
  readonly card: string;
}

/** What a worker holds at a moment. */
export interface Holding {
  /** resident memory, in bytes */
  readonly rssBytes: number;
  readonly tensors: number;
}

/** From a worker. */
export type Report =
  | {
      readonly kind: "ready";
      readonly engine: string;
      readonly parameters: number;
      readonly epochLength: number;
      /** variants of each task, the original among them; fewer than asked for where no more of them differ */
      readonly variants: readonly number[];
      readonly warnings: readonly string[];
    }
  /** has taken its place; `restored` is the folder taken up, `damaged` those that were not whole, with the reason */
  | {
      readonly kind: "formed";
      readonly step: number;
      readonly restored: string | undefined;
      readonly damaged: readonly { readonly folder: string; readonly problem: string }[];
    }
  | ({ readonly kind: "progress"; readonly progress: Progress } & Holding)
  | {
      readonly kind: "trained";
      readonly step: number;
      readonly why: "deadline" | "steps" | "paused" | "stopped";
      readonly stepSeconds: number;
    }
  | ({ readonly kind: "predicted"; readonly id: number; readonly predictions: readonly Prediction[]; readonly seconds: number } & Holding)
  /** something is slower than it could be */
  | { readonly kind: "warning"; readonly sentence: string }
  /** a step is about to run for the first time, compiled, or has done so or failed at it, alive */
  | ({ readonly kind: "first-run" } & FirstRun)
  | { readonly kind: "chosen" }
  | { readonly kind: "surveyed"; readonly survey: Survey }
  | { readonly kind: "diagnosed"; readonly diagnosis: Diagnosis }
  | { readonly kind: "staged"; readonly files: FileRecords }
  | { readonly kind: "saved"; readonly folder: string; readonly step: number }
  /** the training stands still while something else is done that may take long, or goes on */
  | { readonly kind: "standstill"; readonly underway: boolean }
  /** a snapshot was written; with `problem`, it could not be */
  | {
      readonly kind: "snapshot";
      readonly step: number;
      readonly bytes: number;
      readonly seconds: number;
      readonly problem?: string | undefined;
    }
  | {
      readonly kind: "failed";
      readonly message: string;
      readonly stack: string | undefined;
      readonly user: boolean;
      readonly cause: FailureCause;
      /** optimizer steps that were completed; none where there was no state yet */
      readonly step: number | undefined;
    };
