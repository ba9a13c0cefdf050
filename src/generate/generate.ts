/**
 * Tasks and training rules from every kind, with what the sample tasks show kept out of training.
 *
 * Two things keep them apart. Of a kind with at least `LARGE_KIND` rules, one rule in eight is reserved for samples and never handed out
 * for training; smaller kinds share their rules. And of all kinds, one scene in eight is reserved, so that no pair of a sample task is a
 * training pair. Augmenting training pairs (colours, symmetries) can still turn one rule into a reserved one of its kind: what stays
 * unseen is the task, not the idea.
 */
import { equalGrids, type Grid, gridText } from "../arc/grid.ts";
import type { Pair, Task } from "../arc/task.ts";
import { UserError } from "../errors.ts";
import { createRandom, type Random } from "../random.ts";
import { COLOR_KINDS } from "./color.ts";
import { COUNTING_KINDS } from "./counting.ts";
import type { TaskKind, TaskRule } from "./kind.ts";
import { LINE_KINDS } from "./line.ts";
import { MOTION_KINDS } from "./motion.ts";
import { SHAPE_KINDS } from "./shape.ts";
import { SIZE_KINDS } from "./size.ts";
import { SYMMETRY_KINDS } from "./symmetry.ts";

/** Every kind of task. */
export const KINDS: readonly TaskKind[] = [
  ...SYMMETRY_KINDS,
  ...MOTION_KINDS,
  ...COLOR_KINDS,
  ...SHAPE_KINDS,
  ...LINE_KINDS,
  ...SIZE_KINDS,
  ...COUNTING_KINDS,
];

/** Kinds never trained on; each is near to others that are (append-image and tile, roll and move-object, recolor, full-line). */
export const HELD_OUT_KINDS: readonly string[] = ["kaleidoscope", "shift", "remove-color", "cross"];

/** Kinds with fewer rules share them between training and samples. */
export const LARGE_KIND = 16;

/** The kind of a name. @throws UserError if there is none */
export function kindNamed(name: string): TaskKind {
  const kind = KINDS.find((candidate) => candidate.name === name);
  if (kind === undefined)
    throw new UserError(`no kind of task is called ${name}; there are ${KINDS.map((known) => known.name).join(", ")}`);
  return kind;
}

/** Whether a rule is kept out of training so that sample tasks can ask for it. */
export function isReservedRule(kind: TaskKind, rule: TaskRule): boolean {
  return kind.ruleCount >= LARGE_KIND && isOneInEight(`rule ${rule.label}`);
}

/** Whether a scene is kept out of training so that sample tasks can show it. */
export function isReservedScene(input: Grid): boolean {
  return isOneInEight(`scene ${gridText(input)}`);
}

/** The same one in eight of all texts on every machine. */
function isOneInEight(text: string): boolean {
  return createRandom(text).int(0, 7) === 0;
}

/** One rule to train on and an endless supply of its pairs. */
export interface TrainingRule {
  /** name of its kind */
  readonly kind: string;
  /** unique among all rules */
  readonly label: string;
  /** A fresh demonstration; never a scene reserved for samples. */
  pair(random: Random): Pair;
}

/** What `generateRules` is asked for. */
export interface RulesRequest {
  /** names; all that are not held out, if left out */
  readonly kinds?: readonly string[];
  /** rules of each kind; kinds that have fewer give all they have */
  readonly rulesPerKind: number;
  readonly seed: number | string;
}

/**
 * Different rules to pre-train on, none of them reserved for samples.
 *
 * @throws UserError for a name that is no kind, or one that is held out
 */
export function generateRules({ kinds, rulesPerKind, seed }: RulesRequest): TrainingRule[] {
  const names = kinds ?? KINDS.map((kind) => kind.name).filter((name) => !HELD_OUT_KINDS.includes(name));
  return names.flatMap((name) => {
    const kind = kindNamed(name);
    if (HELD_OUT_KINDS.includes(name)) throw new UserError(`kind ${name} is held out from training; leave it out of the kinds to train on`);
    const free = [...kind.rules()].filter((rule) => !isReservedRule(kind, rule));
    return createRandom(seed)
      .fork(name)
      .shuffled(free)
      .slice(0, rulesPerKind)
      .map((rule) => ({
        kind: name,
        label: rule.label,
        pair: (random: Random) => pairWhere(rule, random, (input) => !isReservedScene(input)),
      }));
  });
}

function pairWhere(rule: TaskRule, random: Random, accepted: (input: Grid) => boolean): Pair {
  for (;;) {
    const pair = rule.pair(random);
    if (accepted(pair.input)) return pair;
  }
}

/** What `generateTask` is asked for. */
export interface TaskRequest {
  /** name of the kind */
  readonly kind: string;
  readonly seed: number | string;
  /** demonstrations */
  readonly pairs: number;
  /** test inputs */
  readonly tests: number;
  /** Whether the task uses only what training never shows: reserved scenes and, for large kinds, a reserved rule. */
  readonly reserved?: boolean;
}

/** Kinds with more rules are not searched for rivals: their scenes show every parameter in every pair. */
const MAX_RULES_TRIED = 1000;
/** Test pairs tried for one set of demonstrations before other demonstrations are drawn. */
const MAX_TEST_TRIES = 500;
/** Sets of demonstrations tried before it is given up: most kinds need one or two. */
const MAX_DRAWS = 50;

/**
 * A task of a kind, solutions included. Its demonstrations settle the answers: every colour of a test pair was demonstrated on the same
 * side, and no other rule of any kind fits all demonstrations and answers differently.
 *
 * @returns a task whose id is 8 hex digits made from kind and seed
 * @throws UserError for a name that is no kind
 */
export function generateTask({ kind: name, seed, pairs, tests, reserved = false }: TaskRequest): Task {
  const kind = kindNamed(name);
  const random = createRandom(seed).fork(name);
  const id = random.fork("id").int(0, 0xffffffff).toString(16).padStart(8, "0");
  let rule = kind.draw(random);
  while (reserved && kind.ruleCount >= LARGE_KIND && !isReservedRule(kind, rule)) rule = kind.draw(random);
  const accepted = (input: Grid): boolean => !reserved || isReservedScene(input);

  for (let draws = 0; draws < MAX_DRAWS; draws++) {
    const train: Pair[] = [];
    while (train.length < pairs) addIfNew(train, pairWhere(rule, random, accepted));
    const rivals = rivalsOf(rule, train);
    const test: Pair[] = [];
    for (let tries = 0; tries < MAX_TEST_TRIES && test.length < tests; tries++) {
      const pair = pairWhere(rule, random, accepted);
      const isNew = !train.some((shown) => equalGrids(shown.input, pair.input));
      const settled = rivals.every((rival) => equalGrids(rival.answer(pair.input), pair.output));
      if (isNew && settled && showsColorsOf(train, pair)) addIfNew(test, pair);
    }
    if (test.length === tests) return { id, train, test };
  }
  throw new UserError(
    `${name}: no ${tests} tests were found whose answers ${pairs} demonstrations settle; take fewer --tests, or more --pairs`,
  );
}

function addIfNew(pairs: Pair[], pair: Pair): void {
  if (!pairs.some(({ input }) => equalGrids(input, pair.input))) pairs.push(pair);
}

/** The other rules, of whatever kind, that fit all demonstrations. */
export function rivalsOf(rule: TaskRule, train: readonly Pair[]): TaskRule[] {
  return KINDS.filter((kind) => kind.ruleCount <= MAX_RULES_TRIED)
    .flatMap((kind) => [...kind.rules()])
    .filter((rival) => rival.label !== rule.label && train.every(({ input, output }) => equalGrids(rival.answer(input), output)));
}

/** Whether the demonstrations' inputs hold every colour of a pair's input, and their outputs those of its output. */
function showsColorsOf(train: readonly Pair[], pair: Pair): boolean {
  const shown = (side: "input" | "output"): boolean =>
    pair[side].cells.every((color) => train.some((demonstration) => demonstration[side].cells.includes(color)));
  return shown("input") && shown("output");
}
