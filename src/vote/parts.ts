/** Parts of one run: candidate files of its shards. */
import { InputError } from "../errors.ts";
import type { VoteWeighting } from "./weighting.ts";

/** One of `count` shares of the tasks; `index` from 0. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** What a shard's candidate file says of itself. */
export interface Part {
  /** with the ids of its tasks */
  readonly shard: Shard & { readonly tasks: readonly string[] };
  /** the same in all parts of a run: what the answers depend on, beside tasks and checkpoint */
  readonly configSha256: string;
  readonly checkpointSha256: string;
  /** of the tasks of all shards together, see `tasksSha256` */
  readonly challengesSha256: string;
  /** its run came to its end; false in what one that is under way, or was killed, has written */
  readonly ended: boolean;
}

/** A file to merge: a part, or answers of any other kind. */
export interface NamedPart {
  readonly where: string;
  readonly part: Part | undefined;
}

const SAME = [
  ["challengesSha256", "of other tasks"],
  ["checkpointSha256", "made with another checkpoint"],
  ["configSha256", "made with other settings"],
] as const;

/**
 * Checks that the files are the parts of one run.
 *
 * @param expect how many shards there must be; without it, as many as the parts say
 * @param challengesSha256 of the challenges that are to be answered, where they are given
 * @returns shards without a part, in order; none where no file is a part and none is expected
 * @throws InputError that lists every part that is foreign, there twice or out of range
 */
export function missingShards(files: readonly NamedPart[], expect?: number, challengesSha256?: string): number[] {
  const first = files.find(({ part }) => part !== undefined);
  if (!first?.part) {
    if (expect === undefined) return [];
    if (files.length > 0) refuse([`${files[0]!.where} is no shard's candidate file (one of \`run --shard\`); --expect counts those`]);
    return Array.from({ length: expect }, (_, index) => index);
  }
  const count = expect ?? first.part.shard.count;
  const problems: string[] = [];
  const seen = new Map<number, string>();
  for (const { where, part } of files) {
    if (!part) {
      problems.push(`${where} is no shard's candidate file, but ${first.where} is; merge the shards by themselves first`);
      continue;
    }
    const { shard } = part;
    const other = SAME.find(([key]) => part[key] !== first.part![key]);
    if (other) problems.push(`${where} is foreign: ${other[1]} than ${first.where}`);
    else if (shard.count !== count) {
      const wanted = expect === undefined ? `${first.where} is of ${count}` : `--expect says ${count}`;
      problems.push(`${where} is shard ${shard.index} of ${shard.count}, ${wanted}`);
    }
    if (shard.index >= shard.count) problems.push(`${where} is shard ${shard.index} of ${shard.count}: there is no such`);
    const twin = seen.get(shard.index);
    if (twin !== undefined) problems.push(`${where} is shard ${shard.index} of ${shard.count}, as ${twin} is`);
    seen.set(shard.index, where);
  }
  if (challengesSha256 !== undefined && first.part.challengesSha256 !== challengesSha256)
    problems.push(`${first.where} is of other tasks than --challenges`);
  refuse(problems);
  return Array.from({ length: count }, (_, index) => index).filter((index) => !seen.has(index));
}

/**
 * Checks that all files weigh votes in the same way: a count and a sum of probabilities are no common measure.
 *
 * @throws InputError that names every file that differs from the first
 */
export function refuseMixtures(files: readonly { readonly where: string; readonly weighting: VoteWeighting }[]): void {
  const [first] = files;
  const others = files.filter(({ weighting }) => weighting !== first!.weighting);
  refuse(
    others.map(
      ({ where, weighting }) =>
        `${where} weighs votes by ${weighting}, ${first!.where} by ${first!.weighting}; say with --weights what a vote of each is worth`,
    ),
  );
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new InputError("files to merge", problems);
}
