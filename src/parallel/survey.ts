/** What a pre-training can be asked at a moment: which test inputs and trained pairs have rows to be predicted with, and how alike rows are. */
import type { PretrainingStream } from "../data/pretraining-stream.ts";
import type { PuzzleEmbedding } from "../model/puzzle-embedding.ts";
import { rowSimilarity } from "../model/row-similarity.ts";
import type { Random } from "../random.ts";
import type { PredictionItem, Survey } from "./job.ts";

/** Rows of a task that are compared with others. */
const COMPARED_ROWS = 32;

/** A row in use. */
interface Row {
  readonly group: number;
  readonly variant: number;
  readonly puzzleId: number;
}

/**
 * Which predictions a pre-training's rows can make now. A row that was never trained can't; where rows have lives, one in the first half of its life
 * isn't asked either.
 *
 * @param place  where the stream is
 * @param visits of a row's life, where rows have lives
 */
export function surveyOf(
  { plan, livingRows }: Pick<PretrainingStream, "plan" | "livingRows">,
  rows: PuzzleEmbedding,
  { place, visits, votes, pairs, random }: { place: number; visits: number; votes: number; pairs: number; random: Random },
): Survey {
  const inUse: Row[] = livingRows
    ? livingRows(place).filter((row) => row.visits >= visits / 2 && rows.has(row.puzzleId))
    : plan.groups.flatMap(({ firstPuzzleId, variants }, group) =>
        Array.from({ length: variants.length }, (_, variant) => ({ group, variant, puzzleId: firstPuzzleId + variant })).filter(
          ({ puzzleId }) => rows.has(puzzleId),
        ),
      );
  const byGroup = new Map<number, Row[]>();
  for (const row of inUse) {
    const known = byGroup.get(row.group);
    if (known) known.push(row);
    else byGroup.set(row.group, [row]);
  }
  const tests = [...byGroup].flatMap(([group, known]) =>
    plan.groups[group]!.test.flatMap((_, testIndex) => known.slice(0, votes).map((row): PredictionItem => itemOf(row, testIndex))),
  );
  const trained = Array.from({ length: inUse.length === 0 ? 0 : pairs }, (): PredictionItem => {
    const row = random.pick(inUse);
    return { ...itemOf(row, random.int(0, plan.groups[row.group]!.train.length - 1)), trained: true };
  });
  const compared = [...byGroup.values()].map((known) => known.slice(0, COMPARED_ROWS).map(({ puzzleId }) => rows.gather([puzzleId])));
  return { items: [...tests, ...trained], similarity: rowSimilarity(compared, rows.size) };
}

function itemOf({ group, variant, puzzleId }: Row, testIndex: number): PredictionItem {
  return { task: group, testIndex, variant, puzzleId };
}
