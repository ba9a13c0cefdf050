/**
 * How much a run is slowed by those who follow it: `node test/scaling/followers.mjs [--clients 200] [--seconds 30] [--rounds 4] [--workers CORES]
 * [--engine wasm] [--checkpoint DIR] [--challenges F] [--most 2]`.
 *
 * One run with a worker for each core, and one `report --follow` of it. In turn, for so many seconds: the server is halted; it runs and so many clients ask
 * it for its data without a pause, as fast as it answers them. Optimizer steps a second are from the run's metrics. The processor time of server and
 * clients is from the system: where all cores are busy, it is what the run can lose. Ends with status 1 where the run is slowed by more than --most percent
 * (2) beyond the standard error.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { BUNDLE, mean, standardError, table } from "./trm.mjs";

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "200" },
    seconds: { type: "string", default: "30" },
    rounds: { type: "string", default: "4" },
    workers: { type: "string", default: String(availableParallelism()) },
    engine: { type: "string", default: "wasm" },
    checkpoint: { type: "string", default: "checkpoints/sample" },
    most: { type: "string", default: "2" },
    challenges: { type: "string", default: "submission/sample-challenges.json" },
  },
});
const [clients, seconds, rounds] = [values.clients, values.seconds, values.rounds].map(Number);
const folder = mkdtempSync(join(tmpdir(), "trm-followers-"));
const runFolder = join(folder, "run");
const processes = [];

function start(...args) {
  const child = spawn(process.execPath, [BUNDLE, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  processes.push(child);
  child.stderr.setEncoding("utf8");
  child.stdout.setEncoding("utf8");
  return child;
}

/** The first match in what a stream says. */
function said(stream, pattern) {
  return new Promise((done, fail) => {
    let text = "";
    stream.on("data", (part) => {
      text += part;
      const match = pattern.exec(text);
      if (match) done(match);
    });
    stream.on("end", () => fail(new Error(`it ended without saying ${pattern}:\n${text.slice(-2000)}`)));
  });
}

/** Steps and the times at which they were noted, in seconds, of the run so far. */
const noted = () =>
  readFileSync(join(runFolder, "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .flatMap((line) => (line.includes('"train/lm loss"') ? [JSON.parse(line)] : []));

/** Optimizer steps a second, from the notes within a span of time. */
function rateBetween(from, to) {
  const within = noted().filter(({ time }) => time >= from && time <= to);
  if (within.length < 2) throw new Error(`the run noted ${within.length} steps in ${seconds} s: raise --seconds`);
  const [first, last] = [within[0], within.at(-1)];
  return (last.step - first.step) / (last.time - first.time);
}

/** Seconds of processor time that a process has used. */
function processorSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Asks without a pause until a time, as a page does: with the tag of what it has. @returns how many answers came */
async function follow(url, until) {
  let [answers, tag] = [0, undefined];
  while (Date.now() / 1000 < until) {
    await new Promise((done, fail) => {
      const headers = { host: url.host, ...(tag && { "if-none-match": tag }) };
      request({ hostname: url.hostname, port: url.port, path: `/data${url.search}`, headers, agent: false }, (response) => {
        if (response.statusCode !== 200 && response.statusCode !== 304) fail(new Error(`status ${response.statusCode}`));
        tag = response.headers.etag;
        response.resume().on("end", done);
      })
        .on("error", fail)
        .end();
    });
    answers++;
  }
  return answers;
}

try {
  const run = start(
    ...["run", "--preset", "demo", "--engine", values.engine, "--challenges", values.challenges, "--checkpoint", values.checkpoint],
    ...["--workers", values.workers, "--steps", "1000000", "--budget", "6h", "--out", join(folder, "submission.json")],
    ...["--run-dir", runFolder],
  );
  await said(run.stderr, /step \d/);
  const server = start("report", runFolder, "--follow", "--json");
  const url = new URL(JSON.parse((await said(server.stdout, /^\{.*\}$/m))[0]).url);
  await sleep(10_000);

  const arms = { alone: [], followed: [] };
  const used = { server: 0, clients: 0, answers: 0 };
  for (let round = 0; round < rounds; round++) {
    for (const arm of round % 2 === 0 ? ["alone", "followed"] : ["followed", "alone"]) {
      server.kill(arm === "alone" ? "SIGSTOP" : "SIGCONT");
      await sleep(1000);
      const from = Date.now() / 1000;
      const before = [processorSeconds(server.pid), processorSeconds(process.pid)];
      if (arm === "followed") {
        const asked = Array.from({ length: clients }, () => follow(url, from + seconds));
        used.answers += (await Promise.all(asked)).reduce((total, answers) => total + answers, 0);
        used.server += processorSeconds(server.pid) - before[0];
        used.clients += processorSeconds(process.pid) - before[1];
      } else await sleep(1000 * seconds);
      arms[arm].push(rateBetween(from, Date.now() / 1000));
    }
  }
  server.kill("SIGCONT");
  const slower = arms.alone.map((rate, round) => 100 * (1 - arms.followed[round] / rate));
  console.log(
    `${cpus()[0].model}, ${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}; ${values.workers} workers, ${values.engine}`,
  );
  console.log(
    table([
      ["round", "steps/s alone", `steps/s with ${clients} clients`, "slower by"],
      ...slower.map((percent, i) => [i, arms.alone[i].toFixed(2), arms.followed[i].toFixed(2), `${percent.toFixed(1)} %`]),
    ]),
  );
  const share = (value) => `${((100 * value) / (rounds * seconds)).toFixed(1)} % of one core`;
  if (mean(slower) - standardError(slower) > Number(values.most)) process.exitCode = 1;
  console.log(`slower by ${mean(slower).toFixed(2)} % +- ${standardError(slower).toFixed(2)} (standard error over ${rounds} rounds)`);
  console.log(
    `${(used.answers / rounds / seconds).toFixed(1)} answers a second; server ${share(used.server)}, clients ${share(used.clients)}`,
  );
} finally {
  for (const child of processes) {
    child.kill("SIGCONT");
    child.kill("SIGTERM");
  }
  await Promise.all(processes.map((child) => child.exitCode ?? new Promise((done) => child.on("close", done))));
  rmSync(folder, { recursive: true, force: true });
}
