/** Shards of one run, and what `merge` makes of their candidate files. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import type { ReportData } from "../../src/report/report-data.ts";
import { assertValid, folder, lastLine, put, runArguments, SAMPLE, start, trm } from "./toy.ts";

const COUNT = 3;
const LIGHT = ["--method", "none", "--workers", "1", "--vote-variants", "1"];

interface Candidates {
  readonly part?: { shard: { index: number; count: number; tasks: string[] }; ended: boolean };
  readonly tasks: Record<string, object[][]>;
}
const read = (path: string): Candidates => JSON.parse(readFileSync(path, "utf8")) as Candidates;
const out = (name: string): string => join(folder, name, "submission.json");

async function shard(name: string, which: string, ...options: string[]): Promise<string> {
  const { args } = await runArguments(name, "60s");
  lastLine(await trm(...args, ...LIGHT, "--shard", which, "--json", ...options));
  return join(folder, name, "candidates.json");
}

let parts: string[];
let whole: Candidates;
before(async () => {
  parts = [];
  for (let i = 0; i < COUNT; i++) parts.push(await shard(`shard-${i}`, `${i}/${COUNT}`));
  const { args } = await runArguments("whole", "60s");
  lastLine(await trm(...args, ...LIGHT, "--canvas", "30", "--json", "--limit", "1"));
  whole = read(join(folder, "whole", "candidates.json"));
});

test("each shard answers its own share of the tasks, and says in its candidate file whose it is", async () => {
  const ids = Object.keys(JSON.parse(readFileSync(SAMPLE, "utf8")) as object);
  const shares = parts.map((path) => read(path).part!.shard.tasks);
  assert.deepEqual(shares.flat().sort(), ids.sort());
  for (const [i, path] of parts.entries()) {
    const { part, tasks } = read(path);
    assert.deepEqual([part!.shard.index, part!.shard.count, part!.ended], [i, COUNT, true]);
    const answered = Object.keys(tasks).filter((id) => tasks[id]!.some((answers) => answers.length > 0));
    assert.deepEqual(answered.sort(), [...shares[i]!].sort());
    await assertValid(out(`shard-${i}`));
  }
  assert.equal(whole.part, undefined, "a run of all tasks is no part");
});

test("the parts of all shards make one submission, in any order, with what each has found", async () => {
  const merged = (name: string, files: string[]) =>
    trm("merge", ...files, "--challenges", SAMPLE, "--out", out(name), "--candidates", join(folder, name, "candidates.json"), "--json");
  const result = lastLine(await merged("merged", parts));
  assert.deepEqual([result.shards, result.missingShards, result.fallbackInputs], [COUNT, [], 0]);
  await assertValid(out("merged"));
  const { tasks } = read(join(folder, "merged", "candidates.json"));
  for (const path of parts) for (const id of read(path).part!.shard.tasks) assert.deepEqual(tasks[id], read(path).tasks[id]);
  lastLine(await merged("turned", [...parts].reverse()));
  for (const name of ["submission.json", "candidates.json"])
    assert.equal(readFileSync(join(folder, "turned", name), "utf8"), readFileSync(join(folder, "merged", name), "utf8"));
});

test("shards of some of the tasks are joined with all of the file: the others have fallback answers", async () => {
  const some = ["--canvas", "6", "--limit", "12"];
  const files = [await shard("some-0", "0/2", ...some), await shard("some-1", "1/2", ...some)];
  const worked = files.flatMap((path) => read(path).part!.shard.tasks);
  assert.ok(worked.length > 1 && worked.length < 12, `${worked.length} of 12 tasks fit the canvas`);
  const result = lastLine(await trm("merge", ...files, "--challenges", SAMPLE, "--expect", "2", "--out", out("some"), "--json"));
  assert.deepEqual([result.tasks, result.missingShards], [20, []]);
  await assertValid(out("some"));
  const { status, stderr } = await trm("merge", files[0]!, parts[1]!, "--challenges", SAMPLE, "--out", out("mixed"));
  assert.equal(status, 1);
  assert.match(stderr, /is foreign: made with other settings/);
});

test("a missing, foreign or repeated part is refused, and nothing is written", async () => {
  const [first, second, third] = parts as [string, string, string];
  const refused = async (files: string[], message: RegExp, ...options: string[]): Promise<void> => {
    const { status, stderr } = await trm("merge", ...files, "--out", out("refused"), "--challenges", SAMPLE, ...options);
    assert.equal(status, 1);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /\n\s+at /);
    assert.ok(!existsSync(out("refused")));
  };
  await refused([first, third], /^shard 1 of 3 is missing; name all candidate files, or give --expect 3/);
  await refused([first, second, third, second], /shard-1\/candidates\.json is shard 1 of 3, as .*shard-1\/candidates\.json is/);
  const seeded = await shard("other-seed", `1/${COUNT}`, "--seed", "9");
  await refused(
    [first, seeded, third],
    /other-seed\/candidates\.json is foreign: made with other settings than .*shard-0/,
    "--expect",
    "3",
  );
  await refused([first, second, third], /shard-0\/candidates\.json is shard 0 of 3, --expect says 4/, "--expect", "4");
  const fewer = put(
    "fewer.json",
    JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(readFileSync(SAMPLE, "utf8")) as object).slice(1))),
  );
  const { status, stderr } = await trm("merge", ...parts, "--out", out("refused"), "--challenges", fewer);
  assert.equal(status, 1);
  assert.match(stderr, /of other tasks than --challenges/);
});

test("--expect names a shard that failed, gives its tasks fallback answers and ends with status 1", async () => {
  const [first, second, third] = parts as [string, string, string];
  const damaged = put("damaged/candidates.json", readFileSync(second, "utf8").slice(0, -40));
  const failed = await trm("merge", first, damaged, third, "--expect", "3", "--challenges", SAMPLE, "--out", out("failed"), "--json");
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /damaged\/candidates\.json: is not JSON/);
  const own = read(second).part!.shard.tasks;
  assert.match(failed.stderr, new RegExp(`^shard 1 of 3 failed: ${own.length} tasks have fallback answers \\(`, "m"));
  await assertValid(out("failed"));
  const fallback = JSON.parse(readFileSync(out("shard-0"), "utf8")) as Record<string, unknown>; // shard 0 has fallbacks for the others' tasks
  const submission = JSON.parse(readFileSync(out("failed"), "utf8")) as Record<string, unknown>;
  for (const id of own) assert.deepEqual(submission[id], fallback[id]);
  assert.deepEqual(JSON.parse(failed.stdout).missingShards, [1]);
  const gone = await trm("merge", join(folder, "none.json"), "--expect", "2", "--challenges", SAMPLE, "--out", out("gone"));
  assert.equal(gone.status, 1);
  assert.match(gone.stderr, /shards 0, 1 of 2 failed: 20 tasks have fallback answers/);
  await assertValid(out("gone"));
});

test("a shard that was ended by a signal is told of, and its answers are used; taken up again, it is complete", async () => {
  const { args } = await runArguments("cut", "60s");
  const runDir = join(folder, "cut", "run");
  const running = start(...args, ...LIGHT, "--vote-variants", "4", "--shard", `0/1`, "--run-dir", runDir);
  await running.said(/a prediction takes/);
  running.child.kill("SIGTERM");
  assert.equal((await running.ended).status, 143);
  const path = join(runDir, "candidates.json");
  assert.equal(read(path).part!.ended, false);
  const merged = await trm("merge", path, "--expect", "1", "--out", out("cut-merged"));
  assert.equal(merged.status, 1);
  assert.match(merged.stderr, /shard 0 of 1 has not come to its end .*its answers so far are used; `run --resume` goes on with it/);
  lastLine(await trm("run", "--resume", runDir, "--json"));
  assert.equal((await trm("merge", path, "--expect", "1", "--out", out("cut-merged"))).status, 0);
});

test("shards' run folders and the merged answers make one page; without a folder there is none", async () => {
  const folders = await Promise.all(
    [0, 1].map(async (index) => {
      const { args } = await runArguments(`paged-${index}`, "60s");
      const runDir = join(folder, `paged-${index}`, "run");
      const solutions = join("submission", "sample-solutions.json");
      lastLine(await trm(...args, ...LIGHT, "--shard", `${index}/2`, "--run-dir", runDir, "--solutions", solutions, "--json"));
      return runDir;
    }),
  );
  const files = folders.map((runDir) => join(runDir, "candidates.json"));
  const page = join(folder, "page.html");
  lastLine(await trm("merge", ...files, "--challenges", SAMPLE, "--out", out("paged"), "--report", page, "--json"));
  const dataOf = (path: string): ReportData =>
    JSON.parse(/<script type="application\/json" id="report-data">(.*?)<\/script>/s.exec(readFileSync(path, "utf8"))![1]!) as ReportData;
  const [merged, ...each] = [page, ...folders.map((runDir) => join(runDir, "report.html"))].map(dataOf) as [ReportData, ...ReportData[]];
  assert.deepEqual([merged.summary.tasks, merged.summary.tasksChosen, merged.summary.testInputs], [20, 20, 22]);
  assert.equal(merged.summary.votes, each[0]!.summary.votes + each[1]!.summary.votes);
  assert.equal(merged.summary.score!.solved, each[0]!.summary.score!.solved + each[1]!.summary.score!.solved);
  for (const { tasks } of each)
    for (const task of tasks.filter(({ state }) => state === "worked-on"))
      assert.deepEqual(
        merged.tasks.find(({ id }) => id === task.id),
        task,
      );
  assert.ok(merged.notes.some((note) => note.startsWith("Merged from 2 of 2 shards.")));

  const failed = await trm("merge", files[0]!, "--expect", "2", "--challenges", SAMPLE, "--out", out("paged"), "--report", page);
  assert.equal(failed.status, 1);
  assert.ok(dataOf(page).notes.some((note) => /^Shard 1 of 2 failed: \d+ tasks have fallback answers/.test(note)));
  assert.equal(dataOf(page).summary.tasksChosen, each[0]!.summary.tasksChosen);
  const none = await trm("merge", ...parts, "--challenges", SAMPLE, "--out", out("paged"), "--report", join(folder, "none.html"));
  assert.equal(none.status, 1);
  assert.match(none.stderr, /^--report .*none\.html: none of the files lies in the run folder of a shard; begin shards with --run-dir/);
});

test("a share may be empty where there are fewer tasks than shards", async () => {
  const path = await shard("empty", "4/5", "--limit", "2");
  assert.deepEqual(read(path).part!.shard.tasks, []);
  await assertValid(out("empty"));
});
