/** A replica's learned state as files, and back. The carry is not kept: rows begin new samples after a resume. */
import type { Json, TrainingState } from "../checkpoint/training-state.ts";
import { UserError } from "../errors.ts";
import type { Replica } from "./replica.ts";

/** What a training state keeps beside the replica. */
export interface TrainerState {
  /** draws made by each global row */
  readonly draws: Int32Array;
  /** float32[E]: what new puzzle rows begin with */
  readonly rowStart: Float32Array;
  /** steps that the course has at the moment */
  readonly plannedSteps: number;
  /** what else is wanted back, word for word */
  readonly record: { readonly [key: string]: Json };
}

/** What `saveTrainingState` writes of a replica: weights, moments, average, puzzle rows, and the step. */
export async function trainingStateOf(replica: Replica, { draws, rowStart, plannedSteps, record }: TrainerState): Promise<TrainingState> {
  const trunk = { ...(await replica.trunk()), ...(await replica.buffers()), rowStart };
  const ids = replica.rows.touched().sort((a, b) => a - b);
  const size = replica.rows.size;
  return {
    record: { ...record, step: replica.step, draws: [...draws], plannedSteps },
    state: new Map(Object.entries(trunk).map(([name, data]) => [name, { shape: [data.length], data }])),
    embeddings: new Map([["rows", { shape: [ids.length, size], data: replica.rows.gather(ids) }]]),
    puzzles: ids,
  };
}

/**
 * Puts a saved state into a replica of the same shape.
 *
 * @returns draws made by each global row, to go on in the stream of examples
 * @throws UserError where the state is of another shape
 */
export function restoreReplica(replica: Replica, { record, state, embeddings, puzzles }: TrainingState, where: string): Int32Array {
  const part = (name: string, length = replica.parameterCount): Float32Array => {
    const data = state.get(name)?.data;
    if (data?.length !== length) {
      throw new UserError(`${where}: ${name} has ${data?.length ?? "no"} numbers, this model ${length}; resume with the same shape`);
    }
    return data;
  };
  const rows = embeddings?.get("rows");
  if (rows && rows.shape[1] !== replica.rows.size) {
    throw new UserError(
      `${where}: puzzle rows of ${rows.shape[1]} numbers, this model has ${replica.rows.size}; resume with the same shape`,
    );
  }
  replica.restore({
    weights: part("weights"),
    ema: part("ema"),
    firstMoment: part("firstMoment"),
    secondMoment: part("secondMoment"),
    hInit: part("hInit", replica.settings.model.hiddenSize),
    lInit: part("lInit", replica.settings.model.hiddenSize),
    step: Number(record.step),
  });
  (puzzles as number[] | undefined)?.forEach((id, i) => {
    replica.rows.row(id).set(rows!.data.subarray(i * replica.rows.size, (i + 1) * replica.rows.size));
  });
  const draws = Int32Array.from(record.draws as number[]);
  // Another batch size spreads the stream over other rows: go on behind the furthest one.
  if (draws.length === replica.settings.globalBatch) return draws;
  const furthest = draws.reduce((a, b) => Math.max(a, b), 0) * draws.length;
  return new Int32Array(replica.settings.globalBatch).fill(Math.ceil(furthest / replica.settings.globalBatch));
}
