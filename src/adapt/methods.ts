/** What the methods of adaptation come to. Source: TTA 2.4 */
import type { Task } from "../arc/task.ts";
import type { Recipe } from "../config/recipe.ts";
import type { ModelConfig } from "../model/config.ts";
import type { LoraSettings } from "../model/lora.ts";
import type { Job } from "../parallel/job.ts";

/** How puzzle rows can begin. */
export type RowStartKind = Job["start"];

/** Share of the steps, from the first on, in which the puzzle rows alone learn. */
export function frozenShareOf({ method, frozenShare }: Pick<Recipe, "method" | "frozenShare">): number {
  if (method === "embeddings-then-full") return frozenShare;
  return method === "embeddings" || method === "latent-search" ? 1 : 0;
}

/**
 * Optimizer steps of a course: those asked for, or by its epochs; undefined where the budget alone decides.
 *
 * @param tasks that are trained on; a step takes `batchSize` of their pairs on
 */
export function courseSteps(
  steps: number | undefined,
  { epochs, batchSize }: Pick<Recipe, "epochs" | "batchSize">,
  tasks: readonly Task[],
): number | undefined {
  if (steps !== undefined || epochs === 0) return steps;
  const pairs = tasks.reduce((sum, { train }) => sum + train.length, 0);
  return Math.max(1, Math.floor((epochs * pairs) / batchSize));
}

/** The model as it recurs in a run: the checkpoint's, but for what the recipe says. */
export function adaptedModel(
  model: ModelConfig,
  { haltMaxSteps, hCycles, lCycles }: Pick<Recipe, "haltMaxSteps" | "hCycles" | "lCycles">,
): ModelConfig {
  return {
    ...model,
    haltMaxSteps: haltMaxSteps || model.haltMaxSteps,
    hCycles: hCycles || model.hCycles,
    lCycles: lCycles || model.lCycles,
  };
}

/** The adapters that learn in place of the trunk; undefined where that learns itself, or nothing does. */
export function adaptersOf({ method, loraRank, loraAlpha }: Pick<Recipe, "method" | "loraRank" | "loraAlpha">): LoraSettings | undefined {
  return method === "lora" ? { rank: loraRank, alpha: loraAlpha } : undefined;
}

/**
 * The starting points of a latent search: first the one that other methods would begin with, then the others that the checkpoint offers, then draws.
 *
 * @param offered what the checkpoint can begin rows with, beside draws
 * @returns empty where nothing is searched for
 */
export function searchStartsOf(
  { method, start, searchStarts }: Pick<Recipe, "method" | "start" | "searchStarts">,
  offered: readonly RowStartKind[],
): RowStartKind[] {
  if (method !== "latent-search") return [];
  const kinds = [...new Set<RowStartKind>([start, ...offered])];
  const draws = Array.from({ length: Math.max(0, searchStarts - kinds.length) }, (): RowStartKind => "normal");
  return [...kinds, ...draws].slice(0, searchStarts);
}
