/**
 * Training examples and predictions a second, against workers that train one model and against shards side by side:
 * `node test/scaling/throughput.mjs [--workers 1,2,4] [--shards 1,2,4] [--repeats 3] [--seconds 30] [--engine wasm] [--checkpoint DIR]
 * [--challenges F] [--batch-size 32]`. On one machine: where there are fewer cores than processes, that is what it shows.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { counts, median, table, trm } from "./trm.mjs";

const { values } = parseArgs({
  options: {
    workers: { type: "string", default: "1,2,4" },
    shards: { type: "string", default: "1,2,4" },
    repeats: { type: "string", default: "3" },
    seconds: { type: "string", default: "30" },
    engine: { type: "string", default: "wasm" },
    checkpoint: { type: "string", default: "checkpoints/sample" },
    challenges: { type: "string", default: "submission/sample-challenges.json" },
    "batch-size": { type: "string", default: "32" },
  },
});
const batch = Number(values["batch-size"]);
const folder = mkdtempSync(join(tmpdir(), "trm-scaling-"));
let runs = 0;

/** Examples a second of training, and predictions a second, of a run of so long. */
async function rates(workers, shard) {
  const result = await trm(
    ...["run", "--preset", "demo", "--engine", values.engine, "--challenges", values.challenges, "--checkpoint", values.checkpoint],
    ...[
      "--budget",
      `${values.seconds}s`,
      "--batch-size",
      batch,
      "--workers",
      workers,
      "--vote-all",
      "--out",
      join(folder, `${runs++}`, "submission.json"),
    ],
    ...(shard === undefined ? [] : ["--shard", shard]),
  );
  if (result.steps === 0 || result.votes === 0) throw new Error(`a run of ${values.seconds} s made no step: raise --seconds`);
  return { examples: (result.steps * batch) / result.seconds.adapt, predictions: result.votes / result.seconds.predict };
}

const sum = (list) => ({
  examples: list.reduce((total, { examples }) => total + examples, 0),
  predictions: list.reduce((total, { predictions }) => total + predictions, 0),
});
try {
  const arms = [
    ...counts("workers", values.workers).map((n) => ({ name: `${n} workers, one model`, go: () => rates(n) })),
    ...counts("shards", values.shards).map((n) => ({
      name: `${n} shards of one worker`,
      go: async () => sum(await Promise.all(Array.from({ length: n }, (_, i) => rates(1, `${i}/${n}`)))),
    })),
  ];
  const found = new Map(arms.map(({ name }) => [name, []]));
  // One of each, then again: what else the machine does is shared among them.
  for (let repeat = 0; repeat < Number(values.repeats); repeat++) for (const { name, go } of arms) found.get(name).push(await go());
  const first = median(found.get(arms[0].name).map(({ examples }) => examples));
  const rows = [...found].map(([name, list]) => {
    const examples = list.map((one) => one.examples);
    const spread = `${Math.min(...examples).toFixed(0)} to ${Math.max(...examples).toFixed(0)}`;
    const predictions = median(list.map((one) => one.predictions));
    return [name, median(examples).toFixed(0), spread, (median(examples) / first).toFixed(2), predictions.toFixed(1)];
  });
  console.log(table([["", "examples/s", "spread", "times the first", "predictions/s"], ...rows]));
  console.log(
    `\n${availableParallelism()} cores (${cpus()[0].model}), load ${loadavg()[0].toFixed(1)} at the end; ${values.engine}, batch ${batch}, ${values.repeats} runs of ${values.seconds} s each, medians.`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
