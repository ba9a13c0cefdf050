/** Statistics of a table of puzzle embeddings: what is left of it when the puzzles change. */

/** Mean and spread of a table's rows, column by column. */
export interface RowStatistics {
  /** float32[width] */
  readonly mean: Float32Array;
  /** float32[width]; population standard deviation, 0 for one row */
  readonly std: Float32Array;
}

/**
 * Mean and standard deviation of each column, over all rows (row 0, the blank puzzle, included). Summed in float64.
 *
 * @param rows  float32[count * width], count >= 1
 * @param width numbers a row
 */
export function rowStatistics(rows: Float32Array, width: number): RowStatistics {
  const count = rows.length / width;
  if (!Number.isInteger(count) || count < 1) throw new Error(`${rows.length} numbers are not rows of ${width}`);
  const mean = new Float64Array(width);
  for (let at = 0; at < rows.length; at += width) for (let j = 0; j < width; j++) mean[j]! += rows[at + j]!;
  for (let j = 0; j < width; j++) mean[j]! /= count;
  const variance = new Float64Array(width); // a second pass: no cancellation
  for (let at = 0; at < rows.length; at += width) for (let j = 0; j < width; j++) variance[j]! += (rows[at + j]! - mean[j]!) ** 2;
  return { mean: Float32Array.from(mean), std: Float32Array.from(variance, (sum) => Math.sqrt(sum / count)) };
}

/**
 * A table for another number of puzzles: as it is where the number stays, else every row the mean of all old rows.
 *
 * @returns float32[count * width]; `rows` itself where nothing changes
 * Source: TRM pretrain.py, `load_checkpoint`
 */
export function resizeRows(rows: Float32Array, width: number, count: number): Float32Array {
  if (rows.length === count * width) return rows;
  const { mean } = rowStatistics(rows, width);
  const out = new Float32Array(count * width);
  for (let at = 0; at < out.length; at += width) out.set(mean, at);
  return out;
}
