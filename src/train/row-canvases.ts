/** The canvases that a replica's rows are on: one, or several sizes of them. */
import { rowsTogether } from "../budget/memory.ts";
import { headSize, type ModelConfig } from "../model/config.ts";
import { type RotaryTables, rotaryTables } from "../model/rotary.ts";

/** Where rows of the batch are on canvases of different sizes. */
export interface Canvases {
  /** int32[T * ropeAxes] rotary positions on each, in ascending order of size */
  readonly positions: readonly Int32Array[];
  /** uint8[B]: which of them each row of the global batch is on */
  readonly ofRow: Uint8Array;
}

/** A canvas that rows are on. */
export interface Canvas {
  /** S */
  readonly tokens: number;
  /** T: prefix and canvas */
  readonly positions: number;
  readonly rotary: RotaryTables;
  /** rows that go through the model together at most while training */
  readonly together: number;
  /** the same of a prediction, as many on every canvas, for so many are asked for at a time; fewer once memory ran out */
  predictedTogether: number;
}

/** What fixes them. */
interface CanvasSettings {
  readonly model: ModelConfig;
  /** int32[T * ropeAxes] rotary positions on the largest */
  readonly positions: Int32Array;
  readonly canvases?: Canvases | undefined;
  /** rows that go through the model together at most on the largest */
  readonly microBatch: number;
}

/** The canvases of a replica. Rows on a smaller one go through the model in parts of as many positions as on the largest, if they are so many. */
export function canvasesOf({ model, positions: largest, canvases, microBatch }: CanvasSettings): Canvas[] {
  const axes = model.ropeAxes ?? 1;
  return (canvases?.positions ?? [largest]).map((each): Canvas => {
    const positions = each.length / axes;
    const together = rowsTogether(microBatch, largest.length, each.length);
    const rotary = rotaryTables(each, headSize(model), model.ropeTheta, axes);
    return { tokens: positions - model.prefixLength, positions, rotary, together, predictedTogether: microBatch };
  });
}

export type RowArray = Int32Array | Uint8Array | Float32Array;

/** A copy with the rows in another order. @param order which row comes in each place */
export function takeRows<A extends RowArray>(rows: A, order: readonly number[]): A {
  const width = rows.length / Math.max(1, order.length);
  const taken = rows.slice() as A;
  order.forEach((from, to) => {
    if (from !== to) taken.set(rows.subarray(from * width, (from + 1) * width), to * width);
  });
  return taken;
}

/** The first tokens of each of some rows: a view where that is all of them. @param stride tokens from row to row */
export function firstTokens(
  rows: Int32Array,
  stride: number,
  { first, count, tokens }: { first: number; count: number; tokens: number },
): Int32Array {
  if (tokens === stride) return rows.subarray(first * stride, (first + count) * stride);
  const own = new Int32Array(count * tokens);
  for (let r = 0; r < count; r++) own.set(rows.subarray((first + r) * stride, (first + r) * stride + tokens), r * tokens);
  return own;
}
