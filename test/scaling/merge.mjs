/**
 * Wall clock and greatest memory of a merge of many candidate files: `node test/scaling/merge.mjs [--tasks 10000] [--files 8] [--candidates 10]
 * [--sides 1,30] [--repeats 3] [--most-seconds 20] [--most-megabytes 1000]`. Every task has one test input; a candidate's sides are drawn between the two,
 * its votes between 1 and 50. Ends with status 1 where the median takes longer, or one merge more memory.
 */
import { spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { parseArgs } from "node:util";
import { BUNDLE, counts, median } from "./trm.mjs";

const { values } = parseArgs({
  options: {
    tasks: { type: "string", default: "10000" },
    files: { type: "string", default: "8" },
    candidates: { type: "string", default: "10" },
    sides: { type: "string", default: "1,30" },
    repeats: { type: "string", default: "3" },
    "most-seconds": { type: "string", default: "20" },
    "most-megabytes": { type: "string", default: "1000" },
  },
});
const [tasks, files, candidates, repeats] = ["tasks", "files", "candidates", "repeats"].map((name) => counts(name, values[name])[0]);
const [shortest, longest] = counts("sides", values.sides);
const folder = mkdtempSync(join(tmpdir(), "trm-merge-"));

/** Numbers that look random and are the same every time. */
let state = 1;
function below(limit) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

const side = () => shortest + below(longest - shortest + 1);
function grid() {
  const width = side();
  return `[${Array.from({ length: side() }, () => `[${Array.from({ length: width }, () => below(10)).join(",")}]`).join(",")}]`;
}

async function write(path) {
  const out = createWriteStream(path);
  out.write('{"version":1,"tasks":{');
  for (let i = 0; i < tasks; i++) {
    const list = Array.from({ length: candidates }, () => `{"grid":${grid()},"votes":${1 + below(50)},"meanQ":${below(1000) / 1000}}`);
    if (!out.write(`${i ? "," : ""}"${i.toString(16).padStart(8, "0")}":[[${list.join(",")}]]`))
      await new Promise((go) => out.once("drain", go));
  }
  out.end("}}");
  await finished(out);
}

/** Seconds and bytes at the peak of one merge. */
async function merge(paths) {
  const began = performance.now();
  const child = spawn(process.execPath, [BUNDLE, "merge", ...paths, "--out", join(folder, "submission.json")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let [peak, said] = [0, ""];
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  const look = setInterval(() => {
    try {
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? 0));
    } catch {
      // it has ended
    }
  }, 20);
  const status = await new Promise((done) => child.on("close", done));
  clearInterval(look);
  if (status !== 0) throw new Error(`merge ended with status ${status}:\n${said.slice(-2000)}`);
  return { seconds: (performance.now() - began) / 1000, bytes: peak * 1024 };
}

try {
  const paths = Array.from({ length: files }, (_, i) => join(folder, `candidates-${i}.json`));
  for (const path of paths) await write(path);
  const read = paths.reduce((sum, path) => sum + statSync(path).size, 0);
  const runs = [];
  for (let i = 0; i < repeats; i++) runs.push(await merge(paths));
  const times = runs.map(({ seconds }) => seconds);
  const megabytes = Math.max(...runs.map(({ bytes }) => bytes)) / 1e6;
  if (median(times) > Number(values["most-seconds"]) || megabytes > Number(values["most-megabytes"])) process.exitCode = 1;
  console.log(`${cpus()[0].model}, load ${loadavg()[0].toFixed(1)}`);
  console.log(
    `${files} files of ${tasks} tasks with ${candidates} candidates each, ${(read / 1e6).toFixed(0)} MB: ${median(times).toFixed(1)} s ` +
      `(${times.map((seconds) => seconds.toFixed(1)).join(", ")}), ${megabytes.toFixed(0)} MB at most`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
