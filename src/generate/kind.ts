/** What a kind of task is: parameters that a task fixes, scenes that show them, and the rule from scene to answer. */
import { equalGrids, type Grid } from "../arc/grid.ts";
import type { Pair } from "../arc/task.ts";
import type { Random } from "../random.ts";

/** A family of tasks that share one idea. */
export interface TaskKind {
  readonly name: string;
  /** the idea in one sentence */
  readonly about: string;
  /** how many different rules the kind has */
  readonly ruleCount: number;
  /** A rule of this kind, all equally likely. */
  draw(random: Random): TaskRule;
  /** Every rule of this kind, in a fixed order. */
  rules(): Iterable<TaskRule>;
}

/** A kind whose parameters are fixed: what all pairs of one task have in common. */
export interface TaskRule {
  /** unique text for kind and parameters */
  readonly label: string;
  /** One demonstration of a fresh scene; its output differs from its input. */
  pair(random: Random): Pair;
  /** What the rule makes of a scene of its kind. */
  answer(input: Grid): Grid;
}

/** A value that a parameter can take. */
export type ParameterValue = string | number | readonly number[];
/** The values each parameter of a kind can take. */
export type ParameterLists = Readonly<Record<string, readonly ParameterValue[]>>;
/** One value for each parameter. */
export type Chosen<Lists extends ParameterLists> = { readonly [Name in keyof Lists]: Lists[Name][number] };

/** What `defineKind` needs to know. */
export interface KindDefinition<Lists extends ParameterLists> {
  readonly name: string;
  readonly about: string;
  readonly parameters: Lists;
  /** Which combinations of values make a rule; all, if left out. */
  readonly allowed?: (chosen: Chosen<Lists>) => boolean;
  /** A scene that shows the rule at work; undefined where the draw went wrong and should be made again. */
  readonly scene: (random: Random, chosen: Chosen<Lists>) => Grid | undefined;
  /** Must not throw for a scene of another rule or kind: rules are told apart by trying them on each other's scenes. */
  readonly answer: (input: Grid, chosen: Chosen<Lists>) => Grid;
}

/** Far more than any kind needs; reaching it means that a kind's scenes never show its rule. */
const MAX_TRIES = 10_000;

/** A kind from its parameter lists, its scenes and its rule. */
export function defineKind<const Lists extends ParameterLists>(definition: KindDefinition<Lists>): TaskKind {
  const { name, about, parameters, allowed = () => true, scene, answer } = definition;
  const names = Object.keys(parameters);

  const ruleOf = (chosen: Chosen<Lists>): TaskRule => ({
    label: [name, ...names.map((parameter) => `${parameter}=${String(chosen[parameter])}`)].join(" "),
    pair: (random) => {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const input = scene(random, chosen);
        if (input === undefined) continue;
        const output = answer(input, chosen);
        if (!equalGrids(input, output)) return { input, output };
      }
      throw new Error(`kind ${name}: no scene in ${MAX_TRIES} tries`);
    },
    answer: (input) => answer(input, chosen),
  });

  function* combinations(): Iterable<Chosen<Lists>> {
    const count = names.reduce((product, parameter) => product * parameters[parameter]!.length, 1);
    for (let index = 0; index < count; index++) {
      let rest = index;
      const chosen: Record<string, ParameterValue> = {};
      for (const parameter of names) {
        const values = parameters[parameter]!;
        chosen[parameter] = values[rest % values.length]!;
        rest = Math.floor(rest / values.length);
      }
      if (allowed(chosen as Chosen<Lists>)) yield chosen as Chosen<Lists>;
    }
  }

  let ruleCount: number | undefined; // counted when first asked for: some kinds have ten thousand
  return {
    name,
    about,
    get ruleCount() {
      ruleCount ??= Array.from(combinations()).length;
      return ruleCount;
    },
    draw: (random) => {
      for (;;) {
        const chosen = Object.fromEntries(names.map((parameter) => [parameter, random.pick(parameters[parameter]!)])) as Chosen<Lists>;
        if (allowed(chosen)) return ruleOf(chosen);
      }
    },
    *rules() {
      for (const chosen of combinations()) yield ruleOf(chosen);
    },
  };
}
