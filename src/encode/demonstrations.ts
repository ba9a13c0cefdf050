/** Demonstrations as the encoder sees them: pairs of canvases that show what is asked. */
import { equalGrids } from "../arc/grid.ts";
import type { Pair } from "../arc/task.ts";
import type { Random } from "../random.ts";
import { writeGridToCanvas } from "./canvas.ts";

/**
 * int32[n * 2 * tokens]: input and output of n pairs, one canvas after the other, each grid at the top left. A pair that begins with
 * `NO_PAIR` is none: it fills up the room of pairs that there are not.
 */
export type Demonstrations = Int32Array;

/** Demonstrations of what an example asks, never the pair it asks about. @param atMost pairs wanted; fewer where there are no more */
export type Demonstrate = (atMost: number) => Demonstrations;

/** Stands in the place of tokens where there is no pair. */
export const NO_PAIR = -1;

/** Stands in the place of a puzzle id where the encoder makes the row. */
export const ENCODED = -1;

/** Puts demonstrations into the room of as many pairs as the encoder sees, and none into what is left of it. */
export function fillDemonstrations(room: Demonstrations, demonstrations: Demonstrations | undefined): void {
  room.fill(NO_PAIR);
  if (demonstrations) room.set(demonstrations.subarray(0, room.length));
}

/** Pairs on canvases. @param side canvas edge in cells */
export function layDemonstrations(pairs: readonly Pair[], side: number): Demonstrations {
  const tokens = side * side;
  const laid = new Int32Array(pairs.length * 2 * tokens);
  pairs.forEach(({ input, output }, i) => {
    writeGridToCanvas(laid, 2 * i * tokens, input, side);
    writeGridToCanvas(laid, (2 * i + 1) * tokens, output, side);
  });
  return laid;
}

/** The pairs that may be shown where one is asked about: all others, but for those with the same input. */
export function othersThan(asked: Pair, pairs: readonly Pair[]): Pair[] {
  return pairs.filter((pair) => pair !== asked && !equalGrids(pair.input, asked.input));
}

/** At most so many of the pairs: all of them in their order, or as many drawn at random. */
export function drawPairs(pairs: readonly Pair[], atMost: number, random: Random): readonly Pair[] {
  return pairs.length <= atMost ? pairs : random.shuffled(pairs).slice(0, atMost);
}
