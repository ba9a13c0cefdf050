/**
 * Runs the tests that build.mjs put into .build/test: `node test/run.mjs [folder or file ...]`, all of them unless named.
 *
 * Files that start processes of their own run one after the other, for budgets are measured in seconds; the others first, as many at a time as there are
 * cores.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

const root = ".build/test";
const wanted = process.argv.slice(2).filter((name) => !name.startsWith("--"));
const flags = process.argv.slice(2).filter((name) => name.startsWith("--"));

function testsUnder(path) {
  if (!existsSync(path)) throw new Error(`no tests in ${path}; node build.mjs --tests makes them`);
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? testsUnder(join(path, entry.name)) : entry.name.endsWith(".test.mjs") ? [join(path, entry.name)] : [],
  );
}

const files = (wanted.length > 0 ? wanted : ["."]).flatMap((name) => testsUnder(join(root, name))).sort();
/** Folders whose tests start workers or whole runs, or time things; and what is among them that cares little for time, which comes first: it takes longest. */
const ALONE = ["cli", "slurm", "tensorflow"].map((name) => join(root, name));
const PATIENT = [
  ...["cli/notebook", "tensorflow/engine", "cli/convert", "cli/attention", "cli/bundle", "cli/pretrain", "cli/compare", "cli/supervise"],
  ...["cli/compilation", "cli/document-page", "cli/methods", "cli/bad-input", "cli/vote-decision", "cli/shards", "cli/empty-root"],
  ...["cli/score-validate-merge", "cli/kubernetes", "cli/inspect-run", "cli/encoder", "cli/vote-weight", "cli/resume", "cli/run"],
  ...["cli/doctor", "cli/alone", "cli/evaluate", "cli/tensorflow", "cli/devices", "cli/workers", "cli/terminal"],
  ...["cli/rehearsal", "cli/report", "cli/report-page", "slurm/slurm", "tensorflow/trace", "cli/keeps"],
].map((name) => join(root, `${name}.test.mjs`));
const isAlone = (file) => ALONE.some((folder) => file.startsWith(folder)) && !PATIENT.includes(file);

/** A file fails after this many milliseconds; and one whose tests have ended ends, also where they left a process behind. */
const LIMITS = ["--test-timeout=600000", "--test-force-exit"];

let failed = 0;
for (const [group, atOnce] of [
  [
    [...PATIENT.filter((file) => files.includes(file)), ...files.filter((file) => !isAlone(file) && !PATIENT.includes(file))],
    availableParallelism(),
  ],
  [files.filter(isAlone), 1],
]) {
  if (group.length === 0) continue;
  const { status } = spawnSync(process.execPath, ["--test", `--test-concurrency=${atOnce}`, ...LIMITS, ...flags, ...group], {
    stdio: "inherit",
  });
  if (status !== 0) failed = status ?? 1;
}
process.exit(failed);
