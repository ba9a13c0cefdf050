/** The report of a run: at the run's end, by the command, while the run goes on; and of folders that hold none. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { ReportData } from "../../src/report/report-data.ts";
import { childrenOf, folder, lastLine, roomySeconds, runArguments, SAMPLE_SOLUTIONS, start, trm } from "./toy.ts";

/** The data in a page. */
function dataOf(path: string): ReportData {
  const [, json] = /<script type="application\/json" id="report-data">(.*?)<\/script>/s.exec(readFileSync(path, "utf8"))!;
  return JSON.parse(json!);
}

test("a run leaves its page in its folder, within its budget; the command makes the same again", async () => {
  const budget = await roomySeconds();
  const { args } = await runArguments("ends", `${budget}s`);
  const run = join(folder, "ends-run");
  const { status, stderr, seconds } = await trm(...args, "--run-dir", run, "--workers", "2", "--json");
  assert.equal(status, 0, stderr);
  const last = JSON.parse(readFileSync(join(run, "events.jsonl"), "utf8").trimEnd().split("\n").at(-1)!) as { seconds: number };
  assert.ok(last.seconds < budget && seconds < budget + 2, `${last.seconds} s of ${budget}, ${seconds} s from outside`);
  const page = join(run, "report.html");
  // The last second of the budget may be too short on a busy machine; then the log says how to have the page.
  if (!existsSync(page)) assert.match(stderr, /no (report was written|time is left).*`trm report .*` makes it/);
  else assert.equal(dataOf(page).state, "finished");
  const { report, testInputs, tasks } = lastLine(await trm("report", run, "--json", "--out", join(folder, "again.html")));
  assert.deepEqual([report, tasks, testInputs], [join(folder, "again.html"), 20, 22]);
  const again = dataOf(join(folder, "again.html"));
  if (existsSync(page)) assert.deepEqual({ ...dataOf(page), gatheredAt: 0 }, { ...again, gatheredAt: 0 });
  assert.deepEqual(
    again.timeline.phases.map(({ name }) => name),
    ["load", "measure", "train", "predict"],
  );
  assert.equal(again.timeline.workers.length, 2);
  assert.equal(again.summary.score, undefined, "the run was given no solutions");
  assert.ok(again.curves.some(({ title }) => title === "Loss"));
});

test("a run that ends early has time for its page; solutions named later count", async () => {
  const { args, out } = await runArguments("early", "60s");
  const run = join(folder, "early-run");
  const { status, stderr } = await trm(...args, "--steps", "3", "--limit", "4", "--run-dir", run);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /report\.html written/);
  const { summary, tasks } = dataOf(join(run, "report.html"));
  assert.deepEqual([summary.tasks, summary.tasksChosen, summary.steps], [20, 4, 3]);
  assert.equal(tasks.filter(({ state }) => state === "left-out").length, 16);
  const { score } = lastLine(await trm("report", run, "--solutions", SAMPLE_SOLUTIONS, "--json")) as {
    score: { testInputs: number; passAtK: { share: number }[] };
  };
  const scored = lastLine(await trm("score", join(run, "candidates.json"), "--solutions", SAMPLE_SOLUTIONS, "--json"));
  assert.equal(score.testInputs, summary.testInputs);
  assert.ok(Math.abs(score.passAtK[0]!.share * summary.testInputs - (scored["pass@1"] as number) * 22) < 1e-6);
  assert.ok(dataOf(join(run, "report.html")).curves.some(({ title }) => title === "Solved test inputs"));

  // What is missing is told on the page; the rest is shown.
  rmSync(join(run, "tasks.jsonl"));
  for (const path of [out, join(run, "submission.json")]) rmSync(path);
  for (const name of ["metrics.jsonl", "learning.jsonl"]) writeFileSync(join(run, name), "nonsense");
  const { stderr: warnings } = await trm("report", run);
  assert.match(warnings, /the submission can't be shown: .*submission\.json: does not exist/);
  const rest = dataOf(join(run, "report.html"));
  assert.equal(rest.tasks.length, 20, "tasks come from the challenges file where the run has kept none");
  assert.deepEqual(rest.curves, []);
  assert.equal(rest.notes.length, 1);
});

test("a run under way can be looked at, and nothing of it is changed; one that was killed is told as such", async () => {
  const { args } = await runArguments("under-way", "120s");
  const run = join(folder, "under-way-run");
  const running = start(...args, "--run-dir", run, "--steps", "100000");
  await running.said(/step \d/);
  const before = readFileSync(join(run, "config.json"), "utf8");
  lastLine(await trm("report", run, "--json"));
  assert.equal(dataOf(join(run, "report.html")).state, "running");
  assert.equal(dataOf(join(run, "report.html")).timeline.phases.at(-1)!.name, "train");
  assert.equal(readFileSync(join(run, "config.json"), "utf8"), before);
  for (const pid of [running.child.pid!, ...childrenOf(running.child.pid!)]) process.kill(pid, "SIGKILL");
  await running.ended;
  assert.equal(lastLine(await trm("report", run, "--json")).state, "broken-off");
});

test("a folder that holds no run, and files that can't be read, are told with what to do", async () => {
  const refused = async (pattern: RegExp, ...args: string[]): Promise<void> => {
    const { status, stderr } = await trm("report", ...args);
    assert.equal(status, 1, stderr);
    assert.match(stderr, pattern);
  };
  await refused(/nowhere: does not exist; pass the folder that was given to `trm run --run-dir`/, join(folder, "nowhere"));
  await refused(/holds no run \(no config\.json\)/, folder);
  const run = join(folder, "early-run");
  await refused(/nothing\.json: does not exist/, run, "--solutions", "nothing.json");
  await refused(/--out .*: can't be written: /, run, "--out", join(run, "config.json", "page.html"));
  writeFileSync(join(run, "config.json"), "{}");
  await refused(/config\.json: is not the config of a run/, run);
});
