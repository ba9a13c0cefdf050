/** Runs with random budgets on both engines: when they end, how much of the budget they use, what they leave on the disk. */
import { spawnSync } from "node:child_process";
import { atMost, randomOf } from "./processes.mjs";
import { BUNDLE, GRACE_SECONDS, Trial } from "./trial.mjs";

/** Of the budget, on average over the runs. */
const LEAST_SHARE = 0.95;
/** Log and snapshots of a run of 12 hours. */
const LONG_HOURS = 12;
const MOST_BYTES = 2e9;

/**
 * Makes the runs and prints what came of them.
 *
 * Votes go on although nothing can change any more (`--vote-all`): a run that has nothing left to do would end early.
 *
 * @param options.budget seconds, `from-to`
 * @returns how many promises were not kept
 */
export async function deadlineRuns({ runs, atOnce, seed: firstSeed, budget: range, verbose }) {
  const [from, to] = range.split("-").map(Number);
  const engines = enginesHere();
  const ends = [];

  await atMost(atOnce, runs, async (i) => {
    const seed = firstSeed + i;
    const random = randomOf(seed);
    const budget = Math.round(10 * random.between(from, to ?? from)) / 10;
    const engine = engines[seed % engines.length];
    const workers = random.pick([1, 2, 2, 3]);
    const sync = random.pick(["allreduce", "allreduce", "none"]);
    const [tasks, batch] = [random.pick([4, 10, 20]), random.pick([8, 16, 32])];
    const options = [
      ...["--engine", engine, "--workers", String(workers), "--sync", sync, "--limit", String(tasks), "--batch-size", String(batch)],
      ...["--halt-max-steps", String(random.pick([1, 3])), "--vote-all", "--snapshot-every", "5s"],
    ];
    const trial = new Trial({ budget, options });
    trial.begin();
    await trial.finish();
    const { share, secondsOver: over, bytes } = trial;
    const log = bytes.all - bytes.snapshots;
    ends.push({ engine, budget, share, over, log, snapshots: bytes.snapshots, failed: trial.problems.length > 0 });
    const what = `seed ${seed}: ${budget} s, ${engine}, ${workers} workers, ${sync}, ${tasks} tasks, batch ${batch}`;
    const notes = trial.notes.map((note) => `; ${note}`).join("");
    const lying = `${kilobytes(log)} of log and votes, ${kilobytes(bytes.snapshots)} of snapshots at most`;
    trial.conclude(`${what}${notes}: ended after ${(100 * share).toFixed(1)} % (${over.toFixed(2)} s), ${lying}`, verbose);
  });

  const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  console.log(
    "\n| engine | runs | budgets | latest end after the budget | budget used on average (least) | log and votes a minute | snapshots at most | failed |\n| --- | --- | --- | --- | --- | --- | --- | --- |",
  );
  for (const engine of engines) {
    const of = ends.filter((end) => end.engine === engine);
    if (of.length === 0) continue;
    const budgets = of.map(({ budget }) => budget);
    const shares = of.map(({ share }) => share);
    console.log(
      `| ${engine} | ${of.length} | ${Math.min(...budgets)}-${Math.max(...budgets)} s | ${Math.max(...of.map(({ over }) => over)).toFixed(2)} s | ${(100 * mean(shares)).toFixed(1)} % (${(100 * Math.min(...shares)).toFixed(1)} %) | ${kilobytes(mean(of.map(({ log, budget }) => (60 * log) / budget)))} | ${kilobytes(Math.max(...of.map(({ snapshots }) => snapshots)))} | ${of.filter(({ failed }) => failed).length} |`,
    );
  }
  const failed = ends.filter((end) => end.failed).length;
  const share = mean(ends.map((end) => end.share));
  const long = Math.max(...ends.map(({ log, budget, snapshots }) => (LONG_HOURS * 3600 * log) / budget + snapshots));
  console.log(
    `\n${ends.length} runs, ${failed} failed; latest end ${Math.max(...ends.map(({ over }) => over)).toFixed(2)} s after the budget (${GRACE_SECONDS} allowed); ` +
      `${(100 * share).toFixed(1)} % of the budget used on average (${100 * LEAST_SHARE} wanted); ` +
      `log and snapshots of ${LONG_HOURS} hours at the pace of the busiest run ${(long / 1e6).toFixed(0)} MB (${MOST_BYTES / 1e6} allowed)`,
  );
  return failed + (share > LEAST_SHARE ? 0 : 1) + (long <= MOST_BYTES ? 0 : 1);
}

/** The engines that work here; says which one does not. */
function enginesHere() {
  const { engines } = JSON.parse(spawnSync(process.execPath, [BUNDLE, "doctor", "--json"], { encoding: "utf8" }).stdout);
  for (const [name, { works, why }] of Object.entries(engines)) if (!works) console.log(`left out: ${name} (${why})`);
  return Object.keys(engines).filter((name) => engines[name].works);
}

const kilobytes = (bytes) => `${(bytes / 1e3).toFixed(0)} kB`;
