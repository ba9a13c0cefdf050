/** How alike rows of the puzzle embedding are: those of a task's variants, and those of different tasks. */

/** Mean cosines. Source: TTA, figures 4 and 5 */
export interface RowSimilarity {
  /** over all pairs of rows of one task; NaN where no task has two */
  readonly within: number;
  /** over all pairs of rows of different tasks; NaN where there is one task only */
  readonly across: number;
  /** mean length of a row */
  readonly length: number;
  readonly rows: number;
}

/**
 * Sums of unit vectors give the means over all pairs in one pass: the squared length of a sum of n of them is n plus the cosines of its pairs.
 *
 * @param tasks rows of each task; rows of length 0, which point nowhere, are left out
 * @param size  numbers a row
 */
export function rowSimilarity(tasks: Iterable<Iterable<Float32Array>>, size: number): RowSimilarity {
  const total = new Float64Array(size);
  let rows = 0;
  let lengths = 0;
  let [withinSum, withinPairs, taskSquares, taskPairs] = [0, 0, 0, 0];
  for (const task of tasks) {
    const sum = new Float64Array(size);
    let count = 0;
    for (const row of task) {
      const length = Math.sqrt(row.reduce((squares, value) => squares + value * value, 0));
      if (length === 0) continue;
      for (let i = 0; i < size; i++) sum[i]! += row[i]! / length;
      lengths += length;
      count++;
    }
    const square = squareOf(sum);
    withinSum += square - count;
    withinPairs += count * (count - 1);
    taskSquares += square;
    taskPairs += count * count;
    rows += count;
    for (let i = 0; i < size; i++) total[i]! += sum[i]!;
  }
  return {
    within: withinPairs === 0 ? Number.NaN : withinSum / withinPairs,
    across: rows * rows === taskPairs ? Number.NaN : (squareOf(total) - taskSquares) / (rows * rows - taskPairs),
    length: lengths / rows,
    rows,
  };
}

function squareOf(vector: Float64Array): number {
  return vector.reduce((sum, value) => sum + value * value, 0);
}
