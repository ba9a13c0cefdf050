/** Every setting of an adaptation. Flags, help, checks and the README table derive from it. */
import { VOTE_WEIGHTINGS } from "../vote/weighting.ts";
import { bool, choice, int, num, problemOf, type Setting, type Values } from "./settings.ts";

export { flagName, type Setting } from "./settings.ts";

const TTA = "TTA 2.4";
const TRM = "TRM config/cfg_pretrain.yaml";
const ARCH = "TRM config/arch/trm.yaml";
const LPN = "arXiv 2411.08706, TTA 2.4";
const LORA = "TTA 2.4, fork's lora_rank, lora_alpha";

/** The settings. TTA = arXiv 2511.02886, TRM = arXiv 2510.04871 and its code. */
export const RECIPE = {
  method: choice("full", ["full", "embeddings", "embeddings-then-full", "lora", "latent-search", "none"], {
    about:
      "what learns: trunk and puzzle rows, rows alone, rows first and then both, adapters on a fixed trunk and rows, rows alone from the best of several starts, nothing",
    source: TTA,
  }),
  frozenShare: num(0.25, { min: 0, max: 1, about: "share of the steps in which embeddings-then-full keeps the trunk fixed", source: TTA }),
  loraRank: int(1, { min: 1, max: 4096, about: "rank of lora's adapters, which sit on every linear layer", source: LORA }),
  loraAlpha: num(16, { max: 65536, about: "lora's adapters count this / rank times", source: LORA }),
  searchStarts: int(4, { min: 2, max: 64, about: "starting points of each task that latent-search tries", source: LPN }),
  searchShare: num(0.3, { min: 0, max: 0.9, about: "share of the steps in which latent-search tries them all, to choose", source: "ours" }),
  start: choice("mean", ["mean", "normal", "encoder"], {
    about:
      "start of new puzzle rows: mean of the pre-trained ones, drawn with their mean and deviation, or what the checkpoint's encoder makes of the demonstrations",
    source: TTA,
  }),
  embedding: choice("table", ["table", "factored"], {
    about: "puzzle embeddings: a row for each variant, or one for each task and codes of what a variant changes",
    source: "ours; TRM has a row for each variant",
  }),
  batchSize: int(384, { min: 1, max: 65536, unit: "examples over all workers", about: "global batch", source: TTA }),
  epochs: int(0, {
    about:
      "length of the course where --steps is not given, the budget allowing: every pair once, in one variant of each task; 0 = no limit",
    source: "TTA, NVARC: 4000",
  }),
  lrTrunk: num(1e-4, { max: 1, about: "peak learning rate of the trunk (AdamATan2)", source: TRM }),
  lrPuzzle: num(1e-2, { max: 1, about: "peak learning rate of the puzzle rows (sign-SGD)", source: TRM }),
  lrMinRatio: num(1, { max: 1, about: "rates end at this share of their peak, along half a cosine; 1 = constant", source: TRM }),
  warmupSteps: int(2000, { unit: "steps", about: "linear warm-up, at most a tenth of the steps that fit", source: TRM }),
  weightDecay: num(0.1, { max: 10, about: "decoupled weight decay of the trunk", source: TRM }),
  puzzleWeightDecay: num(0.1, { max: 10, about: "decoupled weight decay of the puzzle rows", source: TRM }),
  emaDecay: num(0.999, { max: 1, about: "decay of the averaged trunk that predicts", source: TRM }),
  emaWarmup: bool(true, {
    about: "average over fewer steps at first: min(emaDecay, (1 + step) / (10 + step)); short runs need it",
    source: "ours",
  }),
  trainVariants: int(1000, { max: 100000, unit: "per task, besides the original", about: "augmented variants to train on", source: TTA }),
  voteVariants: int(512, {
    min: 1,
    max: 100000,
    unit: "per test input",
    about: "variants to predict under; at most those trained on",
    source: TTA,
  }),
  voteAll: bool(false, {
    about:
      "predict under every variant, also where later votes can't change the two answers any more; without it candidates.json has fewer votes there",
    source: "ours; TRM and TTA spend all",
  }),
  voteWeight: choice("count", VOTE_WEIGHTINGS, {
    about:
      "what a vote counts: 1 each, the halting head's probability, or the share of a prediction's ACT steps, the last ones, that gave the same grid",
    source: "ours; TRM counts 1 each",
  }),
  haltingPairs: choice("trained", ["trained", "held-out", "taught"], {
    about:
      "what the halting weight is fitted to: the pairs trained on (the head as it is), the predictions of pairs that --leave-out holds back (a logistic of its logit), or taught: an eighth of the batch's rows are such pairs, on which nothing but the halting loss is trained (both need --leave-out)",
    source: "ours",
  }),
  translate: bool(true, { about: "shift training pairs on the canvas", source: "TRM dataset/build_arc_dataset.py" }),
  haltMaxSteps: int(0, {
    max: 64,
    unit: "ACT steps",
    about: "supervised steps of a training row at most; 0 = as the checkpoint says",
    source: TRM,
  }),
  haltMaxStepsEval: int(0, {
    max: 64,
    unit: "ACT steps",
    about: "ACT steps of a prediction; 0 = as the checkpoint says",
    source: "TTA, haltMaxStepsEval",
  }),
  hCycles: int(0, { max: 256, about: "answer updates per ACT step; 0 = as the checkpoint says", source: ARCH }),
  lCycles: int(0, { max: 256, about: "latent updates per answer update; 0 = as the checkpoint says", source: ARCH }),
  stopAtHalt: bool(false, {
    about: "a predicted row ends when its halting head says so: fewer ACT steps, perhaps other answers",
    source: "ours; TRM evaluates all steps",
  }),
  haltExploration: num(0.1, { max: 1, about: "chance that a row must run on though it would halt", source: TRM }),
} satisfies Record<string, Setting>;

/** Resolved values of all settings. */
export type Recipe = Values<typeof RECIPE>;
export type SettingName = keyof Recipe;

/** What is wrong with a value for a setting; undefined where nothing is. */
export function settingProblem(name: SettingName, value: unknown): string | undefined {
  return problemOf(name, RECIPE[name], value);
}
