/** `candidates.json`: the ranked answers of a run, between predicting and voting with others. Also reads submissions as such. */
import * as z from "zod";
import { type ReadingRoom, readFileBytes } from "../arc/challenges-file.ts";
import { gridToRows } from "../arc/grid.ts";
import { checkGrid, kindOf, quoted, shortened } from "../arc/grid-json.ts";
import { fileMembers, type JsonMember, objectMembers } from "../arc/json-scan.ts";
import { wholeNumber } from "../config/whole-number.ts";
import { InputError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { mergeRanked } from "../vote/merge.ts";
import type { Part } from "../vote/parts.ts";
import type { RankedAnswer, RankedAnswers } from "../vote/rank.ts";
import { VOTE_WEIGHTINGS, type VoteWeighting } from "../vote/weighting.ts";
import { scanCandidates } from "./candidate-scan.ts";

/** The form this program writes. */
const VERSION = 1;

/** Answers kept per test input unless more or fewer are asked for. */
export const BEST_KEPT = 10;

/** What --keep-answers asks for, or `BEST_KEPT`. @throws UserError for what is no whole number from 2 up, as many as a submission has */
export function answersToKeep(asked: number | undefined): number {
  return wholeNumber("--keep-answers", asked, 2) ?? BEST_KEPT;
}

/** What a candidate file or a submission holds. */
export interface ReadCandidates {
  readonly answers: Map<string, RankedAnswer[][]>;
  /** where a shard of a run has written it */
  readonly part: Part | undefined;
  /** what its votes count */
  readonly weighting: VoteWeighting;
  /** made up by a rehearsal */
  readonly rehearsal: boolean;
  /** attempts that were handed in, or are to be: an empty one takes its place among them */
  readonly isSubmission?: boolean;
}

/** What a candidate file says beside the answers. */
export interface CandidateHead {
  readonly part?: Part | undefined;
  /** `count` unless given */
  readonly weighting?: VoteWeighting | undefined;
  /** answers are made up */
  readonly rehearsal?: boolean | undefined;
}

const partSchema = z.object({
  shard: z.object({ index: z.int().nonnegative(), count: z.int().positive(), tasks: z.array(z.string()) }),
  configSha256: z.string(),
  checkpointSha256: z.string(),
  challengesSha256: z.string(),
  ended: z.boolean(),
});

/**
 * The text of a candidate file: `{version, tasks: {id: [per test input [{grid, votes, meanQ}]]}}`, one task a line, ids in the Map's order;
 * a shard's has `part` beside, and an empty list for each test input of the other shards' tasks. Where votes do not count 1 each, `voteWeight` beside
 * says how they are weighed, and each answer has the `weight` of its votes.
 *
 * @param best how many answers of each list are kept
 */
export function formatCandidates(answers: RankedAnswers, head: CandidateHead = {}, best = BEST_KEPT): string {
  return [...candidateLines(answers, head, best)].join("");
}

function* candidateLines(
  answers: RankedAnswers,
  { part, weighting = "count", rehearsal = false }: CandidateHead,
  best: number,
): Generator<string> {
  const weighed = weighting === "count" ? "" : `"voteWeight": ${JSON.stringify(weighting)}, `;
  yield `{"version": ${VERSION}, ${rehearsal ? '"rehearsal": true, ' : ""}${weighed}${part ? `"part": ${JSON.stringify(part)}, ` : ""}"tasks": {`;
  let separator = "";
  for (const [id, tests] of answers) {
    const lists = tests.map((list) =>
      list.slice(0, best).map(({ grid, votes, meanQ, weight }) => ({ grid: gridToRows(grid), votes, meanQ, weight })),
    );
    yield `${separator}${JSON.stringify(id)}: ${JSON.stringify(lists)}`;
    separator = ",\n";
  }
  yield "}}\n";
}

/** Writes a candidate file atomically. */
export function writeCandidates(path: string, answers: RankedAnswers, head: CandidateHead = {}, best = BEST_KEPT): void {
  const encoder = new TextEncoder();
  const encoded = function* (): Generator<Uint8Array> {
    for (const line of candidateLines(answers, head, best)) yield encoder.encode(line);
  };
  writeFileAtomically(path, inBlocks(encoded()));
}

/** Few large writes instead of many small ones. */
function* inBlocks(pieces: Iterable<Uint8Array>, bytes = 1 << 20): Generator<Uint8Array> {
  let block: Uint8Array[] = [];
  let size = 0;
  for (const piece of pieces) {
    block.push(piece);
    size += piece.byteLength;
    if (size < bytes) continue;
    yield Buffer.concat(block);
    [block, size] = [[], 0];
  }
  yield Buffer.concat(block);
}

/** The answers in a candidate file or a submission. @throws UserError where it can't be read, InputError that lists everything wrong with it */
export function readAnswers(path: string): Map<string, RankedAnswer[][]> {
  return readCandidates(path).answers;
}

/** As `readAnswers`, with what the file says of itself. @param room for files that are read one after the other */
export function readCandidates(path: string, room?: ReadingRoom): ReadCandidates {
  const bytes = readFileBytes(path, room);
  const scanned = scanCandidates(bytes);
  return scanned ? { ...parseFile(scanned.head, path), answers: scanned.answers } : parseFile(bytes.toString("utf8"), path);
}

/**
 * The answers in the text of a candidate file or of a submission. Of a submission's n attempts the first has n votes, the last 1,
 * each with the neutral meanQ of 0.5; equal attempts add up.
 *
 * @throws InputError that lists everything wrong
 */
export function parseAnswers(text: string, where: string): Map<string, RankedAnswer[][]> {
  return parseFile(text, where).answers;
}

function parseFile(text: string, where: string): ReadCandidates {
  const members = fileMembers(text, where, "answers");
  const problems: string[] = [];
  const version = members.find(({ key }) => key === "version");
  const isSubmission = !version || text[version.start] === "[";
  const read: ReadCandidates = isSubmission
    ? { answers: parseTasks(text, members, attemptsOf, problems), part: undefined, weighting: "count", rehearsal: false, isSubmission }
    : parseCandidates(text, members, version, problems);
  if (problems.length > 0) throw new InputError(where, shortened(problems));
  return read;
}

type ReadList = (value: unknown, spot: string, problems: string[]) => RankedAnswer[];

function parseCandidates(text: string, members: readonly JsonMember[], version: JsonMember, problems: string[]): ReadCandidates {
  const given = text.slice(version.start, Math.min(version.end, version.start + 20));
  if (given !== String(VERSION)) problems.push(`has version ${given}; this program reads version ${VERSION} of candidate files`);
  for (const key of ["tasks", "part", "voteWeight"])
    if (members.filter((member) => member.key === key).length > 1) problems.push(`has the key ${key} more than once`);
  const [tasks, part, voteWeight] = ["tasks", "part", "voteWeight"].map((key) => members.find((member) => member.key === key));
  const start = tasks?.start;
  if (start === undefined || text[start] !== "{") problems.push("has no object tasks");
  const parsed = part && partSchema.safeParse(JSON.parse(text.slice(part.start, part.end)));
  if (parsed?.error) problems.push(`part: ${z.prettifyError(parsed.error)}`);
  const named: unknown = voteWeight ? JSON.parse(text.slice(voteWeight.start, voteWeight.end)) : "count";
  const weighting = VOTE_WEIGHTINGS.find((known) => known === named);
  if (!weighting) problems.push(`has the voteWeight ${quoted(String(named))}; expected ${VOTE_WEIGHTINGS.join(", ")}`);
  if (!weighting || problems.length > 0) return { answers: new Map(), part: undefined, weighting: "count", rehearsal: false };
  const rehearsal = members.some((member) => member.key === "rehearsal" && text.slice(member.start, member.end) === "true");
  return { answers: parseTasks(text, objectMembers(text, start!), candidatesOf, problems), part: parsed?.data, weighting, rehearsal };
}

function parseTasks(text: string, members: readonly JsonMember[], readList: ReadList, problems: string[]): Map<string, RankedAnswer[][]> {
  const answers = new Map<string, RankedAnswer[][]>();
  for (const { key: id, start, end } of members) {
    const spot = `task ${quoted(id)}`;
    const value: unknown = JSON.parse(text.slice(start, end));
    if (answers.has(id)) problems.push(`${spot} stands twice`);
    if (!Array.isArray(value)) problems.push(`${spot} is ${kindOf(value)}, not a list with one entry per test input`);
    else
      answers.set(
        id,
        value.map((list, i) => readList(list, `${spot}, test ${i}`, problems)),
      );
  }
  return answers;
}

function candidatesOf(value: unknown, spot: string, problems: string[]): RankedAnswer[] {
  if (!Array.isArray(value)) {
    problems.push(`${spot} is ${kindOf(value)}, not a list of candidates`);
    return [];
  }
  return value.flatMap((candidate: unknown, i) => {
    const at = `${spot}, candidate ${i}`;
    if (typeof candidate !== "object" || candidate === null || Array.isArray(candidate)) {
      problems.push(`${at} is ${kindOf(candidate)}, not an object with grid, votes and meanQ`);
      return [];
    }
    const { grid, votes, meanQ, weight } = candidate as { grid?: unknown; votes?: unknown; meanQ?: unknown; weight?: unknown };
    const checked = checkGrid(grid, `${at}, grid`, problems, "empty allowed");
    const goodVotes = isNumber(votes) && votes > 0;
    const goodQ = isNumber(meanQ) && meanQ >= 0 && meanQ <= 1;
    if (!goodVotes) problems.push(`${at}, votes is ${shown(votes)}; expected a number above 0`);
    if (!goodQ) problems.push(`${at}, meanQ is ${shown(meanQ)}; expected a number 0 to 1`);
    const goodWeight = weight === undefined || (isNumber(weight) && weight >= 0);
    if (!goodWeight) problems.push(`${at}, weight is ${shown(weight)}; expected a number from 0 up`);
    return checked && goodVotes && goodQ && goodWeight ? [{ grid: checked, votes, meanQ, ...(weight !== undefined && { weight }) }] : [];
  });
}

function attemptsOf(value: unknown, spot: string, problems: string[]): RankedAnswer[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    problems.push(`${spot} is ${kindOf(value)}, not an object with attempt_1 and attempt_2`);
    return [];
  }
  const given = new Map<string, unknown>(Object.entries(value));
  const strange = [...given.keys()].find((name) => !/^attempt_[1-9]\d*$/.test(name));
  if (strange !== undefined) problems.push(`${spot} has ${quoted(strange)}, which is no attempt`);
  const count = Math.max(1, given.size - (strange === undefined ? 0 : 1));
  const lists = Array.from({ length: Math.min(count, 1000) }, (_, i) => {
    const grid = checkGrid(given.get(`attempt_${i + 1}`), `${spot}, attempt_${i + 1}`, problems, "empty allowed");
    return { weight: 1, answers: grid ? [{ grid, votes: count - i, meanQ: 0.5 }] : [] };
  });
  return mergeRanked(lists);
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function shown(value: unknown): string {
  return typeof value === "number" ? String(value) : value === undefined ? "missing" : kindOf(value);
}
