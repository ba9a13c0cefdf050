import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadTrainingState, type TrainingState } from "../../src/checkpoint/training-state.ts";
import { folder, lastLine, put, SAMPLE, SAMPLE_SOLUTIONS, start, trm } from "./toy.ts";

const SHAPE = "--hidden-size 16 --num-heads 2 --batch-size 6 --canvas 8 --engine wasm --variants 5 --json".split(" ");
const REAL = ["--tasks", SAMPLE, "--solutions", SAMPLE_SOLUTIONS];
/** Rows that change what they stand for every few examples, half of them generated tasks. */
const LIVES = "--generated-share 0.5 --rules-per-kind 2 --row-visits 6 --row-slots 10".split(" ");

/** Arguments of a training into folder `name`. */
function into(name: string): string[] {
  return ["pretrain", ...SHAPE, ...REAL, "--out", join(folder, name), "--state", join(folder, `${name}-state`)];
}

function numbers({ state, rows }: TrainingState, name: string): Float32Array {
  if (name === "rows") return Float32Array.from([...rows!.pieces()].flatMap((piece) => [...piece]));
  return state.get(name)!.data;
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

/** The sample tasks, some of them changed. */
function samples(
  change: (tasks: Record<string, { train: { input: number[][]; output: number[][] }[]; test: { input: number[][] }[] }>) => void,
) {
  const tasks = JSON.parse(readFileSync(SAMPLE, "utf8"));
  change(tasks);
  return JSON.stringify(tasks);
}

test("tasks that are held out are refused, each by name, or left out where that is asked for; what is given twice counts once", async () => {
  const held = put(
    "held.json",
    samples((tasks) => {
      for (const id of Object.keys(tasks).slice(2)) delete tasks[id];
      // the second one under another name, mirrored and in other colours, with a pair less
      const [, second] = Object.values(tasks);
      const changed = (grid: number[][]) => grid.map((row) => row.toReversed().map((color) => (color * 3 + 4) % 10));
      delete tasks[Object.keys(tasks)[1]!];
      tasks.other = {
        train: second!.train.slice(1).map(({ input, output }) => ({ input: changed(input), output: changed(output) })),
        test: [{ input: [[1]] }],
      };
    }),
  );
  const ids = Object.keys(JSON.parse(readFileSync(SAMPLE, "utf8")));
  const twice = ["--tasks", SAMPLE, put("again.json", readFileSync(SAMPLE)), "--held-out", held];
  const command = ["pretrain", ...SHAPE, ...twice, "--out", join(folder, "held"), "--steps", "2"];

  const refused = await trm(...command);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, new RegExp(`task ${ids[0]} of sample-challenges.json is in held.json too`));
  assert.match(refused.stderr, new RegExp(`task ${ids[1]} of sample-challenges.json and task other of held.json: a pair in common`));
  assert.match(refused.stderr, /--drop-overlap/);

  lastLine(await trm(...command, "--drop-overlap"));
  const { dataSets } = JSON.parse(readFileSync(join(folder, "held", "config.json"), "utf8")).training;
  assert.deepEqual(dataSets, ["18 of the 20 tasks of sample-challenges.json", "0 of the 20 tasks of again.json"]);
});

test("solutions go to the tasks with their ids; such that answer none of them are refused", async () => {
  const command = ["pretrain", ...SHAPE, "--tasks", SAMPLE, "--out", join(folder, "unsolved"), "--steps", "1"];
  const { status, stderr } = await trm(...command, "--solutions", put("foreign.json", '{"elsewhere": [[[1]]]}'));
  assert.equal(status, 1);
  assert.match(stderr, /foreign\.json: answers no task of sample-challenges\.json/);
  const short = JSON.parse(readFileSync(SAMPLE_SOLUTIONS, "utf8"));
  const [id] = Object.keys(short);
  short[id!] = [];
  const wrong = await trm(...command, "--solutions", put("short.json", JSON.stringify(short)));
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, new RegExp(`task ${id} has 1 test inputs but 0 solutions`));
});

test("three workers and one, with the same global batch, agree within rounding after 200 steps", async (t) => {
  const run = async (name: string, workers: string): Promise<TrainingState> => {
    lastLine(await trm(...into(name), ...LIVES, "--steps", "200", "--workers", workers));
    return loadTrainingState(join(folder, `${name}-state`))!;
  };
  const [one, three] = [await run("one", "1"), await run("three", "3")];
  assert.deepEqual(three.record, one.record, "steps, and draws of every row");
  assert.deepEqual(three.puzzles, one.puzzles);
  const spread = Math.max(...numbers(one, "weights").map((value, i) => Math.abs(value - numbers(one, "ema")[i]!)));
  assert.ok(spread > 1e-3, "the weights have moved away from their average");
  for (const name of ["weights", "ema", "rows"]) {
    const [a, b] = [one, three].map((state) => numbers(state, name)) as [Float32Array, Float32Array];
    const differences = a.map((value, i) => Math.abs(value - b[i]!)).sort();
    const at = (share: number) => differences[Math.floor(share * (differences.length - 1))]!;
    t.diagnostic(`${name}: 99 % differ by at most ${at(0.99).toExponential(1)}, the others by ${at(1).toExponential(1)}`);
    // A gradient near 0 may have the other sign; then an entry is off by twice its rate (5e-4, rows 1e-2). When this was written none was.
    assert.ok(at(0.99) <= 1e-6 && at(1) <= (name === "rows" ? 0.1 : 5e-3), `${name} off by ${at(0.99)}, ${at(1)}`);
  }
});
