/** What is compared: arms, each a way of running, and the runs that make them. */
import { UserError } from "../errors.ts";

/** A way of running. */
export interface Arm {
  readonly name: string;
  /** options of `run` that make it what it is */
  readonly options: readonly string[];
}

/** Methods by name; `factored` is the full method with a puzzle row for each task, `scratch` the full one on random weights. */
export const METHODS: Readonly<Record<string, readonly string[]>> = {
  full: ["--method", "full"],
  embeddings: ["--method", "embeddings"],
  "embeddings-then-full": ["--method", "embeddings-then-full"],
  lora: ["--method", "lora"],
  "latent-search": ["--method", "latent-search"],
  factored: ["--method", "full", "--embedding", "factored"],
  none: ["--method", "none"],
  scratch: ["--method", "full", "--scratch"],
};

/** Methods whose puzzle rows can begin in more than one way, one of them at a time. */
const hasStart = (method: string): boolean => method !== "scratch" && method !== "latent-search";

/** Every method with every start, then the arms that were written out (`NAME: OPTIONS`). @throws UserError for one that can't be */
export function armsOf(methods: readonly string[], starts: readonly string[], written: readonly string[]): Arm[] {
  const unknown = methods.filter((method) => !Object.hasOwn(METHODS, method));
  if (unknown.length > 0) throw new UserError(`--methods ${unknown.join(",")}: expected some of ${Object.keys(METHODS).join(", ")}`);
  const arms = methods.flatMap((method): Arm[] => {
    const options = METHODS[method]!;
    if (!hasStart(method)) return [{ name: method, options }];
    return starts.map((start) => ({
      name: starts.length > 1 ? `${method}, ${start} start` : method,
      options: [...options, "--start", start],
    }));
  });
  arms.push(...written.map(parseArm));
  const names = arms.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UserError(`two arms are called ${JSON.stringify(twice)}`);
  if (arms.length === 0) throw new UserError("nothing to compare: name --methods or --arm");
  return arms;
}

function parseArm(text: string): Arm {
  const colon = text.indexOf(":");
  const name = text.slice(0, colon).trim();
  const options = text
    .slice(colon + 1)
    .trim()
    .split(/\s+/);
  if (colon < 0 || name === "" || !options[0]?.startsWith("--"))
    throw new UserError(`--arm ${JSON.stringify(text)}: expected a name and options of run, such as "slow: --lr-trunk 1e-5"`);
  return { name, options };
}

/** One run of an arm. */
export interface ArmRun {
  readonly arm: Arm;
  readonly seed: string;
  /** below the comparison's folder; two runs never share one */
  readonly folder: string;
}

/** Where a run of a comparison lies below its folder. @param place of the arm among all */
export function runFolder(place: number, arm: string, seed: string): string {
  const plain = (text: string): string => text.replace(/[^\w.-]+/g, "-");
  return `${place}-${plain(arm).slice(0, 40)}/seed-${plain(seed)}`;
}

/** All runs, seed by seed, so that what has been made at any moment is as even as can be. */
export function runsOf(arms: readonly Arm[], seeds: readonly string[]): ArmRun[] {
  const twice = seeds.find((seed, i) => seeds.some((other, j) => j < i && runFolder(0, "", other) === runFolder(0, "", seed)));
  if (twice !== undefined) throw new UserError(`--seeds: ${twice} stands there twice, or looks like another one as the name of a folder`);
  return seeds.flatMap((seed) =>
    arms.map((arm, i) => ({
      arm,
      seed,
      folder: runFolder(i, arm.name, seed),
    })),
  );
}
