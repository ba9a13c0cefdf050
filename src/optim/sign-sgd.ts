/** Sign-SGD with decoupled weight decay on the rows of the puzzle embedding that a batch used. Runs on the host. */

export interface SignSgdSettings {
  readonly weightDecay: number;
  /** factor of a row's rate; 1 unless given */
  readonly rateOf?: ((row: number) => number) | undefined;
}

/** A table of rows; `row` gives a view that may be written to. */
export interface EmbeddingRows {
  row(id: number): Float32Array;
  /** the rows whose sum an embedding is: its gradient is that of each of them; the row of the same id unless given */
  partsOf?(id: number): readonly number[];
}

/**
 * weights[id] = weights[id] * (1 - lr*wd) - lr * sign(sum of the gradients of all batch rows with that id), for each id once.
 *
 * @param ids       int32[B] of embeddings, each a row or, see `EmbeddingRows`, the sum of some; in the order of the global batch: the sum's order
 *                  is that order, so it is the same for any number of workers
 * @param gradients float32[B * E], one row per batch row
 * Source: TRM models/sparse_embedding.py `_sparse_emb_signsgd_dist`
 */
export function signSgd(
  table: EmbeddingRows,
  ids: ArrayLike<number>,
  gradients: Float32Array,
  lr: number,
  { weightDecay, rateOf }: SignSgdSettings,
): void {
  const size = ids.length === 0 ? 0 : gradients.length / ids.length;
  const sums = new Map<number, Float32Array>();
  for (let r = 0; r < ids.length; r++) {
    const gradient = gradients.subarray(r * size, (r + 1) * size);
    for (const id of table.partsOf?.(ids[r]!) ?? [ids[r]!]) {
      const sum = sums.get(id);
      if (!sum) sums.set(id, gradient.slice());
      else for (let i = 0; i < size; i++) sum[i]! += gradient[i]!;
    }
  }
  for (const [id, sum] of sums) {
    const rate = lr * (rateOf?.(id) ?? 1);
    // float32 at each step, as the official code computes: then the rows agree bit for bit
    const decay = Math.fround(1 - rate * weightDecay);
    const stride = Math.fround(rate);
    const row = table.row(id);
    for (let i = 0; i < size; i++) row[i] = Math.fround(row[i]! * decay) - stride * Math.sign(sum[i]!);
  }
}
