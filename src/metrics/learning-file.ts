/** `learning.jsonl` in a run folder: how far a training has come from its start, how alike its rows are, and how each task fares, now and then. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { dropLater } from "./metrics-file.ts";

export const LEARNING_FILE = "learning.jsonl";

const number = z.number().nullable(); // what is not finite
const moved = z.object({ start: z.number(), distance: z.number() });
/** samples or predictions, their mean token loss, and the share that is wholly right */
const fares = z.tuple([z.number(), number, number]);

const pointSchema = z.object({
  kind: z.literal("training"),
  step: z.number(),
  /** of the run */
  seconds: z.number(),
  /** the step that distances are measured from */
  since: z.number(),
  /** Euclidean lengths, by part of the trunk; `trunk` for all of it */
  trunk: z.record(z.string(), moved),
  rows: moved.extend({ count: z.number() }),
  /** mean cosines, see `model/row-similarity.ts` */
  similarity: z.object({ within: number, across: number, length: number, rows: z.number() }),
  /** samples finished since the last point, by task */
  tasks: z.record(z.string(), fares),
});
const leftOutSchema = z.object({
  kind: z.literal("left-out"),
  step: z.number(),
  seconds: z.number(),
  /** predictions of pairs held back, by task */
  tasks: z.record(z.string(), fares),
});
const lineSchema = z.discriminatedUnion("kind", [pointSchema, leftOutSchema]);

export type Fares = z.infer<typeof fares>;
export type LearningPoint = z.infer<typeof pointSchema>;
export type LeftOutPoint = z.infer<typeof leftOutSchema>;

/** What the file holds, in order of steps. */
export interface Learning {
  readonly training: readonly LearningPoint[];
  readonly leftOut: readonly LeftOutPoint[];
}

/** Appends points; a file that can't be written any more is given up, the run goes on. */
export class LearningFile {
  readonly #path: string;
  readonly #failed: (error: unknown) => void;
  #open = true;

  /**
   * @param failed told once, where the file can't be written any more
   * @param step   a training that goes on from here: points of later steps are of one that was given up
   */
  constructor(folder: string, failed: (error: unknown) => void, step?: number) {
    this.#path = join(folder, LEARNING_FILE);
    this.#failed = failed;
    if (step !== undefined && existsSync(this.#path)) dropLater(this.#path, step);
  }

  add(point: LearningPoint | LeftOutPoint): void {
    if (!this.#open) return;
    try {
      appendFileSync(this.#path, `${JSON.stringify(point, (_, value: unknown) => (typeof value === "number" ? short(value) : value))}\n`);
    } catch (error) {
      this.#open = false;
      this.#failed(error);
    }
  }
}

/** The points of a run folder; those of steps that were gone over again are left out, and lines that are cut off or damaged. */
export function readLearning(folder: string): Learning {
  const path = join(folder, LEARNING_FILE);
  const learning = { training: [] as LearningPoint[], leftOut: [] as LeftOutPoint[] };
  if (!existsSync(path)) return learning;
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const point = parsed(line);
    if (!point) continue;
    const points: (LearningPoint | LeftOutPoint)[] = point.kind === "training" ? learning.training : learning.leftOut;
    while (points.length > 0 && points.at(-1)!.step >= point.step) points.pop();
    points.push(point);
  }
  return learning;
}

function parsed(line: string): LearningPoint | LeftOutPoint | undefined {
  if (line === "") return undefined;
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

/** Six digits are enough to draw. */
function short(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(6));
}
