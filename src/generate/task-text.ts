/** Tasks as the text of ARC's two files, one line for each grid so that people can read and compare them. */
import type { Grid } from "../arc/grid.ts";
import { gridToRows } from "../arc/grid.ts";
import type { Task } from "../arc/task.ts";

/** The challenges file of some tasks: everything but the answers. */
export function challengesText(tasks: readonly Task[]): string {
  const pairText = (input: Grid, output?: Grid): string =>
    output === undefined
      ? `      {"input": ${gridText(input)}}`
      : `      {"input": ${gridText(input)},\n       "output": ${gridText(output)}}`;
  return objectText(tasks, ({ train, test }) =>
    [
      "{",
      `    "train": [\n${train.map(({ input, output }) => pairText(input, output)).join(",\n")}\n    ],`,
      `    "test": [\n${test.map(({ input }) => pairText(input)).join(",\n")}\n    ]`,
      "  }",
    ].join("\n"),
  );
}

/** The solutions file of some tasks. @throws Error if an answer is not known */
export function solutionsText(tasks: readonly Task[]): string {
  return objectText(tasks, ({ id, test }) => {
    const answers = test.map(({ output }) => {
      if (output === undefined) throw new Error(`task ${id} has a test input without an answer`);
      return `    ${gridText(output)}`;
    });
    return `[\n${answers.join(",\n")}\n  ]`;
  });
}

function objectText(tasks: readonly Task[], valueText: (task: Task) => string): string {
  return `{\n${tasks.map((task) => `  ${JSON.stringify(task.id)}: ${valueText(task)}`).join(",\n")}\n}\n`;
}

function gridText(grid: Grid): string {
  return `[${gridToRows(grid)
    .map((row) => `[${row.join(", ")}]`)
    .join(", ")}]`;
}
