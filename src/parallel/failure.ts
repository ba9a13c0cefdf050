/** What a worker's failure means for the others. */
import { messageOf } from "../errors.ts";
import { CacheSuspected } from "../trace/jit.ts";
import { isOutOfMemory } from "../trace/ready-step.ts";
import { Diverged } from "../train/replica.ts";
import { PeerError } from "./all-reduce.ts";
import type { FailureCause } from "./job.ts";

/** V8's and WebAssembly's words for it; TensorFlow's are known to `isOutOfMemory`. */
const OUT_OF_MEMORY = /array buffer allocation failed|cannot enlarge memory|memory\.grow|invalid typed array length/i;

/** Why work failed. */
export function causeOf(error: unknown): FailureCause {
  if (error instanceof PeerError) return "peer";
  if (error instanceof Diverged) return "diverged";
  if (error instanceof CacheSuspected) return "cache";
  return isOutOfMemory(error) || OUT_OF_MEMORY.test(messageOf(error)) ? "memory" : "other";
}
