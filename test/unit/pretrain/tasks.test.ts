import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readPretrainingTasks } from "../../../src/pretrain/tasks.ts";

const folder = mkdtempSync(join(tmpdir(), "trm-pretraining-tasks-"));
after(() => rmSync(folder, { recursive: true }));

const SETTINGS = { canvas: 10, evaluationTrained: 0, evaluationHeldOut: 0, seed: 0 };
const NO_FILES = { tasks: [], solutions: [], evaluation: [], heldOut: [], dropOverlap: false };
const pair = (input: number, output: number) => ({ input: [[input]], output: [[output]] });

/** Writes a task a file, as on GitHub. @returns the folder */
function putFolder(name: string, tasks: Record<string, { train: object[]; test: object[] }>): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const [id, task] of Object.entries(tasks)) writeFileSync(join(path, `${id}.json`), JSON.stringify(task));
  return path;
}

test("the answers that a folder's task files hold are trained on, and how many there are is told", () => {
  const tasks = putFolder("whole", {
    one: { train: [pair(1, 2), pair(2, 3)], test: [pair(3, 4)] },
    two: { train: [pair(4, 1), pair(5, 1)], test: [pair(6, 1), pair(7, 1)] },
  });
  const told: string[] = [];
  const { trained } = readPretrainingTasks({ ...NO_FILES, tasks: [tasks] }, SETTINGS, (_, text) => told.push(text));
  assert.deepEqual(
    trained.map(({ test }) => test.map(({ output }) => output && [...output.cells])),
    [[[4]], [[1], [1]]],
  );
  assert.ok(told.includes("whole: the answers of 3 of 3 tests are known and trained on as well"), told.join("\n"));
});

test("where none is known that is told, with what to do", () => {
  const path = join(folder, "challenges.json");
  writeFileSync(path, JSON.stringify({ one: { train: [pair(1, 2), pair(2, 3)], test: [{ input: [[3]] }] } }));
  const told: string[] = [];
  const { trained } = readPretrainingTasks({ ...NO_FILES, tasks: [path] }, SETTINGS, (_, text) => told.push(text));
  assert.equal(trained[0]!.test[0]!.output, undefined);
  assert.ok(
    told.some((text) => /the answers of 0 of 1 tests are known.*; --solutions takes a file of them$/.test(text)),
    told.join("\n"),
  );
});
