/**
 * The faults. Each is put in from outside, at a random moment, into a run of real processes: `prepare` before it begins, `act` while it goes, `clear`
 * after it. `needs` says why a fault can't be put in here. A fault sets `trial.hit` where the run could feel it.
 */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  cpSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { processesWith, signal, sleep } from "./processes.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));

/** A worker, once there is one. */
async function someWorker(trial, random) {
  while (!trial.isOver && trial.workers.length === 0) await sleep(0.02);
  return trial.isOver ? undefined : random.pick(trial.workers);
}

async function signalWorker(trial, random, name) {
  const worker = await someWorker(trial, random);
  if (worker === undefined || !signal(worker, name)) return undefined;
  trial.hit = true;
  return worker;
}

/** Kills the run's parent, or all of its processes, and takes it up again a moment later. */
async function killAndResume(trial, random, all) {
  const processes = all ? processesWith(`TMPDIR=${trial.tmp}`) : [trial.parent];
  trial.wasKilled = true;
  for (const pid of processes) trial.hit = signal(pid, "SIGKILL") || trial.hit;
  await trial.ended;
  if (trial.status === 0) return; // it had ended just before
  await sleep(random.between(0, 0.5));
  await trial.resume();
}

/** The folder of the newest snapshot, if there is one. */
function newestSnapshot(trial) {
  const root = join(trial.runDir, "snapshot");
  const folders = [root, join(root, "worker-0"), join(root, "worker-1")].flatMap((at) => ["a", "b"].map((place) => join(at, place)));
  const found = folders.flatMap((folder) => {
    try {
      return [{ folder, sequence: JSON.parse(readFileSync(join(folder, "training.json"), "utf8")).record.sequence }];
    } catch {
      return [];
    }
  });
  return found.sort((a, b) => b.sequence - a.sequence)[0]?.folder;
}

/** Cuts a random file of the newest snapshot short, or turns one of its bits over. @returns what was done, or nothing */
function damageSnapshot(trial, random) {
  const folder = newestSnapshot(trial);
  if (folder === undefined) return undefined;
  try {
    const file = join(folder, random.pick(readdirSync(folder)));
    const { size } = statSync(file);
    if (random.chance(0.5)) {
      truncateSync(file, random.int(0, size - 1));
      return `${file} cut short`;
    }
    const bytes = readFileSync(file);
    bytes[random.int(0, size - 1)] ^= 1 << random.int(0, 7);
    writeFileSync(file, bytes);
    return `a bit of ${file} turned over`;
  } catch {
    return undefined; // it was being replaced
  }
}

/** A disk of its own for the run. */
const smallDisk = {
  needs: () => {
    const folder = mkdtempSync(join(tmpdir(), "trm-mount-"));
    try {
      if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]).status !== 0) return "mounting a tmpfs is not allowed here";
      spawnSync("umount", [folder]);
      return undefined;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  mount: (trial, size) => spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", join(trial.folder, "disk")]),
  clear: (trial) => spawnSync("umount", ["-l", join(trial.folder, "disk")]),
};

/** Writes into a file until the disk is full, once the run has written its first submission: before that there is nothing to keep. */
async function fill(trial) {
  while (!trial.isOver && !trial.seen) await sleep(0.02);
  const file = openSync(join(trial.folder, "disk", "filler"), "w");
  try {
    for (let piece = Buffer.alloc(2 ** 16); piece.length > 0; ) {
      try {
        writeSync(file, piece);
      } catch {
        piece = piece.subarray(0, piece.length >> 1);
      }
    }
  } finally {
    closeSync(file);
  }
}

export const FAULTS = {
  none: { act: async () => {} },

  "a worker is killed": {
    act: (trial, random) => signalWorker(trial, random, "SIGKILL"),
  },

  "a worker is stopped": {
    act: (trial, random) => signalWorker(trial, random, "SIGSTOP"),
  },

  "a worker is stopped and goes on later": {
    act: async (trial, random) => {
      const worker = await signalWorker(trial, random, "SIGSTOP");
      await sleep(random.between(0.5, 6));
      if (worker !== undefined) signal(worker, "SIGCONT");
    },
  },

  "a worker is killed again and again": {
    act: async (trial, random) => {
      for (let i = 0; i < 6; i++) {
        await signalWorker(trial, random, "SIGKILL");
        await sleep(random.between(0.3, 2));
      }
    },
  },

  "all workers are killed": {
    act: (trial) => {
      for (const worker of trial.workers) trial.hit = signal(worker, "SIGKILL") || trial.hit;
    },
  },

  "the parent is killed, then --resume": {
    act: (trial, random) => killAndResume(trial, random, false),
  },

  "all processes are killed, then --resume": {
    act: (trial, random) => killAndResume(trial, random, true),
  },

  "killed twice, then --resume": {
    act: async (trial, random) => {
      await killAndResume(trial, random, true);
      if (await trial.until(trial.now + random.between(0, 3))) await killAndResume(trial, random, true);
    },
  },

  "a worker is stopped, the parent is killed, then --resume": {
    act: async (trial, random) => {
      await signalWorker(trial, random, "SIGSTOP");
      if (!trial.isOver) await killAndResume(trial, random, false);
    },
  },

  "the parent stands still for a while": {
    act: async (trial, random) => {
      trial.hit = signal(trial.parent, "SIGSTOP");
      await sleep(Math.min(random.between(1, 7), (trial.deadline - performance.now()) / 1000 - 1));
      signal(trial.parent, "SIGCONT");
    },
  },

  SIGTERM: {
    act: async (trial) => {
      trial.statuses = [143];
      const sent = performance.now();
      trial.hit = signal(trial.parent, "SIGTERM");
      await trial.ended;
      const seconds = (performance.now() - sent) / 1000;
      if (seconds > 5) trial.problems.push(`SIGTERM took ${seconds.toFixed(1)} s`);
    },
  },

  "the disk fills up": {
    needs: smallDisk.needs,
    prepare: (trial, random) => smallDisk.mount(trial, random.pick(["4m", "12m", "32m"])),
    act: async (trial, random) => {
      trial.statuses = [0, 1]; // 1 where the last answers find no room
      await fill(trial);
      trial.hit = true;
      if (random.chance(0.5)) return;
      await trial.until(trial.now + random.between(1, 4));
      rmSync(join(trial.folder, "disk", "filler"), { force: true });
    },
    clear: smallDisk.clear,
  },

  "the disk is full, a worker is killed": {
    needs: smallDisk.needs,
    prepare: (trial, random) => smallDisk.mount(trial, random.pick(["4m", "12m", "32m"])),
    act: async (trial, random) => {
      trial.statuses = [0, 1];
      await fill(trial);
      await trial.until(trial.now + random.between(0, 2));
      await signalWorker(trial, random, "SIGKILL");
    },
    clear: smallDisk.clear,
  },

  "the disk is too small for snapshots": {
    needs: smallDisk.needs,
    prepare: (trial) => smallDisk.mount(trial, "300k"),
    act: (trial, random) => signalWorker(trial, random, "SIGKILL"),
    clear: smallDisk.clear,
  },

  "a snapshot is damaged, a worker is killed": {
    act: async (trial, random) => {
      let damage;
      while (!trial.isOver && !(damage = damageSnapshot(trial, random))) await sleep(0.1);
      trial.notes.push(damage);
      await signalWorker(trial, random, "SIGKILL");
    },
  },

  "a snapshot is damaged, all are killed, then --resume": {
    act: async (trial, random) => {
      let damage;
      while (!trial.isOver && !(damage = damageSnapshot(trial, random))) await sleep(0.1);
      trial.notes.push(damage);
      if (!trial.isOver) await killAndResume(trial, random, true);
    },
  },

  "the votes are cut short, then --resume": {
    act: async (trial, random) => {
      trial.wasKilled = true;
      trial.hit = signal(trial.parent, "SIGKILL");
      await trial.ended;
      if (trial.status === 0) return;
      try {
        const votes = join(trial.runDir, "votes.bin");
        truncateSync(votes, random.int(0, statSync(votes).size));
      } catch {} // there were none yet
      await trial.resume();
    },
  },

  "a connection is cut": {
    needs: () =>
      spawnSync("python3", ["-c", "import os; os.pidfd_open(os.getpid())"]).status === 0 ? undefined : "no python3 with pidfd_open",
    act: async (trial, random) => {
      const worker = await someWorker(trial, random);
      if (worker === undefined) return;
      const { status, stdout, stderr } = spawnSync("python3", [join(here, "cut-socket.py"), String(worker), String(random.int(0, 99))], {
        encoding: "utf8",
      });
      trial.hit = status === 0;
      trial.notes.push(status === 0 ? `descriptor ${stdout.trim()}` : stderr.trim());
    },
  },

  "the folder of the ring's sockets is removed": {
    act: (trial) => {
      for (const name of readdirSync(trial.tmp)) {
        rmSync(join(trial.tmp, name), { recursive: true, force: true });
        trial.hit = true;
      }
    },
  },

  "the wall clock is set": {
    needs: () => (spawnSync("cc", ["--version"]).status === 0 ? undefined : "no C compiler"),
    prepare: (trial, random) => {
      const library = join(trial.folder, "wall-clock.so");
      const { status, stderr } = spawnSync("cc", ["-shared", "-fPIC", "-o", library, join(here, "wall-clock.c"), "-ldl"], {
        encoding: "utf8",
      });
      if (status !== 0) throw new Error(stderr);
      trial.clockFile = join(trial.folder, "clock");
      writeFileSync(trial.clockFile, "0");
      trial.settings.environment = { LD_PRELOAD: library, WALL_CLOCK_FILE: trial.clockFile };
      trial.jump = random.pick([-86400, -3600, -10, 10, 3600, 86400]);
    },
    act: async (trial, random) => {
      writeFileSync(trial.clockFile, String(trial.jump));
      trial.hit = true;
      trial.notes.push(`by ${trial.jump} s`);
      if (random.chance(0.5)) await killAndResume(trial, random, true);
    },
  },

  "the loss becomes NaN": {
    prepare: (trial) => {
      trial.settings.environment = { TRM_FAULT_INJECTION: "1" };
    },
    act: async (trial, random) => {
      for (let times = random.pick([1, 1, 2, 5]); times > 0 && !trial.isOver; times--) {
        await signalWorker(trial, random, "SIGUSR2");
        await sleep(random.between(0.5, 1.5));
      }
    },
  },

  "a worker gets no more memory": {
    needs: () => (spawnSync("prlimit", ["--version"]).status === 0 ? undefined : "no prlimit"),
    act: async (trial, random) => {
      const worker = await someWorker(trial, random);
      if (worker === undefined) return;
      try {
        // Memory that can be written to, what WebAssembly grows into included.
        const [, kib] = /^VmData:\s+(\d+) kB/m.exec(readFileSync(`/proc/${worker}/status`, "utf8"));
        trial.hit = spawnSync("prlimit", ["--pid", String(worker), `--data=${1024 * Number(kib)}`]).status === 0;
      } catch {} // it has ended since
    },
  },

  "the checkpoint is gone, a worker is killed": {
    prepare: (trial) => {
      cpSync(trial.checkpoint, join(trial.folder, "checkpoint"), { recursive: true });
      trial.checkpoint = join(trial.folder, "checkpoint");
    },
    act: async (trial, random) => {
      while (!trial.isOver && !/workers ready/.test(trial.stderr)) await sleep(0.05);
      renameSync(trial.checkpoint, `${trial.checkpoint}-gone`);
      await signalWorker(trial, random, "SIGKILL");
    },
  },
};
