/** The sample tasks that come with the project: sixteen of kinds that training knows, four of kinds it never saw. */
import type { Task } from "../arc/task.ts";
import { generateTask, type TaskRequest } from "./generate.ts";

/** Which tasks they are; seeds were chosen by looking at what they give. */
const SAMPLES: readonly Omit<TaskRequest, "reserved">[] = [
  { kind: "recolor", seed: 2, pairs: 3, tests: 1 },
  { kind: "color-map", seed: 2, pairs: 3, tests: 1 },
  { kind: "alternate-lines", seed: 5, pairs: 3, tests: 1 },
  { kind: "checkerboard", seed: 2, pairs: 3, tests: 1 },
  { kind: "move-object", seed: 3, pairs: 3, tests: 2 },
  { kind: "gravity", seed: 1, pairs: 3, tests: 1 },
  { kind: "slide", seed: 2, pairs: 4, tests: 1 },
  { kind: "mirror", seed: 2, pairs: 3, tests: 1 },
  { kind: "complete-symmetry", seed: 4, pairs: 3, tests: 1 },
  { kind: "fill-enclosed", seed: 2, pairs: 3, tests: 1 },
  { kind: "outline", seed: 3, pairs: 3, tests: 1 },
  { kind: "ray", seed: 2, pairs: 3, tests: 1 },
  { kind: "connect", seed: 5, pairs: 4, tests: 2 },
  { kind: "crop", seed: 5, pairs: 4, tests: 1 },
  { kind: "scale", seed: 4, pairs: 3, tests: 1 },
  { kind: "overlay", seed: 2, pairs: 4, tests: 1 },
  { kind: "kaleidoscope", seed: 3, pairs: 3, tests: 1 },
  { kind: "shift", seed: 5, pairs: 4, tests: 1 },
  { kind: "remove-color", seed: 1, pairs: 3, tests: 1 },
  { kind: "cross", seed: 3, pairs: 3, tests: 1 },
];

/** A sample task and the kind it was made from. */
export interface SampleTask {
  readonly kind: string;
  readonly task: Task;
}

/** The sample tasks, solutions included, in the order of their ids. */
export function sampleTasks(): SampleTask[] {
  return SAMPLES.map((sample) => ({ kind: sample.kind, task: generateTask({ ...sample, reserved: true }) })).sort((a, b) =>
    a.task.id < b.task.id ? -1 : 1,
  );
}
