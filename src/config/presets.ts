/** Named recipes; each names only what differs from the defaults. */
import type { Recipe } from "./recipe.ts";

/** What a preset may also set: options of `run` that are not part of the recipe, and a sentence for `--help`. */
export interface Preset {
  readonly about: string;
  readonly recipe: Partial<Recipe>;
}

/** What both forms of the paper's settings have in common, where no setting's default is to be relied on. Source: TTA 2.4 */
const PAPER: Partial<Recipe> = {
  method: "embeddings-then-full",
  frozenShare: 0.25,
  start: "mean",
  batchSize: 384,
  warmupSteps: 2000,
  lrMinRatio: 1,
  weightDecay: 0.1,
  puzzleWeightDecay: 0.1,
  emaDecay: 0.999,
  emaWarmup: false,
  trainVariants: 1000,
  voteVariants: 512,
  translate: true,
};

export const PRESETS: Record<string, Preset> = {
  "paper-as-written": {
    about: "the paper's submission settings as its text has them",
    recipe: { ...PAPER, lrTrunk: 2e-4, lrPuzzle: 2e-2 },
  },
  "paper-as-released": {
    about: "the paper's submission settings as its code has them",
    recipe: { ...PAPER, lrTrunk: 1e-4, lrPuzzle: 1e-2 },
  },
  nvarc: {
    about: "TRM part of the ARC Prize 2025 winner: 4 H cycles, 10 ACT steps, 4000 epochs of small batches, short warm-up",
    recipe: {
      method: "full",
      batchSize: 128,
      epochs: 4000,
      lrTrunk: 1e-4,
      warmupSteps: 200,
      voteVariants: 128,
      hCycles: 4,
      haltMaxSteps: 10,
      haltMaxStepsEval: 10,
      voteAll: true, // its candidates are joined with those of others: every input has as many votes
    },
  },
  demo: {
    about: "the sample tasks in a minute and a half on the wasm engine",
    recipe: {
      batchSize: 32,
      lrTrunk: 5e-4,
      lrPuzzle: 3e-2,
      lrMinRatio: 0.1,
      warmupSteps: 10,
      emaDecay: 0.98,
      trainVariants: 3,
      voteVariants: 4,
      translate: false,
    },
  },
  small: {
    about: "checkpoints/small on tasks that fit its canvas (--canvas 10), in a quarter of an hour on two cores",
    recipe: {
      batchSize: 32,
      lrTrunk: 5e-4,
      lrPuzzle: 3e-2,
      lrMinRatio: 0.1,
      warmupSteps: 20,
      emaDecay: 0.99,
      trainVariants: 24,
      voteVariants: 24,
      translate: false,
    },
  },
};
