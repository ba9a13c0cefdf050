import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadTrainingState } from "../../src/checkpoint/training-state.ts";
import { folder, lastLine, SAMPLE, SAMPLE_SOLUTIONS, start, trm } from "./toy.ts";

const SHAPE = "--hidden-size 16 --num-heads 2 --batch-size 6 --canvas 8 --engine wasm --variants 5 --json".split(" ");
const REAL = ["--tasks", SAMPLE, "--solutions", SAMPLE_SOLUTIONS];
/** Rows that change what they stand for every few examples, half of them generated tasks. */
const LIVES = "--generated-share 0.5 --rules-per-kind 2 --row-visits 6 --row-slots 10".split(" ");

/** Arguments of a training into folder `name`. */
function into(name: string): string[] {
  return ["pretrain", ...SHAPE, ...REAL, "--out", join(folder, name), "--state", join(folder, `${name}-state`)];
}

/** All that a training left: every file of both folders. */
function left(name: string): Record<string, Buffer> {
  return Object.fromEntries(
    [name, `${name}-state`].flatMap((part) =>
      readdirSync(join(folder, part))
        .filter((file) => file !== "README.md" && file !== "config.json") // these tell how long it took, and the command
        .map((file) => [`${part.slice(name.length)}/${file}`, withoutCheckpoint(file, readFileSync(join(folder, part, file)))]),
    ),
  );
}

/** A training's record also holds the hash of the checkpoint's config.json. */
function withoutCheckpoint(file: string, bytes: Buffer): Buffer {
  if (file !== "training.json") return bytes;
  const { checkpoint, ...record } = JSON.parse(bytes.toString("utf8"));
  assert.ok(checkpoint["config.json"].sha256);
  return Buffer.from(JSON.stringify(record));
}

function assertSame(name: string, other: string): void {
  const [a, b] = [left(name), left(other)];
  assert.deepEqual(Object.keys(a), Object.keys(b));
  for (const [file, bytes] of Object.entries(a)) assert.ok(bytes.equals(b[file]!), `${file} of ${name} is not that of ${other}`);
}

for (const [kind, options] of [
  ["rows that keep their tasks", ["--generated-share", "0.3", "--rules-per-kind", "1"]],
  ["rows with lives", LIVES],
] as const) {
  test(`killed and taken up again, a training ends as an unbroken one, bit for bit: ${kind}`, async () => {
    const name = kind.replaceAll(" ", "-");
    const course = ["--steps", "120", ...options];
    lastLine(await trm(...into(`${name}-unbroken`), ...course));

    const killed = start(...into(name), ...course, "--save-every", "0.3");
    await killed.said(/step [1-9]\d*\n.*step [1-9]/s);
    killed.child.kill("SIGKILL");
    await killed.ended;
    const step = loadTrainingState(join(folder, `${name}-state`))!.record.step as number;
    assert.ok(step > 0 && step < 120, `killed after step ${step}: no test of anything`);
    lastLine(await trm(...into(name), ...options, "--resume", join(folder, `${name}-state`)));
    assertSame(name, `${name}-unbroken`);
  });
}
