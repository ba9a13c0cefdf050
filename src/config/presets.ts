/** Named recipes; each names only what differs from the defaults. */
import type { Recipe } from "./recipe.ts";

/** What a preset may also set: options of `run` that are not part of the recipe, and a sentence for `--help`. */
export interface Preset {
  readonly about: string;
  readonly recipe: Partial<Recipe>;
}

export const PRESETS: Record<string, Preset> = {
  "paper-as-written": {
    about: "the paper's submission settings as its text has them",
    recipe: { lrTrunk: 2e-4, lrPuzzle: 2e-2, method: "embeddings-then-full" },
  },
  "paper-as-released": {
    about: "the paper's submission settings as its code has them",
    recipe: { method: "embeddings-then-full" },
  },
  nvarc: {
    about: "TRM part of the ARC Prize 2025 winner: short warm-up, small batches, 10 ACT steps",
    recipe: { batchSize: 128, warmupSteps: 200, voteVariants: 128, haltMaxSteps: 10, haltMaxStepsEval: 10 },
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
};
