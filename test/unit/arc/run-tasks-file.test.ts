import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseChallenges } from "../../../src/arc/challenges-json.ts";
import { readRunTasks, writeRunTasks } from "../../../src/arc/run-tasks-file.ts";
import { InputError, UserError } from "../../../src/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "trm-run-tasks-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, "tasks.jsonl");

/** Good tasks under awkward ids, one that is left out, and one whose second test input is ragged. */
const CHALLENGES = `{
  "__proto__": {"train": [{"input": [[1, 2]], "output": [[3], [4]]}], "test": [{"input": [[5, 6, 7]]}]},
  "10": {"test": [{"input": [[0]]}, {"input": [[9]]}], "train": [{"input": [[8]], "output": [[7]]}]},
  "2\\n</script>": {"train": [{"input": [[1]], "output": [[1]]}], "test": [{"input": [[2]]}]},
  "bad": {"train": [{"input": [[1]], "output": [[1]]}], "test": [{"input": [[2]]}, {"input": [[1, 2], [3]]}]}
}`;

test("tasks come back as they were read, in their order: good ones, those left out, bad ones with what is wrong", () => {
  const { entries, tasks } = parseChallenges(CHALLENGES, "challenges.json");
  writeRunTasks(path, entries, tasks.slice(0, 2));
  const read = readRunTasks(path);
  assert.deepEqual(
    read.map(({ entry, chosen }) => [entry.id, chosen]),
    [
      ["__proto__", true],
      ["10", true],
      ["2\n</script>", false],
      ["bad", false],
    ],
  );
  const withoutOrder = (entry: object): object => ({ ...entry, testFirst: undefined }); // of no interest to whoever looks
  assert.deepEqual(
    read.map(({ entry }) => withoutOrder(entry)),
    entries.map(withoutOrder),
  );
});

test("a file that is none is refused with every line that is wrong; one that is gone is named", () => {
  const good = '{"id":"a","chosen":true,"train":[{"input":[[1]],"output":[[1]]}],"test":[{"input":[[2]]}]}';
  writeFileSync(path, `${good}\n{"id":"b","train":[],"test":[]}\nnonsense\n${good.replace('"a"', "7")}\n`);
  assert.throws(
    () => readRunTasks(path),
    (error: unknown) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, /line 2: task b has no train pair.*\n.*line 3: .*\n.*line 4: has no id/s);
      return true;
    },
  );
  assert.throws(
    () => readRunTasks(join(folder, "gone.jsonl")),
    (error: unknown) => error instanceof UserError && /gone\.jsonl: does not exist/.test(error.message),
  );
});
