/**
 * Runs of the product, of real processes: `node test/faults.mjs [--runs N] [--only TEXT]`, each with a fault at a random moment, and
 * `node test/faults.mjs --deadlines N`, without faults, with random budgets on both engines. Both take `[--at-once N] [--seed N] [--budget FROM-TO] [--verbose]`.
 *
 * Every run must end within its budget and 2 s, exit as it should, leave a submission that is valid at every moment from when it is there, and leave no
 * process behind. The seed of each run is printed; `--seed` of one and `--runs 1` bring its fault and its moment back. Runs at once share the
 * processor: their moments are then less alike.
 */
import { parseArgs } from "node:util";
import { deadlineRuns } from "./faults/deadlines.mjs";
import { faultRuns } from "./faults/fault-runs.mjs";
import { wholeNumber } from "./faults/processes.mjs";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "20" },
    deadlines: { type: "string" },
    "at-once": { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    budget: { type: "string" },
    only: { type: "string", default: "" },
    verbose: { type: "boolean", default: false },
  },
});
const { deadlines, runs, only, verbose } = values;
const shared = { atOnce: wholeNumber("--at-once", values["at-once"], 1), seed: wholeNumber("--seed", values.seed, 0), verbose };
const failed =
  deadlines === undefined
    ? await faultRuns({ ...shared, runs: wholeNumber("--runs", runs, 1), budget: values.budget ?? "8-12", only })
    : await deadlineRuns({ ...shared, runs: wholeNumber("--deadlines", deadlines, 1), budget: values.budget ?? "20-120" });
process.exit(failed > 0 ? 1 : 0);
