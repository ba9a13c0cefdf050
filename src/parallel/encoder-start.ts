/** Rows that begin where a checkpoint's encoder puts them: computed when first asked for, one at a time. */
import * as tf from "@tensorflow/tfjs-core";
import type { Pair } from "../arc/task.ts";
import { type Group, type PuzzlePlan, variantPair } from "../data/build.ts";
import { PuzzleIds } from "../data/puzzle-ids.ts";
import { drawPairs, fillDemonstrations, layDemonstrations } from "../encode/demonstrations.ts";
import type { RowStart } from "../model/puzzle-embedding.ts";
import type { Random } from "../random.ts";
import type { RowEncoder } from "../train/row-encoder.ts";

/** Rows kept as they were computed: the first ones, which are looked at again whenever it is told how far rows have moved. */
const KEPT_ROWS = 4096;

/** What the encoder may see of a task. */
export interface ShownTasks {
  readonly plan: PuzzlePlan;
  /** canvas edge in cells */
  readonly side: number;
  /** the demonstrations of a variant that may be seen; all of them unless given */
  pairsOf?(group: Group, variant: number): readonly Pair[];
}

/**
 * The encoder's row for a variant's demonstrations; where there are more than it takes in, each variant shows others. A row is computed by itself, never
 * together with others, so it has the same bits in every process and whatever else is asked for.
 *
 * @param weights float32[N]: the averaged encoder, flat; never changed
 * @param other   the start of rows that stand for no variant
 * @param tasks   asked when the first row is wanted
 */
export function encoderStart(
  encoder: Pick<RowEncoder, "rows" | "config" | "demonstrationSize">,
  weights: Float32Array,
  { other, random, tasks }: { readonly other: RowStart; readonly random: Random; readonly tasks: () => ShownTasks },
): RowStart {
  let ready: { readonly tensor: tf.Tensor1D; readonly shown: ShownTasks; readonly ids: PuzzleIds } | undefined;
  const seen = new Int32Array(encoder.demonstrationSize);
  const kept = new Map<number, Float32Array>();
  return (id, out) => {
    const known = kept.get(id);
    if (known) return out.set(known);
    if (!ready) {
      const shown = tasks();
      ready = { tensor: tf.tensor1d(weights), shown, ids: new PuzzleIds(shown.plan) };
    }
    const { tensor, shown, ids } = ready;
    const variant = ids.variant(id);
    if (!variant) return other(id, out);
    const { group, index } = variant;
    const pairs = drawPairs(shown.pairsOf?.(group, index) ?? group.train, encoder.config.pairs, random.fork(id));
    const laid = pairs.map((pair) => variantPair(group, index, pair));
    fillDemonstrations(seen, layDemonstrations(laid, shown.side));
    const row = encoder.rows(tensor, seen);
    if (kept.size < KEPT_ROWS) kept.set(id, row);
    out.set(row);
  };
}
