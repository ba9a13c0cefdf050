/** Batches of a stored data set in the released loader's order, for runs to be compared with it. Source: TRM puzzle_dataset.py. */
import { type Batch, batchOf, type Example, paddingExample } from "../encode/batch.ts";
import { ignorePadding } from "../encode/canvas.ts";
import type { Random } from "../random.ts";
import type { DatasetSplit } from "./dataset.ts";

/**
 * One epoch of training: groups in random order, of each one random puzzle, its examples in random order.
 *
 * A puzzle that doesn't fit into a batch is cut off there: its other examples don't come in this epoch. A last batch that isn't full is dropped.
 */
export function* officialEpoch(split: DatasetSplit, batchSize: number, random: Random): Generator<Batch, void, undefined> {
  const { groupStarts, puzzleStarts } = split;
  let batch: Example[] = [];
  for (const group of random.shuffled(Array.from({ length: groupStarts.length - 1 }, (_, g) => g))) {
    const puzzle = random.int(groupStarts[group]!, groupStarts[group + 1]! - 1);
    const start = puzzleStarts[puzzle]!;
    const rows = random.shuffled(Array.from({ length: puzzleStarts[puzzle + 1]! - start }, (_, i) => start + i));
    for (const row of rows.slice(0, batchSize - batch.length)) batch.push(exampleOf(split, row, puzzle));
    if (batch.length === batchSize) {
      yield batchOf(batch);
      batch = [];
    }
  }
}

/** All examples in stored order, for evaluation; the last batch is filled up with padding rows. */
export function* officialTestBatches(split: DatasetSplit, batchSize: number): Generator<Batch, void, undefined> {
  const { puzzleStarts, tokens } = split;
  const examples = puzzleStarts.at(-1) ?? 0;
  for (let start = 0, puzzle = 0; start < examples; start += batchSize) {
    const batch = Array.from({ length: batchSize }, (_, i): Example => {
      const row = start + i;
      if (row >= examples) return paddingExample(tokens);
      while (puzzleStarts[puzzle + 1]! <= row) puzzle++;
      return exampleOf(split, row, puzzle);
    });
    yield batchOf(batch);
  }
}

function exampleOf({ inputs, labels, puzzleIds, tokens }: DatasetSplit, row: number, puzzle: number): Example {
  const tokensOf = (stored: Uint8Array): Int32Array => Int32Array.from(stored.subarray(row * tokens, (row + 1) * tokens));
  const asked = tokensOf(labels);
  ignorePadding(asked);
  return { inputs: tokensOf(inputs), labels: asked, puzzleId: puzzleIds[puzzle]! };
}
