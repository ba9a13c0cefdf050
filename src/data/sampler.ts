/** The endless stream of training examples, open at any place. */
import type { Pair } from "../arc/task.ts";
import { swapsAxes } from "../augment/dihedral.ts";
import { drawTranslation, ORIGIN, type Size, type Translation } from "../augment/translation.ts";
import type { Example } from "../encode/batch.ts";
import { pairToExample } from "../encode/canvas.ts";
import { UserError } from "../errors.ts";
import type { Random } from "../random.ts";
import { demonstrateVariant, type Group, variantPair } from "./build.ts";

/** How the pairs of an epoch follow each other. */
export type PairOrder = "grouped" | "shuffled";

export interface StreamOptions {
  /** canvas edge in cells */
  readonly side: number;
  /** the same seed gives the same stream */
  readonly random: Random;
  /** `grouped` (default): a task's pairs one after the other, as in the released loader; `shuffled`: pairs of all tasks mixed */
  readonly order?: PairOrder;
  /** whether pairs are shifted on the canvas; true by default */
  readonly translate?: boolean;
  /** epochs kept ready; as many as take 32 MB unless given */
  readonly cachedEpochs?: number;
}

/**
 * Rows of a batch take samples of different lengths, so in a long training they draw from epochs that lie apart: hundreds of them with several ACT
 * steps. One that is not kept is drawn again, all of it, for a single example.
 */
const CACHE_BYTES = 32e6;
const EPOCH_OVERHEAD = 500;

/** What an example is made of. */
export interface Draw {
  readonly group: Group;
  /** 0 is the original */
  readonly variant: number;
  /** place in `group.train` */
  readonly pair: number;
  readonly at: Translation;
  readonly puzzleId: number;
}

/** One epoch's draws. */
interface Epoch {
  /** int32[epochLength]: places in the list of all pairs */
  readonly order: Int32Array;
  /** int32[groups] */
  readonly variants: Int32Array;
  /** uint8[2 * all pairs]: row and column of each pair's shift */
  readonly shifts: Uint8Array;
}

/**
 * An endless sequence of epochs, in each of which every training pair of every task comes exactly once, in one random variant for each task.
 *
 * What an epoch holds depends on the seed and the epoch's number alone, so that any process may open the stream anywhere: row r of a batch of B
 * rows takes `exampleAt(n * B + r)` as its n-th example, however the rows are spread over processes.
 *
 * Shifts: in every epoch one random pair of each task lies at the canvas's top left, where test inputs lie; every other pair gets a random shift
 * that keeps both its grids on the canvas, all equally likely. That is the released builder's rule, but the shifts are drawn anew in each epoch
 * rather than once for each variant. The released loader also drops the pairs that are left when a batch is full; here none is dropped.
 */
export class ExampleStream {
  /** training pairs of all tasks together */
  readonly epochLength: number;
  readonly #groups: readonly Group[];
  readonly #options: Required<StreamOptions>;
  /** int32[groups]: where a group's pairs start in the list of all pairs */
  readonly #starts: Int32Array;
  /** int32[epochLength]: the group of each pair */
  readonly #groupOf: Int32Array;
  readonly #epochs = new Map<number, Epoch>();

  /** @throws UserError where no task has a pair to train on */
  constructor(groups: readonly Group[], options: StreamOptions) {
    this.#groups = groups;
    this.#starts = new Int32Array(groups.length);
    let pairs = 0;
    groups.forEach((group, g) => {
      this.#starts[g] = pairs;
      pairs += group.train.length;
    });
    this.epochLength = pairs;
    if (this.epochLength === 0) throw new UserError(`no pairs to train on in ${groups.length} tasks; give tasks with demonstrations`);
    const bytes = EPOCH_OVERHEAD + 6 * pairs + 4 * groups.length;
    this.#options = { order: "grouped", translate: true, cachedEpochs: Math.max(64, Math.floor(CACHE_BYTES / bytes)), ...options };
    this.#groupOf = new Int32Array(this.epochLength);
    groups.forEach((group, g) => {
      this.#groupOf.fill(g, this.#starts[g]!, this.#starts[g]! + group.train.length);
    });
  }

  /** The example at a place of the stream: epoch * epochLength + place in the epoch. */
  exampleAt(index: number): Example {
    const { group, variant, pair, at, puzzleId } = this.drawAt(index);
    const { side, random } = this.#options;
    const asked = group.train[pair]!;
    const demonstrate = demonstrateVariant(group, variant, asked, side, () => random.fork("demonstrations").fork(index));
    return { ...pairToExample(variantPair(group, variant, asked), side, at, puzzleId), demonstrate };
  }

  /** What the example at a place of the stream is made of. */
  drawAt(index: number): Draw {
    if (!(Number.isSafeInteger(index) && index >= 0)) throw new RangeError(`no place ${index} in a stream`);
    const epoch = this.#epoch(Math.floor(index / this.epochLength));
    const place = epoch.order[index % this.epochLength]!;
    const g = this.#groupOf[place]!;
    const group = this.#groups[g]!;
    const variant = epoch.variants[g]!;
    return {
      group,
      variant,
      pair: place - this.#starts[g]!,
      at: { row: epoch.shifts[2 * place]!, col: epoch.shifts[2 * place + 1]! },
      puzzleId: group.firstPuzzleId + variant,
    };
  }

  /** An epoch from the cache, or made; the one that was not used for longest gives way. */
  #epoch(number: number): Epoch {
    const epoch = this.#epochs.get(number) ?? this.#drawEpoch(this.#options.random.fork("epoch").fork(number));
    this.#epochs.delete(number);
    this.#epochs.set(number, epoch);
    if (this.#epochs.size > this.#options.cachedEpochs) this.#epochs.delete(this.#epochs.keys().next().value!);
    return epoch;
  }

  #drawEpoch(random: Random): Epoch {
    const { order, translate, side } = this.#options;
    const variants = Int32Array.from(this.#groups, (group) => random.int(0, group.variants.length - 1));
    const shifts = new Uint8Array(2 * this.epochLength);
    const places: number[] = [];
    for (const g of random.shuffled(Array.from(this.#groups.keys()))) {
      const group = this.#groups[g]!;
      const swapped = swapsAxes(group.variants.dihedral(variants[g]!));
      const pairs = random.shuffled(Array.from(group.train.keys()));
      const unshifted = group.train.length === 0 ? -1 : random.pick(pairs);
      for (const pair of pairs) {
        const place = this.#starts[g]! + pair;
        const at = translate && pair !== unshifted ? drawTranslation(random, sizesOf(group.train[pair]!, swapped), side) : ORIGIN;
        shifts[2 * place] = at.row;
        shifts[2 * place + 1] = at.col;
        places.push(place);
      }
    }
    return { order: Int32Array.from(order === "shuffled" ? random.shuffled(places) : places), variants, shifts };
  }
}

/** Sizes of a pair's grids, after a symmetry that may swap their axes. */
function sizesOf({ input, output }: Pair, swapped: boolean): Size[] {
  return [input, output].map(({ rows, cols }) => (swapped ? { rows: cols, cols: rows } : { rows, cols }));
}
