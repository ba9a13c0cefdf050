/** A replica's state as files, and back: what it has learned, and the rows of the batch on their way. */
import type { CarryPart, Json, TrainingState } from "../checkpoint/training-state.ts";
import { UserError } from "../errors.ts";
import type { CarriedRows, Replica } from "./replica.ts";
import type { EncoderState } from "./trained-encoder.ts";

/** What a training state keeps beside the replica. */
export interface TrainerState {
  /** draws made by each global row */
  readonly draws: Int32Array;
  /** float32[E]: what new puzzle rows begin with */
  readonly rowStart: Float32Array;
  /** float32[CODE_COUNT * E]: codes that they begin with besides, where there are any */
  readonly startCodes?: Float32Array | undefined;
  /** steps that the course has at the moment */
  readonly plannedSteps: number;
  /** what else is wanted back, word for word */
  readonly record: { readonly [key: string]: Json };
}

/** What the encoder's arrays are called in a state, before their own names. */
const ENCODER_PREFIX = "encoder.";

/** Rows handed over at a time. */
const ROWS_AT_A_TIME = 1024;

/** What `saveTrainingState` writes of a replica: weights, moments, average, puzzle rows, and the step. */
export async function trainingStateOf(
  replica: Replica,
  { draws, rowStart, startCodes, plannedSteps, record }: TrainerState,
): Promise<TrainingState> {
  const encoder = Object.entries((await replica.encoder?.read()) ?? {}).map(([name, data]) => [ENCODER_PREFIX + name, data] as const);
  const trunk = {
    ...(await replica.trunk()),
    ...(await replica.buffers()),
    rowStart,
    ...(startCodes && { startCodes }),
    ...Object.fromEntries(encoder),
  };
  const ids = replica.rows.touched().sort((a, b) => a - b);
  const { size } = replica.rows;
  return {
    record: { ...record, step: replica.step, draws: [...draws], plannedSteps },
    state: new Map(Object.entries(trunk).map(([name, data]) => [name, { shape: [data.length], data }])),
    rows: {
      count: ids.length,
      size,
      *pieces() {
        for (let i = 0; i < ids.length; i += ROWS_AT_A_TIME) yield replica.rows.gather(ids.slice(i, i + ROWS_AT_A_TIME));
      },
    },
    puzzles: ids,
  };
}

/**
 * Puts a saved state into a replica of the same shape.
 *
 * @returns draws made by each global row, to go on in the stream of examples
 * @throws UserError where the state is of another shape
 */
export function restoreReplica(replica: Replica, { record, state, rows, puzzles }: TrainingState, where: string): Int32Array {
  const part = (name: string, length = replica.parameterCount): Float32Array => {
    const data = state.get(name)?.data;
    if (data?.length !== length) {
      throw new UserError(`${where}: ${name} has ${data?.length ?? "no"} numbers, this model ${length}; resume with the same shape`);
    }
    return data;
  };
  if (rows && rows.size !== replica.rows.size) {
    throw new UserError(`${where}: puzzle rows of ${rows.size} numbers, this model has ${replica.rows.size}; resume with the same shape`);
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
  restoreEncoder(replica, state, part);
  replica.rows.forget(() => true);
  const ids = (puzzles ?? []) as number[];
  let next = 0;
  for (const piece of rows?.pieces() ?? []) {
    for (let at = 0; at < piece.length; at += replica.rows.size) {
      replica.rows.put(ids[next++]!, piece.subarray(at, at + replica.rows.size));
    }
  }
  const draws = Int32Array.from(record.draws as number[]);
  // Another batch size spreads the stream over other rows: go on behind the furthest one.
  if (draws.length === replica.settings.globalBatch) return draws;
  const furthest = draws.reduce((a, b) => Math.max(a, b), 0) * draws.length;
  return new Int32Array(replica.settings.globalBatch).fill(Math.ceil(furthest / replica.settings.globalBatch));
}

/** The encoder of the state; one that the state lacks begins as it is. */
function restoreEncoder({ encoder }: Replica, state: TrainingState["state"], part: (name: string, length: number) => Float32Array): void {
  if (!encoder || !state.has(`${ENCODER_PREFIX}weights`)) return;
  const array = (name: keyof EncoderState): Float32Array => part(ENCODER_PREFIX + name, encoder.encoder.parameterCount);
  encoder.restore({
    ema: array("ema"),
    weights: array("weights"),
    firstMoment: array("firstMoment"),
    secondMoment: array("secondMoment"),
  });
}

/** Element types of a carry's arrays. */
const CARRY_TYPES = {
  steps: "I32",
  halted: "U8",
  inputs: "I32",
  labels: "I32",
  puzzleIds: "I32",
  demonstrations: "I32",
  tokens: "I32",
  zH: "F32",
  zL: "F32",
} as const;
const CARRY_NAMES = Object.keys(CARRY_TYPES) as (keyof CarriedRows)[];

/** What `stageCarry` writes of a replica: its rows of the batch. */
export async function carryPartOf(replica: Replica): Promise<CarryPart> {
  const rows = await replica.carriedRows();
  const R = replica.localBatch;
  const names = CARRY_NAMES.filter((name) => rows[name].length > 0); // no demonstrations without an encoder, no tokens with one canvas
  return new Map(names.map((name) => [name, { dtype: CARRY_TYPES[name], shape: [R, rows[name].length / R], data: rows[name] }]));
}

/**
 * Puts a replica's rows of the batch in place, from saved parts that other ranks may have written.
 *
 * @param parts as `loadCarry` gives them
 * @returns     false where they don't hold all the rows, or rows on other canvases or of another width: these begin new samples then
 */
export async function restoreCarry(replica: Replica, parts: readonly { first: number; part: CarryPart }[]): Promise<boolean> {
  const { first: firstRow } = replica.slice;
  const R = replica.localBatch;
  const rows = await replica.carriedRows();
  const tokens = rows.tokens.slice();
  if (tokens.length === 0 && parts.some(({ part }) => part.has("tokens"))) return false;
  for (const name of CARRY_NAMES) {
    const width = rows[name].length / R;
    if (width === 0) continue;
    let restored = 0;
    for (const { first, part } of parts) {
      const saved = part.get(name);
      if (saved?.dtype !== CARRY_TYPES[name] || saved.shape[1] !== width) return false;
      const data = saved.data as Int32Array;
      for (let r = 0; r < saved.shape[0]!; r++) {
        const at = first + r - firstRow;
        if (at < 0 || at >= R) continue;
        rows[name].set(data.subarray(r * width, (r + 1) * width), at * width);
        restored++;
      }
    }
    if (restored !== R) return false;
  }
  if (rows.tokens.some((count, row) => count !== tokens[row])) return false;
  replica.restoreCarriedRows(rows);
  return true;
}
