/** A worker's side of a latent search: where the rows that compete begin, what they are trained on, and what is left of them once starts were chosen. */
import { isCode } from "../data/augmentation-codes.ts";
import type { Group, PuzzlePlan } from "../data/build.ts";
import { competingVariants, competitorId, competitorOf, competitors } from "../data/competitors.ts";
import { PuzzleIds } from "../data/puzzle-ids.ts";
import { type OpenStream, openStream, type RowCanvases } from "../data/stream.ts";
import type { Example } from "../encode/batch.ts";
import { UserError } from "../errors.ts";
import type { PuzzleEmbedding, RowStart } from "../model/puzzle-embedding.ts";
import type { Random } from "../random.ts";

/** Ids travel as float32, which holds whole numbers up to this. */
const MAX_ID = 2 ** 24;

/** A starting point of rows. */
export interface StartingPoint {
  readonly start: RowStart;
  /** drawn once for each task and shared by its variants, so that the draw which does best can be kept */
  readonly ofTask: boolean;
}

/** Which start each task's rows have, by its place; undefined as long as rows compete. */
export class Competition {
  chosen: readonly number[] | undefined;
  readonly #plan: PuzzlePlan;
  readonly #ids: PuzzleIds;
  readonly #places: ReadonlyMap<Group, number>;
  readonly #points: readonly StartingPoint[];
  readonly #stream: OpenStream;

  /**
   * @param plan   of all tasks
   * @param points the starting points, one for each competing row of a variant
   * @param groups those that are trained on here
   * @throws UserError where there would be more rows than can be told apart
   */
  constructor(
    plan: PuzzlePlan,
    points: readonly StartingPoint[],
    {
      groups,
      side,
      canvases,
      translate,
      factored,
      random,
    }: {
      groups: readonly Group[];
      side: number;
      canvases?: RowCanvases | undefined;
      translate: boolean;
      factored?: boolean | undefined;
      random: Random;
    },
  ) {
    const rows = plan.puzzleCount * points.length;
    if (rows > MAX_ID)
      throw new UserError(`${points.length} starts for ${plan.puzzleCount} variants are too many rows; lower --search-starts`);
    this.#plan = plan;
    this.#ids = new PuzzleIds(plan);
    this.#places = new Map(plan.groups.map((group, place) => [group, place]));
    this.#points = points;
    const rivals = competitors(groups, points.length, plan.puzzleCount, competingVariants(factored));
    this.#stream = openStream(rivals, { side, translate, random, order: "shuffled" }, canvases);
  }

  /** An example for rows that compete; not wanted any more once starts were chosen. */
  exampleAt(index: number): Example {
    return this.#stream.exampleAt(index);
  }

  /** Where a row begins: a competing one at its own start, any other at the one that was chosen for its task. */
  readonly rowStart: RowStart = (id, out) => {
    const { puzzleId, start: own } = competitorOf(id, this.#plan.puzzleCount);
    const group = this.#ids.variant(puzzleId)?.group;
    const start = this.chosen && own === 0 && group ? this.chosen[this.#places.get(group)!]! : own;
    const point = this.#points[start]!;
    point.start(point.ofTask && group ? competitorId(group.firstPuzzleId, start, this.#plan.puzzleCount) : puzzleId, out);
  };

  /** Keeps each task's rows of the start that was chosen, where they have come to by now, and forgets the others. */
  choose(chosen: readonly number[], rows: PuzzleEmbedding): void {
    const kept: [number, Float32Array][] = [];
    for (const id of rows.touched()) {
      if (isCode(id)) kept.push([id, rows.gather([id])]); // they are every start's
      if (isCode(id)) continue;
      const { puzzleId, start } = competitorOf(id, this.#plan.puzzleCount);
      const group = this.#ids.variant(puzzleId)?.group;
      if (group && chosen[this.#places.get(group)!] === start) kept.push([puzzleId, rows.gather([id])]);
    }
    rows.forget(() => true);
    this.chosen = chosen;
    for (const [puzzleId, row] of kept) rows.put(puzzleId, row);
  }
}
