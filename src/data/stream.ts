/** The stream of a run's examples: of all tasks, or for each row of a batch of the tasks on its canvas. */
import type { Task } from "../arc/task.ts";
import type { Example } from "../encode/batch.ts";
import type { Group } from "./build.ts";
import { ExampleStream, type StreamOptions } from "./sampler.ts";

/** Canvases of several sizes. */
export interface RowCanvases {
  /** cells a side */
  readonly sides: readonly number[];
  /** place in `sides` */
  ofTask(task: Task): number;
  /** uint8[B]: the same for each row of the batch */
  readonly ofRow: Uint8Array;
}

/** What examples are drawn from. */
export interface OpenStream {
  readonly epochLength: number;
  /** Place n * B + r is row r's n-th example. */
  exampleAt(index: number): Example;
}

/** The stream of these groups. @param canvases one for all, of `options.side`, unless given */
export function openStream(groups: readonly Group[], options: StreamOptions, canvases?: RowCanvases): OpenStream {
  return canvases ? new StreamByCanvas(groups, options, canvases) : new ExampleStream(groups, options);
}

/**
 * A stream for each canvas. Of a batch's rows those on a canvas take its examples in turn, as if they were the whole batch: a canvas whose rows are as
 * many as its pairs ask for goes through its epochs as fast as the others do.
 */
class StreamByCanvas implements OpenStream {
  readonly epochLength: number;
  readonly #ofRow: Uint8Array;
  /** undefined where no row is on a canvas, or no pair */
  readonly #streams: readonly (ExampleStream | undefined)[];
  /** rows on each canvas */
  readonly #counts: readonly number[];
  /** int32[B]: place of each row among those on its canvas */
  readonly #places: Int32Array;

  constructor(groups: readonly Group[], options: StreamOptions, { sides, ofTask, ofRow }: RowCanvases) {
    this.#ofRow = ofRow;
    const counts = sides.map(() => 0);
    this.#places = Int32Array.from(ofRow, (canvas) => counts[canvas]!++);
    this.#counts = counts;
    this.#streams = sides.map((side, canvas) => {
      const own = groups.filter(({ task, train }) => ofTask(task) === canvas && train.length > 0);
      const isDrawn = counts[canvas]! > 0 && own.length > 0;
      return isDrawn ? new ExampleStream(own, { ...options, side, random: options.random.fork(canvas) }) : undefined;
    });
    this.epochLength = this.#streams.reduce((sum, stream) => sum + (stream?.epochLength ?? 0), 0);
  }

  exampleAt(index: number): Example {
    const row = index % this.#ofRow.length;
    const draw = Math.floor(index / this.#ofRow.length);
    const canvas = this.#ofRow[row]!;
    return this.#streams[canvas]!.exampleAt(draw * this.#counts[canvas]! + this.#places[row]!);
  }
}

/** A stream of which some rows draw from another one. @param taught uint8[B]: 1 where they do */
export function withTaughtRows(stream: OpenStream, ofTaught: OpenStream, taught: Uint8Array): OpenStream {
  return {
    epochLength: stream.epochLength,
    exampleAt: (index) => (taught[index % taught.length] ? ofTaught : stream).exampleAt(index),
  };
}
