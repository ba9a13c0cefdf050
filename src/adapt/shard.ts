/** A share of the tasks, for a run on one of several machines; and what its candidate file says of where it belongs. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Task } from "../arc/task.ts";
import { canvasSideFor } from "../encode/canvas-side.ts";
import { sha256Of } from "../files/sha256.ts";
import type { Part, Shard } from "../vote/parts.ts";

/** What a task costs beside others: cells of its canvas, for each demonstration that is trained on and each test input that is predicted. */
export function taskCost(task: Task): number {
  return canvasSideFor([task]) ** 2 * (task.train.length + task.test.length);
}

/**
 * Splits tasks into `count` shares of about equal cost: each goes to the share that has the least so far, the costliest first.
 *
 * The split depends on the tasks alone, not on their order. No share costs more than the mean and one task.
 *
 * @returns the shares, each in the order given; some are empty where there are fewer tasks
 */
export function splitByCost(tasks: readonly Task[], count: number): Task[][] {
  const shares = Array.from({ length: count }, () => ({ cost: 0, tasks: new Set<Task>() }));
  const costs = tasks.map((task) => ({ task, cost: taskCost(task) }));
  costs.sort((a, b) => b.cost - a.cost || (a.task.id < b.task.id ? -1 : 1));
  for (const { task, cost } of costs) {
    const least = shares.reduce((a, b) => (b.cost < a.cost || (b.cost === a.cost && b.tasks.size < a.tasks.size) ? b : a));
    least.cost += cost;
    least.tasks.add(task);
  }
  return shares.map((share) => tasks.filter((task) => share.tasks.has(task)));
}

/** The tasks of one shard. */
export function shareOf(tasks: readonly Task[], { index, count }: Shard): Task[] {
  return splitByCost(tasks, count)[index]!;
}

/** What parts of one run have in common. */
export interface RunIdentity {
  /** what the answers depend on, beside tasks and checkpoint; not machine, budget or paths */
  readonly config: Readonly<Record<string, unknown>>;
  /** folder of the checkpoint; none: random weights */
  readonly checkpoint: string | undefined;
  /** see `tasksSha256` */
  readonly challengesSha256: string;
}

/** The part that a shard's candidate file is. */
export async function partOf(shard: Shard, tasks: readonly Task[], { config, checkpoint, challengesSha256 }: RunIdentity): Promise<Part> {
  const sorted = Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    shard: { ...shard, tasks: tasks.map(({ id }) => id) },
    configSha256: createHash("sha256").update(JSON.stringify(sorted)).digest("hex"),
    checkpointSha256: checkpoint === undefined ? "none" : await filesSha256(checkpoint, ["config.json", "model.safetensors"]),
    challengesSha256,
    ended: false,
  };
}

/** Of the files' own hashes, one after the other. */
async function filesSha256(folder: string, names: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const name of names) hash.update(await sha256Of(join(folder, name)));
  return hash.digest("hex");
}
