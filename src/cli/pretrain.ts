/** `pretrain`: trains a trunk and puzzle rows from scratch or from a checkpoint, and writes a checkpoint. */
import type { Argv, CommandModule } from "yargs";
import { type PretrainOptions, pretrain } from "../pretrain/pretrain.ts";
import { ENGINES, type EngineChoice } from "../backend/select.ts";
import { parseDuration } from "../budget/duration.ts";
import { UserError } from "../errors.ts";
import type { LogLevel } from "../events.ts";
import { withCompilationFlags } from "./compilation-flags.ts";

interface PretrainArgs extends Omit<PretrainOptions, "budgetSeconds" | "kinds" | "seed" | "level" | "command"> {
  budget: string | undefined;
  kinds: string | undefined;
  engine: EngineChoice;
  seed?: string;
  json?: boolean;
  logLevel?: LogLevel;
}

export const pretrainCommand: CommandModule<object, PretrainArgs> = {
  command: "pretrain",
  describe: "Train a trunk and puzzle embeddings, and write a checkpoint",
  builder: (y) =>
    withCompilationFlags(y)
      .option("out", { type: "string", demandOption: true, describe: "folder of the checkpoint" })
      .option("from", { type: "string", describe: "checkpoint to go on from (its shape is kept but for the cycles)" })
      .option("state", { type: "string", describe: "folder for the state to resume from, written beside the checkpoint" })
      .option("resume", {
        type: "string",
        describe: "go on from such a folder: optimizer and puzzle rows too; cycles and rates may change",
      })
      .option("tasks", {
        type: "string",
        array: true,
        default: [] as string[],
        describe: "challenges files (or folders of task files) whose demonstrations are trained on; generated tasks alone unless given",
      })
      .option("solutions", {
        type: "string",
        array: true,
        default: [] as string[],
        describe: "solutions files: the tests of their tasks are trained on too; each is given to the tasks file with its ids",
      })
      .option("held-out", {
        type: "string",
        array: true,
        default: [] as string[],
        describe:
          "challenges files that nothing may be learned from: tasks that overlap with them (id, or a pair up to symmetry and colours) are refused",
      })
      .option("drop-overlap", { type: "boolean", default: false, describe: "leave such tasks out instead" })
      .option("variants", { type: "number", default: 1000, describe: "augmented variants of each task besides the original" })
      .option("translate", { type: "boolean", describe: "shift pairs on the canvas [default: true with --tasks]" })
      .option("generated-share", {
        type: "number",
        default: 0,
        describe: "share of generated tasks beside those of --tasks; with --row-visits a share of the rows",
      })
      .option("kinds", {
        type: "string",
        describe: "generated kinds, comma-separated; all that are not held out unless given (see `generate --list`)",
      })
      .option("rules-per-kind", { type: "number", default: 24, describe: "different generated tasks of each kind" })
      .option("row-visits", {
        type: "number",
        default: 0,
        describe: "give a row to a new task after this many examples, so that the trunk learns to work with young rows; 0 = never",
      })
      .option("row-slots", { type: "number", default: 320, describe: "rows in use at a time with --row-visits" })
      .option("canvas", { type: "number", default: 8, describe: "canvas side in cells" })
      .option("full-canvas", { type: "number", default: 30, describe: "canvas side that fixes the row stride of positions" })
      .option("hidden-size", { type: "number", default: 96, describe: "width of the trunk" })
      .option("num-heads", { type: "number", default: 4, describe: "attention heads" })
      .option("l-layers", { type: "number", default: 2, describe: "blocks" })
      .option("h-cycles", { type: "number", default: 1, describe: "answer updates per ACT step" })
      .option("l-cycles", { type: "number", default: 2, describe: "latent updates per answer update" })
      .option("halt-max-steps", { type: "number", default: 4, describe: "ACT steps a sample runs at most" })
      .option("prefix-length", { type: "number", default: 1, describe: "positions that hold the puzzle embedding" })
      .option("rope-axes", {
        choices: [1, 2] as const,
        default: 2 as const,
        describe: "rotary positions: 1 counts through the canvas (official), 2 by row and column",
      })
      .option("rope-theta", { type: "number", default: 100, describe: "slowest rotary frequency is about 1 over this (official: 10000)" })
      .option("batch-size", { type: "number", default: 64, describe: "examples a step" })
      .option("lr-trunk", { type: "number", default: 5e-4, describe: "peak learning rate of the trunk" })
      .option("lr-puzzle", { type: "number", default: 1e-2, describe: "peak learning rate of the puzzle rows" })
      .option("lr-min-ratio", { type: "number", default: 0.1, describe: "rates end at this share of their peak" })
      .option("warmup-steps", { type: "number", default: 200, describe: "steps of linear warm-up" })
      .option("ema-decay", { type: "number", default: 0.999, describe: "decay of the averaged trunk" })
      .option("weight-decay", { type: "number", default: 0.1, describe: "of the trunk" })
      .option("puzzle-weight-decay", { type: "number", default: 0.1, describe: "of the puzzle rows" })
      .option("steps", {
        type: "number",
        describe: "optimizer steps of the whole course, those before --resume included; the rates follow it",
      })
      .option("budget", {
        type: "string",
        describe: "wall clock of this process, such as 1h30m; with --steps too it may end before the course does",
      })
      .option("workers", { type: "number", default: 1, describe: "processes that share each batch" })
      .option("threads", { type: "number", describe: "TensorFlow's threads in each" })
      .option("engine", { choices: ENGINES, default: "auto" as const, describe: "engine" })
      .option("tf-lib", { type: "string", describe: "folder of a TensorFlow library" })
      .option("save-every", { type: "string", default: "5m", describe: "write the checkpoint this often" })
      .check(({ steps, budget, resume, from, generatedShare }) => {
        if (steps === undefined && budget === undefined && resume === undefined) throw new UserError("give --steps or --budget, or both");
        if (resume !== undefined && from !== undefined) throw new UserError("give --resume or --from, not both");
        const share = Number(generatedShare);
        if (!(share >= 0 && share <= 1)) throw new UserError(`--generated-share is ${share}; expected 0 to 1`);
        return true;
      }) as unknown as Argv<PretrainArgs>,
  handler: async (args) => {
    const { budget, kinds, seed, logLevel, json, ...rest } = args;
    const result = await pretrain({
      ...rest,
      saveEvery: rest.saveEvery,
      kinds: kinds === undefined || kinds === "all" ? undefined : kinds.split(",").map((kind) => kind.trim()),
      budgetSeconds: budget === undefined ? undefined : parseDuration(budget, "--budget"),
      seed: seed ?? "0",
      level: logLevel ?? "info",
      command: `trm ${process.argv.slice(2).join(" ")}`,
    });
    console.log(json ? JSON.stringify(result) : `${result.checkpoint}: ${result.steps} steps, loss ${result.lmLoss.toFixed(4)}`);
  },
};
