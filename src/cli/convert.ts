/** `convert`: between the official code's PyTorch checkpoints and checkpoint folders. */
import type { Argv, CommandModule } from "yargs";
import { type Conversion, convertFromPytorch } from "../checkpoint/pytorch/from-pytorch.ts";
import { convertToPytorch, type Export, type ForwardDtype } from "../checkpoint/pytorch/to-pytorch.ts";
import { UserError } from "../errors.ts";

interface ConvertArgs {
  from: string;
  out: string;
  toPytorch: boolean;
  config: string | undefined;
  withEmbeddings: boolean;
  identifiers: string | undefined;
  canvas: number | undefined;
  steps: number | undefined;
  numHeads: number | undefined;
  hCycles: number | undefined;
  lCycles: number | undefined;
  haltMaxSteps: number | undefined;
  prefixLength: number | undefined;
  expansion: number | undefined;
  ropeTheta: number | undefined;
  rmsNormEps: number | undefined;
  puzzleCount: number | undefined;
  forwardDtype: ForwardDtype | undefined;
  json?: boolean;
}

const FROM = "From PyTorch (a file that torch.save(model.state_dict(), path) wrote, such as step_723914):";
const SHAPE = "What the weights can't tell, where no all_config.yaml does; each overrules the yaml:";
const TO = "With --to-pytorch:";

/** Options that have a meaning in one direction only. */
const FROM_OPTIONS = [
  "config",
  "identifiers",
  "canvas",
  "steps",
  "num-heads",
  "h-cycles",
  "l-cycles",
  "halt-max-steps",
  "prefix-length",
  "expansion",
  "rope-theta",
  "rms-norm-eps",
];
const TO_OPTIONS = ["puzzle-count", "forward-dtype"];
const WHOLE = ["canvas", "num-heads", "h-cycles", "l-cycles", "halt-max-steps", "prefix-length", "puzzle-count"];

export const convertCommand: CommandModule<object, ConvertArgs> = {
  command: "convert <from>",
  describe: "Turn a PyTorch TRM checkpoint into a checkpoint folder, or back",
  builder: (y) =>
    y
      .usage(
        `$0 convert <from> --out PATH

Reads the official code's checkpoints without PyTorch and without running anything in them, piece by piece: 2.5 GB take 180 MiB of memory. What the shapes of the weights tell is taken from them and compared with the training's all_config.yaml, which is looked for beside the file; the rest (heads, cycles, ACT steps, prefix) comes from the yaml or from options.`,
      )
      .positional("from", {
        type: "string",
        demandOption: true,
        describe: "PyTorch checkpoint (or the folder it is alone in); with --to-pytorch a checkpoint folder",
      })
      .option("out", { type: "string", demandOption: true, describe: "folder of the checkpoint to write; with --to-pytorch the file" })
      .option("to-pytorch", {
        type: "boolean",
        default: false,
        describe: "write a file that the official code loads, and its all_config.yaml beside it",
      })
      .option("config", {
        type: "string",
        describe: "the training's all_config.yaml; none = go by options alone [default: the one beside the file]",
      })
      .option("with-embeddings", {
        type: "boolean",
        default: false,
        describe: "keep every puzzle embedding, not their mean and deviation alone",
      })
      .option("identifiers", {
        type: "string",
        describe: "the data set's identifiers.json, for --with-embeddings: which puzzle each row stands for",
      })
      .option("steps", { type: "number", describe: "optimizer steps it was trained for [default: N of a name step_N]" })
      .option("canvas", { type: "number", describe: "canvas side that was trained on [default: 30, ARC's]" })
      .option("num-heads", { type: "number", describe: "attention heads" })
      .option("h-cycles", { type: "number", describe: "answer updates per ACT step" })
      .option("l-cycles", { type: "number", describe: "latent updates per answer update" })
      .option("halt-max-steps", { type: "number", describe: "ACT steps at most" })
      .option("prefix-length", { type: "number", describe: "positions that hold the puzzle embedding (16, or 1 in later configs)" })
      .option("expansion", { type: "number", describe: "of SwiGLU; checked against its width" })
      .option("rope-theta", { type: "number", describe: "base of the rotary frequencies [default: 10000]" })
      .option("rms-norm-eps", { type: "number", describe: "added under the norm's root [default: 1e-5]" })
      .option("puzzle-count", { type: "number", describe: "rows to write where the checkpoint keeps none, each the mean [default: 1]" })
      .option("forward-dtype", {
        choices: ["bfloat16", "float32"] as const,
        describe: "what the official code shall compute in [default: as trained, or as loses nothing]",
      })
      .group(["out", "to-pytorch"], "What to write:")
      .group(["config", "with-embeddings", "identifiers", "steps"], FROM)
      .group(
        ["canvas", "num-heads", "h-cycles", "l-cycles", "halt-max-steps", "prefix-length", "expansion", "rope-theta", "rms-norm-eps"],
        SHAPE,
      )
      .group(["puzzle-count", "forward-dtype"], TO)
      .example("$0 convert trm/step_723914 --out checkpoints/trm", "config from trm/all_config.yaml; mean and deviation of the embeddings")
      .example(
        "$0 convert step_723914 --out checkpoints/trm --num-heads 8 --h-cycles 3 --l-cycles 4 --halt-max-steps 16 --prefix-length 16",
        "the same without a yaml",
      )
      .example(
        "$0 convert trm/step_723914 --out trm-rows --with-embeddings --identifiers data/identifiers.json",
        "all rows, for `trm inspect`",
      )
      .example("$0 convert checkpoints/trm --to-pytorch --out official/step_723914", "for the official pretrain.py, +load_checkpoint=…")
      .check((args) => {
        const wrong = (args.toPytorch ? FROM_OPTIONS : TO_OPTIONS).filter((name) => args[name] !== undefined);
        if (args.toPytorch && args.withEmbeddings) wrong.push("with-embeddings");
        if (wrong.length > 0) {
          const way = args.toPytorch ? "is for reading PyTorch's files, not with --to-pytorch" : "is for --to-pytorch";
          throw new UserError(wrong.map((name) => `--${name} ${way}`).join("\n"));
        }
        const notWhole = WHOLE.filter((name) => args[name] !== undefined && !(Number.isSafeInteger(args[name]) && Number(args[name]) >= 1));
        if (notWhole.length > 0)
          throw new UserError(notWhole.map((name) => `--${name} is ${args[name]}; expected a whole number from 1`).join("\n"));
        if (args.steps !== undefined && !(Number.isSafeInteger(args.steps) && Number(args.steps) >= 0)) {
          throw new UserError(`--steps is ${args.steps}; expected a whole number from 0`);
        }
        return true;
      }) as unknown as Argv<ConvertArgs>,
  handler: ({ from, json, toPytorch, ...options }) => {
    if (toPytorch) {
      const written = convertToPytorch(from, options);
      for (const note of written.notes) console.error(note);
      console.log(json ? JSON.stringify(written) : describeExport(written));
    } else {
      const conversion = convertFromPytorch(from, options, (sentence) => console.error(sentence));
      console.log(json ? JSON.stringify(conversion) : describeConversion(conversion));
    }
  },
};

function describeConversion({
  checkpoint,
  parameters,
  puzzleRows,
  puzzleEmbeddingSize,
  embeddingsKept,
  model,
  canvas,
  steps,
  origins,
}: Conversion): string {
  const known = origins as Readonly<Record<string, string | undefined>>;
  const fields = Object.entries({ ...model, canvas, steps }).filter(([name]) => known[name] !== undefined);
  const lines = fields.map(([name, value]) => `  ${name.padEnd(20)} ${String(value).padStart(8)}   ${known[name]}`);
  const rows = `${puzzleRows} puzzle embeddings of ${puzzleEmbeddingSize} numbers, ${embeddingsKept ? "all kept" : "mean and deviation kept"}`;
  return [...lines, `${checkpoint}: ${parameters} weights, ${rows}`].join("\n");
}

function describeExport({ file, config, parameters, puzzleRows, forwardDtype }: Export): string {
  return `${file}: ${parameters} weights, ${puzzleRows} puzzle embeddings, to be run in ${forwardDtype}; ${config} says how to build the model`;
}
