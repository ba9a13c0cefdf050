import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { crc32c } from "../../../src/metrics/crc32c.ts";
import { EventFile } from "../../../src/metrics/event-file.ts";
import { MetricsFile } from "../../../src/metrics/metrics-file.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trm-metrics-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const never = (error: Error): never => {
  throw error;
};
const lines = (): Record<string, number>[] =>
  readFileSync(join(folder, "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

test("CRC-32C has the values of RFC 3720, B.4", () => {
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
});

const REFERENCE =
  "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b353110" + // file_version="brain.Event:2"
  "0d000000000000003c37b8340900002040fc54d9413a020801a870fdd5" + // session_log=SessionLog(status=START)
  "2100000000000000017becf60900002040fc54d94110ac022a130a110a0a747261696e2f6c6f7373150000803e0da12f0e"; // step=300, summary

test("records have the bytes that TensorBoard's own writer gives them", () => {
  const file = new EventFile(folder, 0, 1_700_000_000.5);
  file.add(300, { "train/loss": 0.25 }, 1_700_000_000.5);
  // tensorboard 2.21: RecordWriter.write(Event(wall_time=1700000000.5, ...).SerializeToString())
  assert.equal(readFileSync(file.path).toString("hex"), REFERENCE);
});

test("what is added comes back line by line; a number that is none is left out", () => {
  const metrics = new MetricsFile(folder, 0, () => 12.5, never);
  metrics.add(1, { "train/loss": 2.5, "train/exact": Number.NaN });
  metrics.add(2, { "train/loss": 2 });
  assert.deepEqual(lines(), [
    { step: 1, time: 12.5, "train/loss": 2.5 },
    { step: 2, time: 12.5, "train/loss": 2 },
  ]);
});

test("a training that is taken up again goes on behind the step of its state, also after a line that was cut off", () => {
  const first = new MetricsFile(folder, 0, () => 1, never);
  for (const step of [1, 2, 3]) first.add(step, { loss: step });
  appendFileSync(join(folder, "metrics.jsonl"), '{"step":4,"lo');
  new MetricsFile(folder, 2, () => 2, never).add(3, { loss: 30 });
  assert.deepEqual(
    lines().map(({ step, loss }) => [step, loss]),
    [
      [1, 1],
      [2, 2],
      [3, 30],
    ],
  );
});

test("a folder that can't be written to any more is told of once, and the training goes on", () => {
  const told: string[] = [];
  const metrics = new MetricsFile(
    folder,
    0,
    () => 1,
    (error) => told.push(error.message),
  );
  rmSync(join(folder, "tensorboard"), { recursive: true });
  metrics.add(1, { loss: 1 });
  metrics.add(2, { loss: 1 });
  assert.equal(told.length, 1);
  assert.match(told[0]!, /ENOENT/);
});

/** A Python that has TensorBoard; set TRM_TEST_PYTHON to name one. */
function pythonWithTensorBoard(): string | undefined {
  return [process.env.TRM_TEST_PYTHON, "python3"].find((python) => python && spawnSync(python, ["-c", "import tensorboard"]).status === 0);
}

test("TensorBoard reads the curves, over a kill and resume too", (t) => {
  const python = pythonWithTensorBoard();
  if (!python) {
    console.log("skipped: no Python with tensorboard (python3, or the one named by TRM_TEST_PYTHON)");
    return t.skip("no Python with tensorboard (TRM_TEST_PYTHON)");
  }
  const first = new MetricsFile(folder, 0, () => 1_700_000_000, never);
  for (const step of [10, 200, 70_000]) first.add(step, { "train/loss": 1 / step, "a b/é": -step });
  new MetricsFile(folder, 200, () => 1_700_000_100, never).add(3_000_000_000, { "train/loss": 0.25 });
  assert.equal(readdirSync(join(folder, "tensorboard")).length, 2);
  const program = `
import sys, json
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1] + "/tensorboard"); a.Reload()
print(json.dumps({tag: [[e.wall_time, e.step, e.value] for e in a.Scalars(tag)] for tag in a.Tags()["scalars"]}))
`;
  const read = spawnSync(python, ["-c", program, folder], { encoding: "utf8" });
  assert.equal(read.status, 0, read.stderr);
  assert.deepEqual(JSON.parse(read.stdout), {
    "train/loss": [
      [1_700_000_000, 10, Math.fround(0.1)],
      [1_700_000_000, 200, Math.fround(1 / 200)],
      [1_700_000_100, 3_000_000_000, 0.25],
    ],
    "a b/é": [
      [1_700_000_000, 10, -10],
      [1_700_000_000, 200, -200],
    ],
  });
});
