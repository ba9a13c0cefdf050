/** One run of the product with a fault in it, watched from outside, and what is promised of its end. */
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { processesWith, secondsWaited, sleep, workersOf } from "./processes.mjs";

export const BUNDLE = resolve("submission/trm.mjs");
const CHALLENGES = resolve("submission/sample-challenges.json");
const CHECKPOINT = resolve("checkpoints/sample");
/** The end may come this much after the budget. */
export const GRACE_SECONDS = 2;
/** What a process takes to start. */
const START_SECONDS = 1;
const LOOK_MILLIS = 100;
/** Waiting for a processor excuses a late end from this long before the budget on; before that the run must reckon with it. */
const EXCUSED_SECONDS = 1;
/** Of the budget: a machine that is so busy tells little of a deadline. */
const MUCH_WAITED = 0.2;
const STANDSTILL_MILLIS = 1500;
const SIGNALS = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

const testInputs = Object.fromEntries(
  Object.entries(JSON.parse(readFileSync(CHALLENGES, "utf8"))).map(([id, { test }]) => [id, test.length]),
);

/** Why the competition would not take a submission; undefined where it would. */
function problemOf(text) {
  let answers;
  try {
    answers = JSON.parse(text);
  } catch (error) {
    return `is not JSON: ${error.message}`;
  }
  const isGrid = (grid) =>
    Array.isArray(grid) &&
    grid.length >= 1 &&
    grid.length <= 30 &&
    grid.every(
      (row) =>
        row.length === grid[0].length &&
        row.length >= 1 &&
        row.length <= 30 &&
        row.every((cell) => Number.isInteger(cell) && cell >= 0 && cell <= 9),
    );
  for (const [id, count] of Object.entries(testInputs)) {
    if (answers[id]?.length !== count) return `has ${answers[id]?.length ?? "no"} answers to task ${id}, not ${count}`;
    if (!answers[id].every(({ attempt_1, attempt_2 }) => isGrid(attempt_1) && isGrid(attempt_2)))
      return `has no valid answer to task ${id}`;
  }
  return Object.keys(answers).length === Object.keys(testInputs).length ? undefined : "answers tasks that there are not";
}

/** Bytes of the files under a folder; what is gone while it is looked at counts nothing. */
function bytesUnder(folder) {
  try {
    return readdirSync(folder, { withFileTypes: true, recursive: true }).reduce(
      (sum, entry) =>
        sum + (entry.isFile() ? (statSync(join(entry.parentPath ?? entry.path, entry.name), { throwIfNoEntry: false })?.size ?? 0) : 0),
      0,
    );
  } catch {
    return 0;
  }
}

export class Trial {
  /** what went wrong */
  problems = [];
  /** the fault was put in while the run could feel it */
  hit = false;
  /** what the run must exit with */
  statuses = [0];
  notes = [];
  standstill = 0;
  /** seconds for which its parent process waited for a processor */
  waited = 0;
  /** the part of it that the process under way has had since about its deadline, or since it was spawned where that was later */
  waitedLate = 0;
  #waitedEarly = 0;
  stderr = "";
  /** most that lay in the run's folder at a look, bytes */
  bytes = { snapshots: 0, all: 0 };
  #expected = new Set();

  /**
   * @param settings.budget  seconds
   * @param settings.options of the run, beside those that every trial has; they go before those
   * @param settings.environment on top of this process's
   * @param settings.checkpoint where its checkpoint is copied from
   */
  constructor(settings) {
    this.settings = settings;
    this.folder = mkdtempSync(join(tmpdir(), "trm-fault-"));
    this.tmp = join(this.folder, "tmp");
    mkdirSync(this.tmp);
    this.runDir = join(this.folder, "disk", "run");
    this.out = join(this.folder, "disk", "out", "submission.json");
    mkdirSync(join(this.folder, "disk"));
    this.checkpoint = CHECKPOINT;
  }

  /** Starts the run. */
  begin() {
    const { budget, options } = this.settings;
    this.arguments = [
      ...["--challenges", CHALLENGES, "--checkpoint", this.checkpoint, "--out", this.out, "--budget", `${budget}s`],
      ...[
        "--engine",
        "wasm",
        "--preset",
        "demo",
        "--batch-size",
        "8",
        "--canvas",
        "8",
        "--limit",
        "4",
        "--snapshot-every",
        "0.5s",
        ...options,
      ],
    ];
    this.began = performance.now();
    this.deadline = this.began + 1000 * budget;
    this.#spawn(["run", ...this.arguments, "--run-dir", this.runDir]);
    this.looking = setInterval(() => this.#look(), LOOK_MILLIS);
  }

  /** Takes the run up again after its process was killed; one that had not come so far as to note anything begins anew. */
  async resume() {
    await this.ended;
    this.#expected.delete(0);
    if (!existsSync(join(this.runDir, "config.json"))) {
      this.deadline = performance.now() + 1000 * this.settings.budget;
      this.notes.push("killed before it had begun");
    }
    this.deadline = Math.max(this.deadline, performance.now() + 1000 * START_SECONDS); // one that is taken up too late ends at once
    this.#spawn(["run", "--resume", this.runDir, ...(this.notes.includes("killed before it had begun") ? this.arguments : [])]);
  }

  /** Seconds since the run began. */
  get now() {
    return (performance.now() - this.began) / 1000;
  }

  get parent() {
    return this.child.pid;
  }

  get workers() {
    return workersOf(this.parent);
  }

  get isOver() {
    return this.status !== undefined;
  }

  /** Waits until a moment of the run, in seconds. @returns false where the run has ended before */
  async until(seconds) {
    while (!this.isOver && this.now < seconds) await sleep(Math.min(0.05, seconds - this.now));
    return !this.isOver;
  }

  /** Waits for the end and looks at what is left. */
  async finish() {
    const late = setTimeout(
      () => {
        this.problems.push("still running 15 s after its time: killed");
        for (const pid of processesWith(`TMPDIR=${this.tmp}`)) process.kill(pid, "SIGKILL");
      },
      this.deadline - performance.now() + 15_000,
    );
    for (let child; child !== this.child; ) {
      child = this.child; // a fault may start another process meanwhile
      await this.ended;
      await this.acting;
    }
    clearInterval(late);
    clearInterval(this.looking);
    // Only an end that comes late by sleeping or computing is the run's own fault; standing still may be told of as waiting too.
    this.secondsOver = (this.endedAt - this.deadline) / 1000 - Math.max(this.standstill, this.waitedLate);
    if (this.waitedLate > GRACE_SECONDS / 4) this.notes.push(`it waited ${this.waitedLate.toFixed(1)} s for a processor at its end`);
    if (this.standstill > 0) this.notes.push(`the machine stood still for ${this.standstill.toFixed(1)} s`);
    if (this.waited > MUCH_WAITED * this.settings.budget) this.notes.push(`it waited ${this.waited.toFixed(0)} s for a processor`);
    this.share = (this.endedAt - this.began) / (this.deadline - this.began);
    if (this.secondsOver > GRACE_SECONDS) this.problems.push(`ended ${this.secondsOver.toFixed(1)} s after its budget`);
    if (!this.statuses.includes(this.status)) this.problems.push(`exit status ${this.status}, expected ${this.statuses.join(" or ")}`);
    this.#look();
    if (!existsSync(this.out)) {
      if (this.seen || this.status === 0) this.problems.push("no submission");
    } else if (this.status === 0 || this.seen) {
      // Not synchronously: other trials are watched meanwhile.
      const arguments_ = [BUNDLE, "validate", this.out, "--challenges", CHALLENGES];
      await promisify(execFile)(process.execPath, arguments_).catch(({ stderr }) => this.problems.push(`validate: ${stderr.trim()}`));
    }
    await this.#assertGone();
    if (/internal:|TypeError|ReferenceError/.test(this.stderr)) this.problems.push("a bug is reported in the log");
  }

  /** Tells how it ended; what it has made stays where it failed, and is removed elsewhere. */
  conclude(what, verbose) {
    const { problems, stderr, folder } = this;
    console.log(`${problems.length > 0 ? "FAILED" : "ok    "} ${what}`);
    if (problems.length > 0) {
      const list = [...new Set(problems)].slice(0, 5).join("\n       ");
      console.log(`       ${list}\n${stderr.replaceAll(/^/gm, "       | ")}\n       files: ${folder}`);
      return;
    }
    if (verbose) console.log(stderr.replaceAll(/^/gm, "       | "));
    this.clear();
  }

  /** Removes all that the trial has made. */
  clear() {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #spawn(args) {
    const { environment = {} } = this.settings;
    this.status = undefined;
    this.waitedLate = 0;
    this.#waitedEarly = 0;
    const child = spawn(process.execPath, [BUNDLE, ...args, "--json"], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, TMPDIR: this.tmp, ...environment },
    });
    this.child = child;
    child.stderr.setEncoding("utf8").on("data", (text) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve_) => {
      child.on("close", (code, signal_) => {
        this.status = code ?? 128 + SIGNALS[signal_];
        this.endedAt = performance.now();
        resolve_();
      });
    });
  }

  /** From the moment it is there, the submission must be valid at every moment. */
  #look() {
    // Whoever stops this process stops its runs too: that time is not theirs.
    const now = performance.now();
    if (this.lookedAt !== undefined && now - this.lookedAt > STANDSTILL_MILLIS)
      this.standstill += (now - this.lookedAt - LOOK_MILLIS) / 1000;
    this.lookedAt = now;
    const waited = secondsWaited(this.parent);
    this.waited = Math.max(this.waited, waited);
    if (now < this.deadline - 1000 * EXCUSED_SECONDS) this.#waitedEarly = waited;
    else this.waitedLate = Math.max(this.waitedLate, waited - this.#waitedEarly);
    this.bytes.snapshots = Math.max(this.bytes.snapshots, bytesUnder(join(this.runDir, "snapshot")));
    this.bytes.all = Math.max(this.bytes.all, bytesUnder(this.runDir));
    let text;
    try {
      text = readFileSync(this.out, "utf8");
    } catch {
      if (this.seen) this.problems.push(`at ${this.now.toFixed(1)} s the submission is gone`);
      return;
    }
    this.seen = true;
    const problem = problemOf(text);
    if (problem) this.problems.push(`at ${this.now.toFixed(1)} s the submission ${problem}`);
  }

  async #assertGone() {
    const until = performance.now() + 5000;
    let left = processesWith(`TMPDIR=${this.tmp}`);
    while (left.length > 0 && performance.now() < until) {
      await sleep(0.1);
      left = processesWith(`TMPDIR=${this.tmp}`);
    }
    if (left.length > 0) {
      this.problems.push(`processes ${left.join(", ")} are left behind`);
      for (const pid of left) process.kill(pid, "SIGKILL");
    }
    const lying = readdirSync(this.tmp);
    if (lying.length > 0 && !this.wasKilled) this.problems.push(`${lying.join(", ")} is left in the temporary folder`);
  }
}
