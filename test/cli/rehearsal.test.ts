import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { assertValid, folder, lastLine, put, SAMPLE, SAMPLE_SOLUTIONS, start, trm } from "./toy.ts";

/** A twelve-hour run in half a minute. */
const BUDGET = 41_400;
const SCALE = 0.0007;
const noEngine = process.env.TRM_REQUIRE_TENSORFLOW
  ? false
  : "projecting steps needs the TensorFlow engine (TRM_REQUIRE_TENSORFLOW=1 insists)";

interface PlanReport {
  readonly phases: readonly { name: string; from: number; to: number; steps?: number; warmupSteps?: number; frozenSteps?: number }[];
  readonly times: { stepSeconds: number; startSeconds: number; compileSeconds: number };
  readonly plan: { rounds: number; trainSeconds: number; predictSeconds: number };
  readonly testInputs: number;
  readonly canvas: number;
  readonly canvases?: readonly { side: number; tasks: number }[];
  readonly forecast?: {
    tasks: number;
    testInputs: number;
    steps: { hidden: number; here: number };
    rounds: number;
    trainSeconds: number;
    predictSeconds: number;
  };
}

/** As many tasks as a competition's hidden set has, under ids of their own. */
function manyTasks(count: number): string {
  const sample = Object.values(JSON.parse(readFileSync(SAMPLE, "utf8")) as Record<string, unknown>);
  const path = join(folder, `tasks-${count}.json`);
  const tasks = Array.from({ length: count }, (_, i) => [`t${String(i).padStart(7, "0")}`, sample[i % sample.length]]);
  writeFileSync(path, JSON.stringify(Object.fromEntries(tasks)));
  return path;
}

function events(runDir: string): Record<string, unknown>[] {
  return readFileSync(join(runDir, "events.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Bytes of all files below a folder. */
function bytesBelow(path: string): number {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

test("--plan-only --device prints the phases of the whole budget, end to end, and writes nothing", { skip: noEngine }, async () => {
  const before = readdirSync(folder).length;
  const out = join(folder, "never.json");
  const args = ["run", "--plan-only", "--device", "l4", "--challenges", SAMPLE, "--out", out, "--method", "embeddings-then-full"];
  const { phases, times } = lastLine(await trm(...args, "--json")) as unknown as PlanReport;
  assert.deepEqual(
    phases.map(({ name }) => name),
    ["start", "train", "predict", "reserve"],
  );
  phases.slice(1).forEach(({ from }, i) => {
    const { name, to } = phases[i]!;
    assert.ok(name === "predict" ? from >= to - 1e-6 : Math.abs(from - to) < 1e-6, `${name} ends at ${to}, the next begins at ${from}`);
  });
  assert.equal(phases.at(-1)!.to, BUDGET);
  const [, training] = phases;
  assert.ok(training!.steps! * times.stepSeconds <= training!.to - training!.from);
  assert.equal(training!.warmupSteps, Math.min(2000, Math.floor(training!.steps! / 10)));
  assert.equal(training!.frozenSteps, Math.ceil(training!.steps! / 4));
  assert.ok(phases[0]!.to >= times.startSeconds + times.compileSeconds);
  const { stdout } = await trm(...args);
  assert.match(
    stdout,
    /plan of 11h30m:\n {2}start .*\n {2}train .* steps at .* warm-up, the trunk frozen for the first .*\n {2}predict .*\n {2}reserve /,
  );
  assert.equal(readdirSync(folder).length, before);
});

test("the forecast for the hidden tasks is the plan of as many tasks like those at hand", { skip: noEngine }, async () => {
  const args = ["run", "--plan-only", "--device", "l4", "--canvas", "30", "--out", join(folder, "never.json"), "--json"];
  const plan = async (challenges: string, ...more: string[]): Promise<PlanReport> =>
    lastLine(await trm(...args, "--challenges", challenges, ...more)) as unknown as PlanReport;
  // Twelve times as many tasks have twelve times as many pairs: so many epochs end before the budget does, there and here.
  const epochs = ["--epochs", "1000"];
  const [few, many, fewByEpochs, manyByEpochs] = await Promise.all([
    plan(manyTasks(20)),
    plan(manyTasks(240)),
    plan(manyTasks(20), ...epochs),
    plan(manyTasks(240), ...epochs),
  ]);
  assert.ok(manyByEpochs.phases[1]!.steps! < many.phases[1]!.steps!);
  assert.deepEqual(fewByEpochs.forecast!.steps, { here: fewByEpochs.phases[1]!.steps, hidden: 12 * fewByEpochs.phases[1]!.steps! });
  assert.ok(Math.abs(fewByEpochs.forecast!.steps.hidden - manyByEpochs.phases[1]!.steps!) < 12);
  const { tasks, testInputs, steps, rounds, predictSeconds, trainSeconds } = few!.forecast!;
  assert.deepEqual([tasks, testInputs, rounds], [240, many!.testInputs, many!.plan.rounds]);
  assert.equal(many!.forecast, undefined, "they are as many already");
  assert.equal(steps.here, few!.phases[1]!.steps);
  const close = (a: number, b: number): void => assert.ok(Math.abs(a / b - 1) < 1e-3, `${a} and ${b}`);
  close(steps.hidden, many!.phases[1]!.steps!);
  close(predictSeconds, many!.plan.predictSeconds);
  close(trainSeconds, many!.plan.trainSeconds);
  assert.ok(steps.hidden < steps.here);
});

test("with canvases of several sizes a large task does not make the small ones as dear as itself", { skip: noEngine }, async () => {
  const sample = JSON.parse(readFileSync(SAMPLE, "utf8")) as Record<string, unknown>;
  const large = Array.from({ length: 30 }, () => new Array<number>(30).fill(1));
  const path = join(folder, "one-large.json");
  const pairs = [0, 1].map(() => ({ input: large, output: large }));
  writeFileSync(path, JSON.stringify({ ...sample, ffffffff: { train: pairs, test: [{ input: large }] } }));
  const args = ["run", "--plan-only", "--device", "l4", "--challenges", path, "--out", join(folder, "never.json")];
  const [one, several] = await Promise.all(
    ["auto", "grouped"].map(async (canvas) => lastLine(await trm(...args, "--canvas", canvas, "--json")) as unknown as PlanReport),
  );
  assert.deepEqual([one!.canvas, several!.canvas, one!.canvases], [30, 30, undefined]);
  // The size of one answer is not certain.
  assert.deepEqual(several!.canvases, [
    { side: 8, tasks: 19 },
    { side: 30, tasks: 2 },
  ]);
  assert.ok(
    several!.times.stepSeconds < one!.times.stepSeconds / 4,
    `${several!.times.stepSeconds} s, all on one ${one!.times.stepSeconds} s`,
  );
  assert.ok(several!.times.compileSeconds > one!.times.compileSeconds, "each canvas has steps of its own to compile");
  assert.ok(several!.phases[1]!.steps! > 3 * one!.phases[1]!.steps!);
  const { stdout } = await trm(...args, "--canvas", "grouped");
  assert.match(stdout, /21 tasks, 23 test inputs on canvases of 8 x 8 \(19 tasks\) and 30 x 30 \(2 tasks\);/);
});

test("twelve hours of 240 tasks on 4 workers, more than a thousand times faster: phases, deadline, disk", { skip: noEngine }, async () => {
  const runDir = join(folder, "rehearsed");
  const challenges = manyTasks(240);
  const out = join(folder, "rehearsed.json");
  const args = [
    "run",
    "--device",
    "l4",
    "--canvas",
    "30",
    "--time-scale",
    String(SCALE),
    "--challenges",
    challenges,
    "--run-dir",
    runDir,
    "--out",
    out,
    "--json",
  ];
  const ended = await trm(...args);
  const result = lastLine(ended) as {
    seconds: { total: number; adapt: number; predict: number };
    steps: number;
    rehearsal: boolean;
    lost: number;
    plan: { trainSeconds: number };
  };
  await assertValid(out, challenges);
  assert.equal(result.rehearsal, true);
  assert.match(ended.stderr, /a REHEARSAL of 4 x L4/);
  assert.equal(result.lost, 0);
  const { total } = result.seconds;
  // A reserve of five minutes is kept; of the rest nothing is left over. A real second is more than a thousand of these.
  assert.ok(total <= BUDGET + 2 / SCALE, `${total} s of ${BUDGET}`);
  assert.ok(total >= 0.95 * BUDGET, `${total} s of ${BUDGET}`);
  const log = events(runDir);
  // A timer may be a millisecond late, a second of the run; a busy machine more. Work goes on until the end of the plan, as it became on the way.
  const { trainSeconds } = result.plan;
  assert.ok(Math.abs(result.seconds.adapt - trainSeconds) < 0.1 * BUDGET, `trained ${result.seconds.adapt} s, planned ${trainSeconds}`);
  assert.ok(log.some(({ event }) => event === "replan"));
  assert.equal(log.filter(({ event }) => event === "interim").length, 3);
  assert.ok(log.some(({ event }) => event === "snapshot"));
  assert.ok(bytesBelow(runDir) < 2e9, `${bytesBelow(runDir)} bytes`);
});

test("what a rehearsal makes up doesn't take the place of a run's files, and is known for what it is", { skip: noEngine }, async () => {
  const out = join(folder, "made-up", "submission.json");
  const real = put("made-up/candidates.json", "a run's own");
  const args = ["--device", "l4", "--canvas", "30", "--time-scale", "0.001", "--budget", "2h", "--challenges", manyTasks(2), "--out", out];
  const { candidates } = lastLine(await trm("run", ...args, "--json")) as { candidates: string };
  assert.equal(candidates, join(folder, "made-up", "rehearsal-candidates.json"));
  assert.equal(readFileSync(real, "utf8"), "a run's own");
  const merged = await trm("merge", candidates, "--out", join(folder, "made-up", "merged.json"));
  assert.match(merged.stderr, /rehearsal-candidates\.json holds the MADE-UP ANSWERS of a rehearsal/);
});

test("a rehearsal is killed and taken up again on its own clock", { skip: noEngine }, async () => {
  const runDir = join(folder, "killed");
  const args = [
    "--device",
    "l4",
    "--canvas",
    "30",
    "--time-scale",
    "0.0003",
    "--challenges",
    SAMPLE,
    "--out",
    join(folder, "killed.json"),
    "--json",
  ];
  const running = start("run", ...args, "--run-dir", runDir);
  await running.said(/train {3}step/);
  running.child.kill("SIGKILL");
  await running.ended;
  const result = lastLine(await trm("run", ...args, "--resume", runDir)) as { seconds: { total: number } };
  // Three real seconds.
  assert.ok(result.seconds.total <= BUDGET + 10_000 && result.seconds.total >= 0.9 * BUDGET, `${result.seconds.total} s`);
  assert.ok(events(runDir).some(({ event }) => event === "resumed"));
});

test("--plan-only without a device measures here, and tells what a step takes", async () => {
  const { stderr, stdout, status } = await trm(
    ...["run", "--plan-only", "--challenges", SAMPLE, "--solutions", SAMPLE_SOLUTIONS, "--checkpoint", "checkpoints/sample"],
    ...["--engine", "wasm", "--budget", "10m", "--batch-size", "8", "--out", join(folder, "unwritten.json"), "--json"],
  );
  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    /plan of 10m:\n.*start .*\n.*train .* steps at .* warm-up; \d+ interim predictions under \d+ variants?, .* each, scored\n/,
  );
  const { plan, phases } = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as {
    plan: { trainSeconds: number };
    phases: { name: string; steps?: number }[];
  };
  assert.ok(plan.trainSeconds > 300);
  assert.deepEqual(
    phases.map(({ name }) => name),
    ["start", "train", "predict", "reserve"],
  );
  assert.ok(phases[1]!.steps! > 10, "as many as the measured time of a step lets fit");
  assert.ok(!readdirSync(folder).includes("unwritten.json"));
});

test("options of a rehearsal that don't go together are refused", async () => {
  const refused: [string[], RegExp][] = [
    [["--time-scale", "0.01"], /--time-scale rehearses a machine: say which with --device l4/],
    [["--time-scale", "0", "--device", "l4"], /--time-scale 0: expected more than 0/],
    [["--device", "l4"], /give --plan-only for its plan or --time-scale/],
    [["--plan-only", "--device", "l4", "--time-scale", "0.1"], /--plan-only rehearses nothing/],
    [["--plan-only", "--run-dir", join(folder, "none")], /--plan-only writes nothing: leave --run-dir out/],
  ];
  for (const [options, expected] of refused) {
    const { status, stderr } = await trm("run", "--challenges", SAMPLE, "--checkpoint", "checkpoints/sample", ...options);
    assert.equal(status, 1, stderr);
    assert.match(stderr, expected);
  }
});
