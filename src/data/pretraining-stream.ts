/** What a pre-training sees: real tasks in many variants, generated tasks, or both mixed; each with a row of its own or with rows that change. */
import type { Task } from "../arc/task.ts";
import { drawTranslation, ORIGIN } from "../augment/translation.ts";
import type { Example } from "../encode/batch.ts";
import { pairToExample } from "../encode/canvas.ts";
import type { Demonstrate } from "../encode/demonstrations.ts";
import { UserError } from "../errors.ts";
import { generateRules, type TrainingRule } from "../generate/generate.ts";
import type { Random } from "../random.ts";
import { codesOf, factoredParts, isCode } from "./augmentation-codes.ts";
import { demonstrateVariant, type Group, type PuzzlePlan, planPuzzles, variantPair } from "./build.ts";
import { demonstrateRule, GeneratedStream, ruleExample } from "./generated-stream.ts";
import { type Holder, LIFE_VARIANTS, LivesStream, type RowLives, type TaskVariant } from "./lives.ts";
import { ExampleStream } from "./sampler.ts";

export interface PretrainingData {
  /** demonstrations are trained on, and tests whose answer is known; empty where generated tasks are all there is */
  readonly tasks: readonly Task[];
  /** tasks whose demonstrations alone are trained on; their tests have no answers here */
  readonly evaluated?: readonly Task[] | undefined;
  /** augmented variants of each task besides the original */
  readonly variants: number;
  /** whether pairs are shifted on the canvas */
  readonly translate: boolean;
  /** generated tasks, none unless given */
  readonly generated?:
    | { readonly kinds?: readonly string[] | undefined; readonly rulesPerKind: number; readonly seed: number | string }
    | undefined;
  /** share of generated examples; with `lives`, of rows that stand for a generated task. Has no say where there is one sort of tasks only */
  readonly generatedShare: number;
  /** rows change what they stand for; each variant and rule keeps its row unless given */
  readonly lives?: RowLives | undefined;
  /** a row for each task and codes of what a variant changes; a row for each variant unless given */
  readonly factored?: boolean | undefined;
}

/** A row with a life that stands for a variant of a real task now. */
export interface LivingRow extends TaskVariant {
  readonly puzzleId: number;
  /** examples that it came in */
  readonly visits: number;
}

/** A stream that is open at any place; what lies there depends on the seed and the place alone. */
export interface PretrainingStream {
  readonly epochLength: number;
  exampleAt(index: number): Example;
  /** Whether no place from `index` on asks for a row; given where rows have lives. */
  isOver?(puzzleId: number, index: number): boolean;
  /** Rows that stand for variants of real tasks at a place, with their age in visits; given where rows have lives. */
  livingRows?(index: number): LivingRow[];
  /** What the task of a row shows, all of it; given where rows have lives. */
  demonstrateRow?(puzzleId: number): Demonstrate;
  /** The real task that a row stands for; undefined for generated ones. Given where rows have lives; of others the plan knows. */
  taskOf?(puzzleId: number): string | undefined;
  /** The rows whose sum is a puzzle's embedding, where embeddings are factored. */
  partsOf?(puzzleId: number): readonly number[];
  /** of the real tasks: `tasks`, then those that are evaluated on */
  readonly plan: PuzzlePlan;
}

/**
 * Opens the stream.
 *
 * @param side canvas edge in cells; every grid must fit
 * @throws UserError where there is nothing to train on
 */
export function openPretraining(data: PretrainingData, { side, random }: { side: number; random: Random }): PretrainingStream {
  const { tasks, evaluated = [], variants, translate, generated, generatedShare, lives } = data;
  const rules = generated ? rulesOf(generated) : [];
  const subsets = [
    { tasks, trainOnTests: true },
    { tasks: evaluated, trainOnTests: false },
  ];
  const plan = planPuzzles(subsets, { variants, random: random.fork("plan") });
  const { groups } = plan;
  if (groups.length + rules.length === 0) throw new UserError("there is no task to pre-train on; give --tasks or generated kinds");
  const options = { side, translate };
  const share = groups.length === 0 ? 1 : rules.length === 0 ? 0 : generatedShare;
  if (lives) {
    const { factored = false } = data;
    const ofRule = ruleHolders(rules, { ...options, factored });
    const draw = (life: Random): Holder =>
      share === 1 || (share > 0 && life.uniform() < share) ? ofRule(life) : taskHolder(groups, { ...options, factored }, life);
    const stream = new LivesStream(lives, draw, random.fork("generated"));
    return {
      epochLength: stream.epochLength,
      exampleAt: (index) => stream.exampleAt(index),
      isOver: (row, index) => !isCode(row) && stream.isOver(row, index),
      livingRows: (index) =>
        stream.holdersAt(index).flatMap(({ puzzleId, holder, visit }) => {
          return holder.of ? [{ ...holder.of, puzzleId: factored ? variantOfLife(puzzleId, 0) : puzzleId, visits: visit }] : [];
        }),
      demonstrateRow: (puzzleId) => stream.holderOf(puzzleId).demonstrate,
      taskOf: (row) => {
        const of = isCode(row) ? undefined : stream.holderOf(row).of;
        return of && groups[of.group]!.task.id;
      },
      ...(factored && { partsOf: (puzzleId: number) => partsOfLife(puzzleId, groups, (row) => stream.holderOf(row)) }),
      plan,
    };
  }
  const parts: MixedPart[] = [];
  if (share > 0) parts.push({ share, stream: new GeneratedStream(rules, options, random.fork("generated"), plan.puzzleCount) });
  if (share < 1) {
    const stream = new ExampleStream(groups, { side, random: random.fork("stream"), order: "shuffled", translate });
    parts.push({ share: 1 - share, stream });
  }
  return { ...mix(parts, random.fork("mix")), plan, ...(data.factored && { partsOf: factoredParts(plan) }) };
}

/** Puzzle id of a row that stands for a task, under the variant in a place of its list. @throws UserError where that is no number that can be told */
function variantOfLife(row: number, place: number): number {
  const id = row * LIFE_VARIANTS + place;
  if (isCode(id))
    throw new UserError("rows have had too many lives to be told apart; go on with --from the checkpoint, in a new training state");
  return id;
}

/** The rows whose sum is the embedding of a row's task under one of its variants: the row, and the codes. */
function partsOfLife(puzzleId: number, groups: readonly Group[], holderOf: (row: number) => Holder): number[] {
  const row = Math.floor(puzzleId / LIFE_VARIANTS);
  const { of, variants } = holderOf(row);
  return of ? [row, ...codesOf(groups[of.group]!.variants.at(variants![puzzleId % LIFE_VARIANTS]!))] : [row];
}

/** The generated tasks that a pre-training is given. */
export function rulesOf({ kinds, rulesPerKind, seed }: NonNullable<PretrainingData["generated"]>): TrainingRule[] {
  return generateRules({ ...(kinds && { kinds }), rulesPerKind, seed });
}

/** Gives a life a rule of a random kind. */
function ruleHolders(rules: readonly TrainingRule[], options: HolderOptions): (life: Random) => Holder {
  const byKind = [...new Set(rules.map(({ kind }) => kind))].map((kind) => rules.filter((rule) => rule.kind === kind));
  return (life) => {
    const rule = life.pick(life.pick(byKind));
    return {
      demonstrate: demonstrateRule(rule, undefined, options.side, life.fork("demonstrations")),
      exampleAt: (_, random, row) => ruleExample(rule, options, random, options.factored ? variantOfLife(row, 0) : row),
    };
  };
}

interface HolderOptions {
  readonly side: number;
  readonly translate: boolean;
  /** a life stands for a task, not for a variant */
  readonly factored: boolean;
}

/**
 * Gives a life a random variant of a random task, or that task under some random variants. Its pairs come in rounds, each round in its own order; one
 * pair of each is not shifted.
 */
function taskHolder(groups: readonly Group[], { side, translate, factored }: HolderOptions, life: Random): Holder {
  const place = life.int(0, groups.length - 1);
  const group = groups[place]!;
  const drawn = Array.from({ length: factored ? LIFE_VARIANTS : 1 }, () => life.int(0, group.variants.length - 1));
  const count = group.train.length;
  return {
    of: { group: place, variant: drawn[0]! },
    variants: drawn,
    demonstrate: demonstrateVariant(group, drawn[0]!, undefined, side, () => life.fork("demonstrations")),
    exampleAt: (visit, random, row) => {
      const seen = factored ? random.fork("variant").int(0, LIFE_VARIANTS - 1) : 0;
      const variant = drawn[seen]!;
      const puzzleId = factored ? variantOfLife(row, seen) : row;
      const order = life.fork(Math.floor(visit / count)).shuffled(group.train);
      const asked = order[visit % count]!;
      const pair = variantPair(group, variant, asked);
      const shifted = translate && visit % count > 0;
      const at = shifted ? drawTranslation(random, [pair.input, pair.output], side) : ORIGIN;
      const demonstrate = demonstrateVariant(group, variant, asked, side, () => random.fork("demonstrations"));
      return { ...pairToExample(pair, side, at, puzzleId), demonstrate };
    },
  };
}

interface MixedPart {
  readonly share: number;
  readonly stream: { readonly epochLength: number; exampleAt(index: number): Example };
}

/** Places of a mixture are given out in blocks of this many. */
const BLOCK = 100;

/** Two streams mixed: in every block of places each has its share of them, at random. */
function mix(parts: readonly MixedPart[], random: Random): { epochLength: number; exampleAt(index: number): Example } {
  const [first, second] = parts;
  if (!second) return { epochLength: first!.stream.epochLength, exampleAt: (index) => first!.stream.exampleAt(index) };
  const ofFirst = Math.min(BLOCK - 1, Math.max(1, Math.round(first!.share * BLOCK)));
  const places = Array.from({ length: BLOCK }, (_, place) => place);
  return {
    epochLength: Math.round(second.stream.epochLength / second.share),
    exampleAt: (index) => {
      const block = Math.floor(index / BLOCK);
      const place = random.fork(block).shuffled(places)[index % BLOCK]!;
      return place < ofFirst
        ? first!.stream.exampleAt(block * ofFirst + place)
        : second.stream.exampleAt(block * (BLOCK - ofFirst) + place - ofFirst);
    },
  };
}
