/** What a pre-training can be asked at a moment: which test inputs and trained pairs have rows to be predicted with, and how alike rows are. */
import type { PuzzlePlan } from "../data/build.ts";
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

export interface SurveyOptions {
  /** where the stream is */
  readonly place: number;
  /** of a row's life, where rows have lives */
  readonly visits: number;
  /** variants of each test at most */
  readonly votes: number;
  /** of those trained on, in all */
  readonly pairs: number;
  /** an encoder is trained, which can make a row for any variant */
  readonly encodes?: boolean | undefined;
  readonly random: Random;
}

/**
 * Which predictions a pre-training's rows can make now. A row that was never trained can't; where rows have lives, one in the first half of its life
 * isn't asked either.
 *
 */
export function surveyOf(
  { plan, livingRows }: Pick<PretrainingStream, "plan" | "livingRows">,
  rows: PuzzleEmbedding,
  { place, visits, votes, pairs, encodes, random }: SurveyOptions,
): Survey {
  const isTrained = (puzzleId: number): boolean => rows.has(rows.partsOf(puzzleId)[0]!);
  const inUse: Row[] = livingRows
    ? livingRows(place).filter((row) => row.visits >= visits / 2 && isTrained(row.puzzleId))
    : plan.groups.flatMap(({ firstPuzzleId, variants }, group) =>
        Array.from({ length: variants.length }, (_, variant) => ({ group, variant, puzzleId: firstPuzzleId + variant })).filter(
          ({ puzzleId }) => isTrained(puzzleId),
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
  const compared = [...byGroup.values()].map((known) =>
    known.slice(0, COMPARED_ROWS).map(({ puzzleId }) => rows.embeddings([puzzleId], true)),
  );
  const encoded = encodes ? encodedItems(plan, { votes, pairs, random }) : [];
  return { items: [...tests, ...trained, ...encoded], similarity: rowSimilarity(compared, rows.size) };
}

/** What an encoder can be asked: every test under the first variants, and pairs that are trained on beside the others of their task. */
function encodedItems(
  { groups }: PuzzlePlan,
  { votes, pairs, random }: Pick<SurveyOptions, "votes" | "pairs" | "random">,
): PredictionItem[] {
  const tests = groups.flatMap(({ test, variants }, task) =>
    Array.from({ length: Math.min(votes, variants.length) }, (_, variant) =>
      test.map((_pair, testIndex): PredictionItem => ({ task, testIndex, variant, encoded: true })),
    ).flat(),
  );
  const trained = Array.from({ length: groups.length === 0 ? 0 : pairs }, (): PredictionItem => {
    const task = random.int(0, groups.length - 1);
    const { train, variants } = groups[task]!;
    const [testIndex, variant] = [random.int(0, train.length - 1), random.int(0, variants.length - 1)];
    return { task, testIndex, variant, trained: true, encoded: true };
  });
  return [...tests, ...trained];
}

function itemOf({ group, variant, puzzleId }: Row, testIndex: number): PredictionItem {
  return { task: group, testIndex, variant, puzzleId };
}
