/**
 * Runs the tests that build.mjs put into .build/test: `node test/run.mjs [folder or file ...]`, all of them unless named.
 *
 * Files run one after the other: several start worker processes of their own, and budgets are measured in seconds.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
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
const run = spawnSync(process.execPath, ["--test", "--test-concurrency=1", ...flags, ...files], { stdio: "inherit" });
process.exit(run.status ?? 1);
