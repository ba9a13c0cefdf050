/** A run on a real terminal, made by Python's pty; and a quiet one. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { BUNDLE, runArguments, scratch, trm } from "./toy.ts";

const python = spawnSync("python3", ["-c", "import pty"]).status === 0;
const skip = !python && "no python3, which makes the terminal";
const ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/** The escape character as a sign, for patterns. */
const visible = (text: string): string => text.replaceAll("\u001b", "␛");

/** What stands on a terminal of 80 columns after a text. */
function shown(text: string): string[] {
  const lines: string[] = [""];
  for (const [, up, clear, plain] of visible(text)
    .replaceAll("\r\n", "\n")
    .matchAll(/␛\[(\d+)F|(␛\[0J)|([^␛]+|␛\[[\d;]*m)/g)) {
    if (up !== undefined)
      lines.splice(lines.length - 1 - Number(up), lines.length, ""); // a block is always cleared as it is gone up
    else if (clear === undefined && !plain!.startsWith("␛"))
      for (const [i, part] of plain!.split("\n").entries()) {
        if (i > 0) lines.push("");
        lines[lines.length - 1] += part;
      }
  }
  return lines;
}

test("on a terminal, progress is shown in place and is gone at the end; --json ends with its object all the same", { skip }, async () => {
  const { args } = await runArguments("terminal", "300s");
  const options = [...args, "--steps", "200", "--workers", "2", "--limit", "4", "--json"];
  const ended = spawnSync("python3", ["-c", ON_A_TERMINAL, process.execPath, BUNDLE, ...options], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: scratch, TERM: "xterm" },
  });
  assert.equal(ended.status, 0, ended.stdout);
  const text = visible(ended.stdout);
  assert.match(text, /␛\[\d+F␛\[0J/, "lines are renewed in place");
  assert.match(text, /train {4}\[[#.]{20}\] .* planned, /);
  assert.match(text, /^ {9}run: .*, then predict [\d.]+\w+\r$/m);
  assert.match(text, /votes \d+/);
  assert.match(text, /step \d+\/200 {3}loss [\d.]+ {3}tokens [\d.]+ % {3}exact (-|[\d.]+ %) {3}votes \d+\r$/m);
  assert.match(text, /worker 1 {2}step \d+ {3}[\d.]+ steps\/s {3}\d+ MiB/);
  const left = shown(text).filter((line) => line !== "");
  assert.ok(
    left.every((line) => !/worker \d {2}|planned, /.test(line)),
    left.join("\n"),
  );
  assert.ok(
    left.some((line) => /plan of /.test(line)),
    "other lines stay",
  );
  const { steps } = JSON.parse(left.at(-1)!) as { steps: number };
  assert.equal(steps, 200);
});

test("without a terminal there are plain lines; --quiet leaves warnings, errors and the result", async () => {
  const { args } = await runArguments("plain", "300s");
  const options = [...args, "--steps", "2", "--limit", "2"];
  const plain = await trm(...options);
  assert.equal(plain.status, 0, plain.stderr);
  assert.doesNotMatch(visible(plain.stderr + plain.stdout), /␛\[\d+F/);
  assert.match(plain.stderr, /\] train {3}step \d+\/2 .* left/);
  const quiet = await trm(...options, "--quiet", "--json");
  assert.equal(quiet.status, 0);
  assert.deepEqual(
    quiet.stderr.split("\n").filter((line) => line !== "" && !/warning: |error: /.test(line)),
    [],
  );
  assert.equal(quiet.stdout.trim().split("\n").length, 1);
  assert.equal((JSON.parse(quiet.stdout) as { steps: number }).steps, 2);
});
