/** `generate`: make tasks to train and try on. */
import type { CommandModule } from "yargs";
import type { Task } from "../arc/task.ts";
import { UserError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { generateTask, KINDS, kindNamed } from "../generate/generate.ts";
import { sampleTasks } from "../generate/sample.ts";
import { challengesText, solutionsText } from "../generate/task-text.ts";

interface GenerateArgs {
  kinds: string;
  tasks: number;
  seed: string;
  pairs: number;
  tests: number;
  unseen: boolean;
  sample: boolean;
  list: boolean;
  out: string | undefined;
  solutions: string | undefined;
  json?: boolean;
}

export const generateCommand: CommandModule<object, GenerateArgs> = {
  command: "generate",
  describe: "Make tasks of the project's own kinds, as a challenges and a solutions file",
  builder: (y) =>
    y
      .option("kinds", { type: "string", default: "all", describe: "kinds to take in turn, separated by commas" })
      .option("tasks", { type: "number", default: 20, describe: "how many tasks in all" })
      .option("seed", { type: "string", default: "0", describe: "any text; the same seed gives the same tasks" })
      .option("pairs", { type: "number", default: 3, describe: "demonstrations of each task" })
      .option("tests", { type: "number", default: 1, describe: "test inputs of each task" })
      .option("unseen", {
        type: "boolean",
        default: false,
        describe: "use only scenes, and of large kinds only rules, that training leaves out",
      })
      .option("sample", {
        type: "boolean",
        default: false,
        describe: "make the project's sample tasks again; of the other options only the files count",
      })
      .option("list", { type: "boolean", default: false, describe: "print the kinds and write nothing" })
      .option("out", { type: "string", describe: "challenges file (default: challenges.json, samples: submission/sample-challenges.json)" })
      .option("solutions", {
        type: "string",
        describe: "solutions file (default: solutions.json, samples: submission/sample-solutions.json)",
      }),
  handler: ({ list, sample, out, solutions, json, ...request }) => {
    if (list) {
      const kinds = KINDS.map(({ name, about, ruleCount }) => ({ name, rules: ruleCount, about }));
      console.log(
        json
          ? JSON.stringify({ kinds })
          : kinds.map((k) => `${k.name.padEnd(18)} ${`${k.rules}`.padStart(6)} rules  ${k.about}`).join("\n"),
      );
      return;
    }
    const tasks = sample ? sampleTasks().map(({ task }) => task) : tasksFor(request);
    const challengesPath = out ?? (sample ? "submission/sample-challenges.json" : "challenges.json");
    const solutionsPath = solutions ?? (sample ? "submission/sample-solutions.json" : "solutions.json");
    writeFileAtomically(challengesPath, challengesText(tasks));
    writeFileAtomically(solutionsPath, solutionsText(tasks));
    const testInputs = tasks.reduce((sum, task) => sum + task.test.length, 0);
    if (json) console.log(JSON.stringify({ challenges: challengesPath, solutions: solutionsPath, tasks: tasks.length, testInputs }));
    else console.log(`${tasks.length} tasks with ${testInputs} test inputs: ${challengesPath}, ${solutionsPath}`);
  },
};

/** As many tasks as asked for, the kinds taken in turn, with ids that differ. */
function tasksFor({
  kinds,
  tasks: count,
  seed,
  pairs,
  tests,
  unseen,
}: Pick<GenerateArgs, "kinds" | "tasks" | "seed" | "pairs" | "tests" | "unseen">): Task[] {
  for (const [option, value, most] of [
    ["tasks", count, 1_000_000],
    ["pairs", pairs, 10],
    ["tests", tests, 10],
  ] as const) {
    if (!Number.isInteger(value) || value < 1 || value > most)
      throw new UserError(`--${option} ${value}: expected a whole number 1..${most}`);
  }
  const names = kinds === "all" ? KINDS.map((kind) => kind.name) : kinds.split(",").map((name) => kindNamed(name.trim()).name);
  const tasks = new Map<string, Task>();
  for (let number = 0; tasks.size < count; number++) {
    const task = generateTask({ kind: names[tasks.size % names.length]!, seed: `${seed}/${number}`, pairs, tests, reserved: unseen });
    if (!tasks.has(task.id)) tasks.set(task.id, task);
  }
  return [...tasks.values()];
}
