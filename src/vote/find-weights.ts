/** What several systems are worth beside each other: weights of their votes, found on tasks with solutions, and what each adds. */
import { gridKey } from "../arc/grid.ts";
import type { Solutions } from "../arc/solutions-json.ts";
import { createRandom } from "../random.ts";
import { type RankedAnswers, strengthOf } from "./rank.ts";

/** Weights are tried in these steps around equal strength; 0 leaves a system out. */
const STEPS = [0, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8];
/** Parts that the tasks are cut into for cross-validation. */
const FOLDS = 5;
/** Attempts that count. */
const ATTEMPTS = 2;

/** One test input: the different answers to it that could be handed in, and what each system says of them. */
interface Input {
  readonly task: string;
  readonly answers: readonly { readonly key: string; readonly votes: Float64Array; readonly q: Float64Array }[];
  /** place of the truth among the answers; -1 where no system has it */
  readonly truth: number;
  /** place of the truth in each system's own list, from 0; infinite where it is not there */
  readonly places: readonly number[];
  /** systems that have an answer */
  readonly has: readonly boolean[];
}

/** Systems on tasks with solutions. */
export interface Contest {
  readonly inputs: readonly Input[];
  readonly systems: number;
  /** votes that each system has on a test input in the mean: what makes their votes equally strong */
  readonly meanVotes: readonly number[];
}

/** Test inputs that are solved, of `testInputs`. */
export interface Solved {
  readonly within1: number;
  readonly within2: number;
}

/** What was found of systems. */
export interface Weighing {
  readonly tasks: number;
  readonly testInputs: number;
  /** the files' weights, as `--weights` takes them: those found where they hold on other tasks, else those of equal strength */
  readonly weights: readonly number[];
  /** whether the weights found did better on tasks that they were not found on than equal ones */
  readonly holds: boolean;
  readonly equal: Solved;
  readonly found: Solved & { readonly weights: readonly number[] };
  /** solved by weights that were found on the other parts of the tasks */
  readonly crossValidated: Solved;
  readonly folds: number;
  /** test inputs whose truth is among the first two of some system */
  readonly oracle: number;
  readonly systems: readonly SystemWorth[];
}

/** What one system is worth. */
export interface SystemWorth {
  readonly alone: Solved;
  /** test inputs with the truth among its first two, and among no other's */
  readonly only: number;
  /** cross-validated test inputs solved with all systems less those solved without this one, and the standard error of that; none for a single system */
  readonly adds: { readonly inputs: number; readonly error: number } | undefined;
}

/** The systems' answers to the test inputs that have a solution and that at least one of them answers. */
export function contestOf(systems: readonly RankedAnswers[], solutions: Solutions): Contest {
  const inputs = [...solutions].flatMap(([task, truths]) =>
    systems.some((answers) => answers.has(task))
      ? truths.map((truth, i) =>
          inputOf(
            task,
            gridKey(truth),
            systems.map((answers) => answers.get(task)?.[i] ?? []),
          ),
        )
      : [],
  );
  const meanVotes = systems.map((_, system) => {
    const totals = inputs
      .filter(({ has }) => has[system])
      .map(({ answers }) => answers.reduce((sum, { votes }) => sum + votes[system]!, 0));
    return totals.length === 0 ? 1 : totals.reduce((a, b) => a + b, 0) / totals.length;
  });
  return { inputs, systems: systems.length, meanVotes };
}

function inputOf(task: string, truthKey: string, lists: readonly (readonly RankedAnswerOf[])[]): Input {
  const answers = new Map<string, { key: string; votes: Float64Array; q: Float64Array }>();
  const usable = lists.map((list) => list.filter(({ grid }) => grid.rows > 0).map((answer) => ({ ...answer, key: gridKey(answer.grid) })));
  for (const [system, list] of usable.entries()) {
    for (const { key, meanQ, ...counted } of list) {
      const votes = strengthOf(counted);
      const answer = answers.get(key) ?? { key, votes: new Float64Array(lists.length), q: new Float64Array(lists.length) };
      answers.set(key, answer);
      answer.votes[system]! += votes;
      answer.q[system]! += votes * meanQ;
    }
  }
  const places = usable.map((list) => {
    const place = [...new Set(list.map(({ key }) => key))].indexOf(truthKey);
    return place < 0 ? Number.POSITIVE_INFINITY : place;
  });
  const all = [...answers.values()];
  return { task, answers: all, truth: all.findIndex(({ key }) => key === truthKey), places, has: usable.map((list) => list.length > 0) };
}
type RankedAnswerOf = RankedAnswers extends ReadonlyMap<string, readonly (readonly (infer Answer)[])[]> ? Answer : never;

/** Place of the truth, from 0, where votes are merged with these weights (see `mergeRanked`); at most `ATTEMPTS`. */
function placeOf({ answers, truth, places, has }: Input, weights: readonly number[]): number {
  if (truth < 0) return ATTEMPTS;
  const heard = has.flatMap((answered, system) => (answered && weights[system]! > 0 ? [system] : []));
  if (heard.length <= 1) return heard.length === 0 ? ATTEMPTS : places[heard[0]!]!;
  const strength = ({ votes, q }: Input["answers"][number]): { votes: number; q: number } => {
    let [sum, weighted] = [0, 0];
    for (const system of heard) {
      sum += weights[system]! * votes[system]!;
      weighted += weights[system]! * q[system]!;
    }
    return { votes: sum, q: sum > 0 ? weighted / sum : 0 };
  };
  const own = strength(answers[truth]!);
  if (own.votes === 0) return ATTEMPTS;
  let place = 0;
  for (const [i, answer] of answers.entries()) {
    if (i === truth) continue;
    const other = strength(answer);
    const isAhead =
      other.votes !== own.votes ? other.votes > own.votes : other.q !== own.q ? other.q > own.q : answer.key < answers[truth]!.key;
    if (isAhead && ++place >= ATTEMPTS) break;
  }
  return place;
}

/** What these weights solve. */
export function solvedBy({ inputs }: Pick<Contest, "inputs">, weights: readonly number[]): Solved {
  const places = inputs.map((input) => placeOf(input, weights));
  return { within1: places.filter((place) => place < 1).length, within2: places.filter((place) => place < ATTEMPTS).length };
}

/** Weights of equal strength: the mean of votes on a test input counts the same for each system in use. */
export function equalWeights({ meanVotes }: Contest, used: readonly number[] = meanVotes.map((_, i) => i)): number[] {
  return scaled(meanVotes.map((votes, system) => (used.includes(system) ? 1 / votes : 0)));
}

/**
 * Weights that solve the most test inputs within two attempts, and of these the most within one.
 *
 * One system's weight after the other is moved along `STEPS` while that solves more, from equal strength and from each system leading: as good as
 * no single move can better, not the best there is. Where nothing is gained a weight stays.
 *
 * @param used places of the systems that may have a weight
 */
export function findWeights(contest: Contest, used: readonly number[] = contest.meanVotes.map((_, i) => i)): number[] {
  const { inputs, meanVotes, systems } = contest;
  const worth = (strengths: readonly number[]): number => {
    const { within1, within2 } = solvedBy(
      contest,
      strengths.map((strength, system) => strength / meanVotes[system]!),
    );
    return within2 * (inputs.length + 1) + within1;
  };
  const start = (leader: number | undefined): number[] =>
    Array.from({ length: systems }, (_, system) => (!used.includes(system) ? 0 : leader === undefined || leader === system ? 1 : 1 / 8));
  let best = { strengths: start(undefined), worth: Number.NEGATIVE_INFINITY };
  for (const leader of [undefined, ...used]) {
    let strengths = start(leader);
    let most = worth(strengths);
    for (let moved = true; moved; ) {
      moved = false;
      for (const system of used) {
        for (const step of STEPS) {
          const tried = strengths.with(system, step);
          if (tried.every((strength) => strength === 0)) continue;
          const gained = worth(tried);
          if (gained <= most) continue;
          [strengths, most, moved] = [tried, gained, true];
        }
      }
    }
    if (most > best.worth) best = { strengths, worth: most };
  }
  return scaled(best.strengths.map((strength, system) => strength / meanVotes[system]!));
}

/** Places of the truth where the weights were found on the other folds. */
function crossValidate(contest: Contest, folds: readonly (readonly Input[])[], used: readonly number[]): number[] {
  return folds.flatMap((fold) => {
    const others = folds.filter((other) => other !== fold).flat();
    const weights = findWeights({ ...contest, inputs: others }, used);
    return fold.map((input) => placeOf(input, weights));
  });
}

/** Finds weights, and what of them and of each system holds on tasks that they were not found on. Deterministic. */
export function weighSystems(contest: Contest): Weighing {
  const { inputs, systems } = contest;
  const tasks = createRandom("folds").shuffled([...new Set(inputs.map(({ task }) => task))]);
  const count = Math.min(FOLDS, tasks.length);
  // All test inputs of a task are in one fold: they have the rule in common.
  const folds = Array.from({ length: count }, (_, fold) => {
    const own = new Set(tasks.filter((_task, i) => i % count === fold));
    return inputs.filter(({ task }) => own.has(task));
  });
  const all = Array.from({ length: systems }, (_, system) => system);
  const places = crossValidate(contest, folds, all);
  const crossValidated = solvedOf(places);
  const [equal, weights] = [equalWeights(contest), findWeights(contest)];
  const inEqual = solvedBy(contest, equal);
  const holds = crossValidated.within2 > inEqual.within2;
  return {
    tasks: tasks.length,
    testInputs: inputs.length,
    weights: holds ? weights : equal,
    holds,
    equal: inEqual,
    found: { weights, ...solvedBy(contest, weights) },
    crossValidated,
    folds: count,
    oracle: inputs.filter((input) => Math.min(...input.places) < ATTEMPTS).length,
    systems: all.map((system) => {
      const without = systems === 1 ? undefined : crossValidate(contest, folds, all.toSpliced(system, 1));
      return {
        alone: solvedOf(inputs.map((input) => input.places[system]!)),
        only: inputs.filter((input) => input.places.every((place, i) => place < ATTEMPTS === (i === system))).length,
        adds: without && difference(places, without),
      };
    }),
  };
}

function solvedOf(places: readonly number[]): Solved {
  return { within1: places.filter((place) => place < 1).length, within2: places.filter((place) => place < ATTEMPTS).length };
}

/** Paired: of each test input, whether the one solves it less whether the other does. */
function difference(one: readonly number[], other: readonly number[]): { inputs: number; error: number } {
  const each = one.map((place, i) => Number(place < ATTEMPTS) - Number(other[i]! < ATTEMPTS));
  const sum = each.reduce((a, b) => a + b, 0);
  const squares = each.reduce((a, b) => a + b * b, 0);
  return { inputs: sum, error: Math.sqrt(Math.max(0, squares - sum ** 2 / Math.max(1, each.length))) };
}

/** The largest is 1; four digits are enough, and fit a command line. */
function scaled(weights: readonly number[]): number[] {
  const largest = Math.max(...weights);
  return weights.map((weight) => Number((weight / largest).toPrecision(4)));
}
