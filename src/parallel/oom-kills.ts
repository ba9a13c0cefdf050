/** How often the kernel has killed a process here for want of memory: tells such a death from a kill by hand. */
import { readFileSync } from "node:fs";

/** This process's control group first, then the whole machine. */
function places(): string[] {
  let groups = "";
  try {
    groups = readFileSync("/proc/self/cgroup", "utf8");
  } catch {} // no /proc: no counts either
  const [, unified] = /^0::(.*)$/m.exec(groups) ?? [];
  const [, memory] = /^\d+:memory:(.*)$/m.exec(groups) ?? [];
  return [
    `/sys/fs/cgroup${unified ?? ""}/memory.events`,
    "/sys/fs/cgroup/memory.events",
    `/sys/fs/cgroup/memory${memory ?? ""}/memory.oom_control`,
    "/sys/fs/cgroup/memory/memory.oom_control",
    "/proc/vmstat",
  ];
}

/** Kills so far; undefined where nothing here tells. */
export function countOomKills(paths: readonly string[] = places()): number | undefined {
  for (const path of paths) {
    try {
      const [, count] = /^oom_kill (\d+)$/m.exec(readFileSync(path, "utf8")) ?? [];
      if (count !== undefined) return Number(count);
    } catch {} // not this kind of control group; the next place may tell
  }
  return undefined;
}
