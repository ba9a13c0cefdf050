/** What the methods of adaptation come to. Source: TTA 2.4 */
import type { Recipe } from "../config/recipe.ts";
import type { LoraSettings } from "../model/lora.ts";

/** Share of the steps, from the first on, in which the puzzle rows alone learn. */
export function frozenShareOf({ method, frozenShare }: Pick<Recipe, "method" | "frozenShare">): number {
  if (method === "embeddings-then-full") return frozenShare;
  return method === "embeddings" ? 1 : 0;
}

/** The adapters that learn in place of the trunk; undefined where that learns itself, or nothing does. */
export function adaptersOf({ method, loraRank, loraAlpha }: Pick<Recipe, "method" | "loraRank" | "loraAlpha">): LoraSettings | undefined {
  return method === "lora" ? { rank: loraRank, alpha: loraAlpha } : undefined;
}
