/** Runs with a fault each, at a random moment. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FAULTS } from "./faults.mjs";
import { atMost, randomOf } from "./processes.mjs";
import { GRACE_SECONDS, Trial } from "./trial.mjs";

/**
 * Makes the runs and prints what came of them.
 *
 * @param options.budget seconds, `from-to`
 * @param options.only   part of the names of the faults to be put in
 * @returns how many failed
 */
export async function faultRuns({ runs, atOnce, seed: firstSeed, budget: range, only, verbose }) {
  const [from, to] = range.split("-").map(Number);
  const names = Object.keys(FAULTS).filter((name) => (only === "" ? name !== "none" : name.includes(only)));
  if (names.length === 0) throw new Error(`--only ${only}: no such fault; there are ${Object.keys(FAULTS).join("; ")}`);
  const reasons = new Map(names.flatMap((name) => (FAULTS[name].needs?.() === undefined ? [] : [[name, FAULTS[name].needs()]])));
  for (const [name, reason] of reasons) console.log(`left out: ${name} (${reason})`);
  const possible = names.filter((name) => !reasons.has(name));
  const table = new Map(possible.map((name) => [name, { runs: 0, hit: 0, lost: 0, back: 0, failed: 0 }]));
  const ends = [];
  const failures = [];

  await atMost(atOnce, runs, async (i) => {
    const seed = firstSeed + i;
    const name = possible[seed % possible.length];
    const random = randomOf(seed);
    const fault = FAULTS[name];
    const budget = Math.round(10 * random.between(from, to ?? from)) / 10;
    const moment = random.between(0, budget - 1);
    const workers = random.pick([2, 2, 2, 3, 1]);
    const sync = random.pick(["allreduce", "allreduce", "none"]);
    const options = ["--workers", String(workers), "--sync", sync, "--halt-max-steps", String(random.pick([1, 3]))];
    const trial = new Trial({ budget, options });
    try {
      fault.prepare?.(trial, random);
      trial.begin();
      trial.acting = (async () => {
        if (await trial.until(moment)) await fault.act(trial, random);
      })();
      await trial.finish();
    } finally {
      fault.clear?.(trial);
    }
    const events = eventsOf(trial);
    const count = (event) => events.filter((entry) => entry.event === event).length;
    const row = table.get(name);
    row.runs++;
    row.hit += trial.hit ? 1 : 0;
    row.lost += count("lost");
    row.back += count("restored") + count("resumed");
    if (trial.problems.length > 0) row.failed++;
    ends.push({ over: trial.secondsOver, share: trial.share, cut: trial.status === 0 });
    const what = `seed ${seed}: ${name} at ${moment.toFixed(2)} s of ${budget} s, ${workers} workers, ${sync}${trial.notes
      .filter(Boolean)
      .map((note) => `; ${note}`)
      .join("")}`;
    const how = `ended after ${(100 * trial.share).toFixed(1)} % (${trial.secondsOver.toFixed(2)} s), lost ${count("lost")}, restored ${count("restored")}`;
    if (trial.problems.length > 0) failures.push(seed);
    trial.conclude(`${what}: ${trial.hit ? how : `no effect, ${how}`}`, verbose);
  });

  console.log("\n| fault | runs | felt | workers lost | states taken up again | failed |\n| --- | --- | --- | --- | --- | --- |");
  for (const [name, row] of table)
    if (row.runs > 0) console.log(`| ${name} | ${row.runs} | ${row.hit} | ${row.lost} | ${row.back} | ${row.failed} |`);
  const whole = ends.filter(({ cut }) => cut);
  const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  console.log(
    `\n${ends.length} runs, ${failures.length} failed${failures.length > 0 ? ` (seeds ${failures.join(", ")})` : ""}; latest end ${Math.max(...ends.map(({ over }) => over)).toFixed(2)} s after the budget (${GRACE_SECONDS} allowed)` +
      (whole.length > 0
        ? `; runs that ended by themselves used ${(100 * mean(whole.map(({ share }) => share))).toFixed(1)} % of their budget`
        : ""),
  );
  return failures.length;
}

function eventsOf(trial) {
  const path = join(trial.runDir, "events.jsonl");
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .flatMap((line) => {
      try {
        return [JSON.parse(line)];
      } catch {
        return []; // cut off by a kill or a full disk
      }
    });
}
