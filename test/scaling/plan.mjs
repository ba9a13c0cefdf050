/**
 * What a run costs on machines that are not here: `node test/scaling/plan.mjs [--device l4] [--tasks 120,240,10000] [--machines 1,10,100] [--gpus 4]
 * [--budget 11h30m]`, from the planner (`run --plan-only --device`), for shards on machines of so many GPUs.
 *
 * Tasks are made up, as large as they can be: 30 x 30 cells, three demonstrations, and 172 test inputs for 120 tasks as in ARC-AGI-2's public evaluation
 * set. The last columns say what the same work a task would take as 120 tasks get on the first number of machines: its steps, all votes.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { counts, table, trm } from "./trm.mjs";

const { values } = parseArgs({
  options: {
    device: { type: "string", default: "l4" },
    tasks: { type: "string", default: "120,240,10000" },
    machines: { type: "string", default: "1,10,100" },
    gpus: { type: "string", default: "4" },
    budget: { type: "string", default: "11h30m" },
  },
});
const gpus = Number(values.gpus);
const BATCH = 384;

/** A challenges file of tasks that cost the most there can be. */
function challengesOf(count) {
  const grid = JSON.stringify(Array.from({ length: 30 }, () => new Array(30).fill(1)));
  const pair = `{"input":${grid},"output":${grid}}`;
  const tests = (i) => new Array(Math.floor(((i + 1) * 172) / 120) - Math.floor((i * 172) / 120)).fill(`{"input":${grid}}`).join(",");
  return `{${Array.from({ length: count }, (_, i) => `"t${i}":{"train":[${pair},${pair},${pair}],"test":[${tests(i)}]}`).join(",\n")}}`;
}

/** The plan of the first shard; the others' are like it. */
async function planOf(file, machines) {
  const shard = machines === 1 ? [] : ["--shard", `0/${machines}`];
  const rest = ["--challenges", file, "--budget", values.budget, "--preset", "paper-as-released", ...shard];
  const planned = await trm("run", "--plan-only", "--device", values.device, "--workers", gpus, ...rest);
  const phase = (name) => planned.phases.find((one) => one.name === name);
  const train = phase("train");
  return { ...planned, hours: phase("reserve").to / 3600, startSeconds: phase("start").to, steps: train?.steps ?? 0 };
}

const folder = mkdtempSync(join(tmpdir(), "trm-scaling-"));
try {
  const rows = [
    [
      "tasks",
      "machines",
      "GPU hours",
      "tasks a machine",
      "steps",
      "examples a task",
      "votes an input",
      "same work a task: hours",
      "GPU hours",
    ],
  ];
  let reference;
  for (const tasks of counts("tasks", values.tasks)) {
    const file = join(folder, `${tasks}.json`);
    writeFileSync(file, challengesOf(tasks));
    for (const machines of counts("machines", values.machines)) {
      const { plan, times, hours, steps, startSeconds, testInputs, tasks: own, workers } = await planOf(file, machines);
      if (own === 0) continue;
      const examples = (steps * BATCH) / own;
      reference ??= { examples, votes: plan.rounds };
      const prediction = plan.actSteps * times.actStepSeconds;
      const sameSteps = (reference.examples * own) / BATCH;
      const same = (startSeconds + sameSteps * times.stepSeconds + (reference.votes * testInputs * prediction) / workers) / 3600;
      const whole = (value) => Math.round(value).toLocaleString("en");
      const hour = (value) => value.toFixed(value < 99.5 ? 1 : 0);
      rows.push([
        tasks,
        machines,
        whole(machines * gpus * hours),
        own,
        whole(steps),
        whole(examples),
        plan.rounds,
        hour(same),
        whole(same * machines * gpus),
      ]);
    }
  }
  console.log(table(rows));
  console.log(
    `\n${values.budget} on machines of ${gpus} x ${values.device}, projected, batch ${BATCH}, ACT steps and model of the full-size checkpoint.`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
