/** `trm slurm` on a real Slurm of one node: shards that are stopped, requeued and killed, and what the merge makes of them. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { assertValid, folder, lastLine, put, QUICK, SAMPLE, scratch, toyCheckpoint, trm } from "../cli/toy.ts";

const COUNT = 4;
const lab = mkdtempSync(join(tmpdir(), "trm-slurm-"));
const oneNode = (command: "start" | "stop") =>
  spawnSync("bash", [resolve("test/slurm/one-node.sh"), command, lab], { encoding: "utf8", env: { ...process.env, TMPDIR: scratch } });

/** Why there can be no Slurm here; false where there is one, or must be. */
const without =
  process.env.TRM_REQUIRE_SLURM !== "1" &&
  (process.getuid?.() !== 0
    ? "a Slurm of one node must be started by root"
    : spawnSync("sh", ["-c", "PATH=$PATH:/usr/sbin; command -v slurmctld && command -v munged && command -v sbatch"]).status !== 0 &&
      "no Slurm here (Debian: slurmctld slurmd slurm-client munge)");

before(() => {
  if (without) return;
  const { status, stderr } = oneNode("start");
  assert.equal(status, 0, stderr);
  process.env.SLURM_CONF = join(lab, "slurm.conf");
});
after(() => {
  if (!without) oneNode("stop");
  rmSync(lab, { recursive: true, force: true });
});

function slurm(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  assert.equal(status, 0, `${command} ${args.join(" ")}: ${stderr}`);
  return stdout.trim();
}

/** Waits until this is so. */
async function until(seconds: number, what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  while (!isSo()) {
    assert.ok(performance.now() < end, `${what}: not within ${seconds} s`);
    await sleep(100);
  }
}

const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "");

/** A requeued job that starts in the second in which it was ended is refused by slurmd: "already killed". */
const REQUEUE_MILLIS = 3000;

/** Waits until no job is left. Slurm lets a requeued job wait two minutes; here some seconds do. */
async function allEnded(seconds: number, where: string): Promise<void> {
  const since = new Map<string, number>();
  await until(seconds, `the jobs of ${where} end`, () => {
    const waiting = slurm("squeue", "--noheader", "--array", "--states=PENDING", "--format=%i %r").split("\n");
    for (const [job, reason] of waiting.map((line) => line.split(" ") as [string, string?])) {
      if (reason !== "BeginTime") continue;
      if (!since.has(job)) since.set(job, performance.now());
      else if (performance.now() - since.get(job)! > REQUEUE_MILLIS) slurm("scontrol", "update", `JobId=${job}`, "StartTime=now");
    }
    return slurm("squeue", "--noheader") === "";
  });
}

test("shards stopped before their limit, requeued, crashed and killed go on, and the merge is that of four runs by hand", {
  skip: without,
}, async () => {
  const place = join(folder, "a place's name, 100 % $HOME");
  mkdirSync(place);
  const challenges = put("a place's name, 100 % $HOME/the tasks.json", readFileSync(SAMPLE));
  const steps = ["--workers", "1", "--steps", "100", "--snapshot-every", "0.2s"];
  const common = ["--challenges", challenges, "--checkpoint", await toyCheckpoint(), "--budget", "170s", "--seed", "5"];
  const run = join(place, "run");
  const submitted = await trm("slurm", "--shards", `${COUNT}`, ...common, "--folder", run, "--submit", "--json", "--", ...QUICK, ...steps);
  const { array } = lastLine(submitted) as { array: string };
  const log = (shard: number): string => join(run, "logs", `shard-${shard}.log`);
  const training = (shard: number) => until(100, `shard ${shard} trains`, () => /\n.* {2}train +/.test(textOf(log(shard))));

  const disturbances: readonly (() => void)[] = [
    () => slurm("scancel", "--signal=TERM", "--batch", `${array}_0`), // as Slurm does before the time limit
    () => slurm("scontrol", "requeue", `${array}_1`), // as at a pre-emption
    () => slurm("scancel", "--signal=KILL", "--full", `${array}_2`), // nothing is left that could queue it again
    () => {
      const command = `--shard auto/${COUNT} --resume ${run}/shard-3 `.replaceAll("$", "\\$");
      process.kill(Number(/^(\d+)/.exec(slurm("pgrep", "--full", "--", command))![1]), "SIGKILL");
    },
  ];
  await Promise.all(disturbances.map((disturb, shard) => training(shard).then(disturb))); // each in its own training, that none is over
  await allEnded(400, run);

  for (const shard of [0, 1, 2, 3]) {
    const said = textOf(log(shard));
    assert.equal(said.match(/the run is taken up again in phase train/g)?.length, 1, said);
    assert.match(said, /ended with status 0$/m);
  }
  assert.match(textOf(log(0)), /ended with status 143; queued again/);
  assert.match(textOf(log(3)), /ended with status 137; queued again/);
  const merged = textOf(join(run, "logs/merge.log"));
  assert.match(merged, /^shard 2 of 4 has not come to its end/m);
  assert.match(merged, /^shards 2 have not come to their end: submitted once more$/m);
  assert.match(textOf(join(run, "jobs.log")), /^round 2: shards 2 in job \d+, merge in job \d+$/m);
  await assertValid(join(run, "submission.json"), challenges);
  assert.match(textOf(join(run, "report.html")), /Merged from 4 of 4 shards/);

  const hand = await Promise.all(
    Array.from({ length: COUNT }, async (_, shard) => {
      const out = join(folder, "hand", `${shard}`, "submission.json");
      lastLine(await trm("run", ...common, ...QUICK, ...steps, "--shard", `${shard}/${COUNT}`, "--out", out, "--json"));
      return join(folder, "hand", `${shard}`, "candidates.json");
    }),
  );
  const [out, candidates] = ["submission.json", "candidates.json"].map((name) => join(folder, "hand", name)) as [string, string];
  lastLine(
    await trm("merge", ...hand, "--expect", `${COUNT}`, "--challenges", challenges, "--out", out, "--candidates", candidates, "--json"),
  );
  for (const name of ["submission.json", "candidates.json"])
    assert.equal(textOf(join(run, name)), textOf(join(folder, "hand", name)), name);
});

test("a shard that can't begin is named by the merge, its tasks get fallback answers, and it is not tried for ever; each has its GPU", {
  skip: without,
}, async () => {
  const run = join(folder, "refused");
  const common = ["--challenges", SAMPLE, "--checkpoint", await toyCheckpoint(), "--budget", "60s"];
  const options = ["--folder", run, "--rounds", "2", "--gpus", "1", "--json"];
  lastLine(
    await trm("slurm", "--shards", "2", ...common, ...options, "--", ...QUICK, "--workers", "1", "--steps", "1", "--method", "none"),
  );
  const settings = join(run, "settings.sh");
  // Slurm's GPUs are none here: what the shards would see of them is written down instead.
  const without = textOf(settings).replace("--require-gpus 1 ", "");
  assert.notEqual(without, textOf(settings));
  const own = `echo "GPUs: \${CUDA_VISIBLE_DEVICES-}" >&2\n[ "\${SLURM_ARRAY_TASK_ID:-}" != 1 ] || RUN+=(--canvas 99)\n`;
  put("refused/settings.sh", `${without}\n${own}`);
  slurm("bash", join(run, "submit.sh"));
  await allEnded(100, run);
  assert.match(textOf(join(run, "logs/shard-1.log")), /--canvas 99: expected/);
  for (const shard of [0, 1]) assert.match(textOf(join(run, `logs/shard-${shard}.log`)), /^GPUs: \d$/m);
  const rounds = textOf(join(run, "jobs.log")).trimEnd().split("\n");
  assert.deepEqual(
    rounds.map((line) => line.replaceAll(/job \d+/g, "job")),
    ["round 1: shards 0-1 in job, merge in job", "round 2: shards 1 in job, merge in job"],
  );
  assert.match(textOf(join(run, "logs/merge.log")), /shard 1 of 2 failed: \d+ tasks have fallback answers/);
  const states = rounds.map((line) => /JobState=(\w+)/.exec(slurm("scontrol", "show", "job", /merge in job (\d+)/.exec(line)![1]!))![1]);
  assert.deepEqual(states, ["FAILED", "FAILED"]);
  await assertValid(join(run, "submission.json"));
});

test("without --submit the files are written and the command to submit them is printed; what can't work is refused before", async () => {
  const run = join(folder, "not submitted");
  const common = ["slurm", "--challenges", SAMPLE, "--checkpoint", await toyCheckpoint(), "--shards", "3", "--folder", run];
  const { status, stdout, stderr } = await trm(
    ...common,
    "--budget",
    "10h",
    "--time",
    "4h",
    "--gpus",
    "4",
    "--at-once",
    "2",
    "--",
    "--preset",
    "nvarc",
  );
  assert.equal(status, 0, stderr);
  assert.equal(stdout, `bash '${run}/submit.sh'\n`);
  assert.match(
    stderr,
    /^3 shards of 6 to 7 tasks, 3[\d.]+ to 3[\d.]+ % of the cost each; settings\.sh, submit\.sh, shard\.sh, merge\.sh in /m,
  );
  assert.match(stderr, /a budget of 10h does not fit into 4h: each shard is queued again 2 times or so/);
  assert.match(textOf(join(run, "settings.sh")), /--budget 10h --seed 0 --free-pauses --require-gpus 4 --preset nvarc \)\n/);

  const refused = async (message: RegExp, ...options: string[]): Promise<void> => {
    const ended = await trm(...common, ...options);
    assert.equal(ended.status, 1);
    assert.match(ended.stderr, message);
  };
  await refused(/^--shards 0: expected a whole number from 1 up/, "--budget", "1h", "--shards", "0");
  await refused(/^a time limit of 2m leaves less than a minute/, "--budget", "1h", "--time", "2m");
  await refused(/^--out after --: /, "--budget", "1h", "--", "--out", "x");
  put("not submitted/shard-0/config.json", "{}");
  await refused(/holds shards of an earlier run: choose another, or remove them/, "--budget", "1h");
});
