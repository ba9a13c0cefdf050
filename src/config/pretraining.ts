/** Every setting of a pre-training, and the recipes. Flags, help, checks and the README table derive from them. */
import { bool, choice, int, num, text, type Values } from "./settings.ts";

const SPLIT = "TTA 3";
const TTA = "TTA 2.3";
const TRM = "TRM config/cfg_pretrain.yaml";
const ARCH = "TRM config/arch/trm.yaml";
const BUILDER = "TRM dataset/build_arc_dataset.py";

/** The settings. TTA = arXiv 2511.02886, TRM = arXiv 2510.04871 and its code. Defaults suit a small model; the recipes have the papers' values. */
export const PRETRAINING = {
  canvas: int(8, { min: 1, max: 30, unit: "cells a side", about: "canvas; tasks with a larger grid are left out", source: BUILDER }),
  fullCanvas: int(30, {
    min: 1,
    max: 64,
    unit: "cells a side",
    about: "canvas that fixes the row stride of rotary positions",
    source: "ours",
  }),
  hiddenSize: int(96, { min: 2, max: 16384, about: "width of the trunk", source: ARCH }),
  numHeads: int(4, { min: 1, max: 1024, about: "attention heads", source: ARCH }),
  lLayers: int(2, { min: 1, max: 256, about: "blocks", source: ARCH }),
  innerMultiple: int(32, { min: 1, max: 4096, about: "SwiGLU's inner width is a multiple of this", source: "TRM models/layers.py" }),
  hCycles: int(1, { min: 1, max: 256, about: "answer updates per ACT step", source: ARCH }),
  lCycles: int(2, { min: 1, max: 256, about: "latent updates per answer update", source: ARCH }),
  haltMaxSteps: int(4, { min: 1, max: 1024, unit: "ACT steps", about: "a sample runs at most", source: ARCH }),
  haltExploration: num(0.1, { max: 1, about: "chance that a row must run on though it would halt", source: ARCH }),
  prefixLength: int(1, { min: 1, max: 1024, about: "positions that hold the puzzle embedding", source: ARCH }),
  ropeAxes: choice("2", ["1", "2"], {
    about: "rotary positions: 1 counts through the canvas (official), 2 by row and column",
    source: "ours",
  }),
  ropeTheta: num(100, { min: 1e-6, about: "slowest rotary frequency is about 1 over this (official: 10000)", source: ARCH }),
  batchSize: int(64, { min: 1, max: 65536, unit: "examples over all workers", about: "global batch", source: TRM }),
  lrTrunk: num(5e-4, { max: 1, about: "peak learning rate of the trunk (AdamATan2)", source: TRM }),
  lrPuzzle: num(1e-2, { max: 1, about: "peak learning rate of the puzzle rows (sign-SGD)", source: TRM }),
  lrMinRatio: num(0.1, { max: 1, about: "rates end at this share of their peak, along half a cosine; 1 = constant", source: TRM }),
  warmupSteps: int(200, { unit: "steps", about: "linear warm-up, at most a tenth of the course", source: TRM }),
  emaDecay: num(0.999, { max: 1, about: "decay of the averaged trunk, which the checkpoint holds", source: TRM }),
  weightDecay: num(0.1, { max: 10, about: "decoupled weight decay of the trunk", source: TRM }),
  puzzleWeightDecay: num(0.1, { max: 10, about: "decoupled weight decay of the puzzle rows", source: TRM }),
  epochs: int(0, { about: "length of the course where --steps is not given: every task once, in one variant; 0 = none", source: TRM }),
  variants: int(1000, { max: 100000, unit: "per task, besides the original", about: "augmented variants of real tasks", source: BUILDER }),
  translate: bool(true, { about: "shift the pairs of real tasks, and of generated ones among them, on the canvas", source: BUILDER }),
  generatedShare: num(0, { max: 1, about: "share of generated tasks among real ones; of rows, with --row-visits", source: "ours" }),
  kinds: text("all", { about: "generated kinds, comma-separated, or all that are not held out (see `generate --list`)", source: "ours" }),
  rulesPerKind: int(24, { min: 1, about: "different generated tasks of each kind", source: "ours" }),
  rowVisits: int(0, {
    about: "give a row to a new task after this many examples, so that the trunk learns to work with young rows; 0 = never",
    source: "ours",
  }),
  rowSlots: int(320, { min: 1, about: "rows in use at a time with --row-visits", source: "ours" }),
  embedding: choice("table", ["table", "encoder", "both", "factored"], {
    about:
      "puzzle embeddings: a table of learned rows, an encoder that makes them of demonstrations, both, each for its share of the batch, or a row for each task and codes of what a variant changes",
    source: "TTA 2.4; the encoder is ours",
  }),
  encoderShare: num(0.5, { max: 1, about: "share of the batch's rows that the encoder makes, with --embedding both", source: "ours" }),
  encoderBirths: num(0.5, {
    max: 1,
    about:
      "share of the table's rows that begin at the encoder's, with --embedding both and --row-visits: the trunk learns to go on from there",
    source: "ours",
  }),
  encoderLayers: int(2, { min: 1, max: 64, about: "blocks of the encoder, each as wide as the trunk's", source: "ours" }),
  encoderPairs: int(4, { min: 1, max: 64, about: "demonstrations that the encoder sees at most", source: "ours" }),
  lrEncoder: num(0, { max: 1, about: "peak learning rate of the encoder (AdamATan2); 0 = the trunk's", source: "ours" }),
  evaluationTrained: int(0, { about: "evaluation tasks whose tests are trained on too", source: SPLIT }),
  evaluationHeldOut: int(0, { about: "evaluation tasks that are left out altogether", source: SPLIT }),
  evaluateEvery: int(0, { unit: "steps", about: "evaluate this often, and at the end; 0 = never", source: TRM }),
  evaluationVariants: int(64, { min: 1, max: 100000, about: "votes on each test input of an evaluation", source: TTA }),
  evaluationPairs: int(256, { about: "training pairs that an evaluation predicts", source: "ours" }),
} as const;

/** Resolved values of all settings of a pre-training. */
export type Pretraining = Values<typeof PRETRAINING>;

/** A set of tasks that a recipe is made for. */
export interface ExpectedTasks {
  /** option that takes its files */
  readonly option: "--tasks" | "--evaluation";
  readonly name: string;
  readonly tasks: number;
}

/** Named settings of a pre-training, and the tasks that they are made for. */
export interface PretrainingRecipe {
  readonly about: string;
  readonly expects: readonly ExpectedTasks[];
  readonly settings: Partial<Pretraining>;
  /** preset that suits the adaptation of its checkpoint, which keeps the preset's settings */
  readonly adaptation?: string;
}

/** The released model, on the whole canvas. */
const OFFICIAL: Partial<Pretraining> = {
  canvas: 30,
  hiddenSize: 512,
  numHeads: 8,
  lLayers: 2,
  innerMultiple: 256,
  hCycles: 3,
  lCycles: 4,
  haltMaxSteps: 16,
  prefixLength: 16,
  ropeAxes: "1",
  ropeTheta: 10000,
  lrMinRatio: 1,
  warmupSteps: 2000,
  evaluationVariants: 1000,
  evaluateEvery: 72_000,
};

const CONCEPT: ExpectedTasks = { option: "--tasks", name: "ConceptARC", tasks: 160 };
const EVALUATION: ExpectedTasks = { option: "--evaluation", name: "ARC-AGI-2 public evaluation", tasks: 120 };
/** 100 evaluation tasks to train on, 10 to evaluate on, 10 kept out. */
const EVALUATION_SPLIT: Partial<Pretraining> = { evaluationTrained: 100, evaluationHeldOut: 10 };
const TWICE: Partial<Pretraining> = { batchSize: 1536, lrTrunk: 2e-4, lrPuzzle: 2e-2 };

const SMALL_TASKS: readonly ExpectedTasks[] = [
  { option: "--tasks", name: "ARC-AGI-1 training", tasks: 400 },
  { option: "--tasks", name: "ARC-AGI-2 training", tasks: 1000 },
  CONCEPT,
];
/** What `checkpoints/small` was trained with. */
const SMALL: Partial<Pretraining> = {
  canvas: 10,
  hiddenSize: 192,
  numHeads: 6,
  haltMaxSteps: 1,
  batchSize: 16,
  variants: 100,
  translate: false,
  generatedShare: 0.4,
  rowSlots: 256,
  lrPuzzle: 3e-2,
  evaluationVariants: 16,
};

/** TTA 2.3, and two of ours for one machine without a GPU. */
export const PRETRAINING_RECIPES: Readonly<Record<string, PretrainingRecipe>> = {
  replication: {
    about: "TRM's own: training tasks whole, demonstrations of evaluation tasks",
    expects: [{ option: "--tasks", name: "ARC-AGI-2 training", tasks: 1000 }, CONCEPT, EVALUATION],
    settings: { ...OFFICIAL, batchSize: 768, lrTrunk: 1e-4, lrPuzzle: 1e-2, epochs: 100_000 },
  },
  expanded: {
    about: "replication with the tests of 100 evaluation tasks and 50 tasks more, in larger batches",
    expects: [
      { option: "--tasks", name: "ARC-AGI-2 training", tasks: 1000 },
      CONCEPT,
      { option: "--tasks", name: "tama", tasks: 50 },
      EVALUATION,
    ],
    settings: { ...OFFICIAL, ...TWICE, ...EVALUATION_SPLIT, epochs: 200_000 },
  },
  hard: {
    about: "hard training tasks and evaluation tasks alone, for far longer",
    expects: [{ option: "--tasks", name: "hard part of ARC-AGI-2 training", tasks: 120 }, EVALUATION],
    settings: { ...OFFICIAL, ...TWICE, ...EVALUATION_SPLIT, epochs: 1_000_000 },
  },
  small: {
    about: "small canvas, one ACT step, young rows, generated tasks mixed in: the first hours on a core or two",
    expects: SMALL_TASKS,
    settings: { ...SMALL, lrTrunk: 8e-4, lrMinRatio: 1, emaDecay: 0.995, rowVisits: 96 },
    adaptation: "small",
  },
  "small-second": {
    about: "small gone on with, by --from its checkpoint, where its loss is flat: rates that fall, rows that live longer, more rules",
    expects: SMALL_TASKS,
    settings: { ...SMALL, lrTrunk: 3e-4, lrMinRatio: 0.05, emaDecay: 0.998, rowVisits: 192, rulesPerKind: 96 },
    adaptation: "small",
  },
};
