/** A table of puzzle embeddings for other puzzles than it was made for. */
import { rowStatistics } from "../model/puzzle-embedding.ts";

/** Views of the rows of a table. */
export function* rowsOf(table: Float32Array, width: number): Generator<Float32Array> {
  for (let at = 0; at < table.length; at += width) yield table.subarray(at, at + width);
}

/**
 * A table for another number of puzzles: as it is where the number stays, else every row the mean of all old rows (row 0,
 * the blank puzzle, included).
 *
 * @param rows float32[old count * width]
 * @returns    float32[count * width]; `rows` itself where nothing changes
 * Source: TRM pretrain.py, `load_checkpoint`
 */
export function resizeRows(rows: Float32Array, width: number, count: number): Float32Array {
  if (rows.length === count * width) return rows;
  if (rows.length === 0 || rows.length % width !== 0) throw new Error(`${rows.length} numbers are not rows of ${width}`);
  const { mean } = rowStatistics(rowsOf(rows, width), width);
  const out = new Float32Array(count * width);
  for (let at = 0; at < out.length; at += width) out.set(mean, at);
  return out;
}
