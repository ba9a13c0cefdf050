/** `inspect`: what is in a checkpoint, and what a run has learned. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { MODEL_FILE } from "../checkpoint/file-names.ts";
import { type Inspection, inspectFolder, type Part } from "../checkpoint/inspect.ts";
import type { RowDiagnosis, Similarity } from "../checkpoint/row-cosine.ts";
import { RECORD_FILE } from "../checkpoint/training-state.ts";
import { UserError } from "../errors.ts";
import { writeFileAtomically } from "../files/atomic.ts";
import { headSize, innerSize } from "../model/config.ts";
import { type Moved, relative } from "../model/moved.ts";
import { learningSections } from "../report/learning-text.ts";
import { readRunLearning, runLearningJson, runLearningPlot, runLearningSections } from "./inspect-run.ts";

interface InspectArgs {
  folder: string;
  identifiers: string | undefined;
  since: string | undefined;
  plot: string | undefined;
  json?: boolean;
}

export const inspectCommand: CommandModule<object, InspectArgs> = {
  command: "inspect <folder>",
  describe: "Say what is in a checkpoint or training state (shape, weights, embeddings, how it was trained), or how a run has learned",
  builder: (y) =>
    y
      .usage(
        `$0 inspect <folder>

Checks the files as every other command does, then shows config, parameters by part, statistics of the puzzle embeddings, the record of the training and sizes. \
Where all puzzle embeddings are kept (\`convert --with-embeddings\`, the folder of \`pretrain --state\`), it also says how alike they are: \
the cosine of two variants of one task, and of two rows of different tasks, over all pairs; once as they are and once with their mean taken off. \
A trunk that has learned to read them has rows of one task far more alike than rows of different ones. With --since it says how far each part has moved \
from another checkpoint's.

Of the folder of a run (\`run --run-dir\`, \`pretrain --run-dir\`) it shows the curves, how far trunk and rows have moved from their start, how alike rows are, \
and how each task fares: those that are learned worst stand first.`,
      )
      .positional("folder", {
        type: "string",
        demandOption: true,
        describe: "folder of a checkpoint, a training state or both; or of a run",
      })
      .option("identifiers", {
        type: "string",
        describe: "the data set's identifiers.json: which puzzle each kept row stands for, where the folder doesn't say it by name",
      })
      .option("since", { type: "string", describe: "folder of another checkpoint of the same shape: how far each part has moved from it" })
      .option("plot", { type: "string", describe: "picture to write (SVG) of a run's learning" })
      .example("$0 inspect checkpoints/sample", "a checkpoint")
      .example("$0 inspect runs/demo --plot learning.svg", "a run, and its curves as a picture")
      .example("$0 inspect trm-rows --json | jq .puzzleEmbedding.diagnosis", "how alike its puzzle embeddings are"),
  handler: ({ folder, identifiers, since, plot, json }) => {
    const run = readRunLearning(folder);
    const hasWeights = [MODEL_FILE, RECORD_FILE].some((name) => existsSync(join(folder, name)));
    if (run && !hasWeights) {
      if ((identifiers ?? since) !== undefined)
        throw new UserError(`--${since === undefined ? "identifiers" : "since"}: ${folder} is the folder of a run; name a checkpoint's`);
      const sections = runLearningSections(run);
      if (plot !== undefined) writeFileAtomically(plot, runLearningPlot(run));
      console.log(json ? JSON.stringify(runLearningJson(run)) : inSections(`${folder}: a run`, sections));
      return;
    }
    if (plot !== undefined && !run)
      throw new UserError(`--plot: ${folder} is not the folder of a run (no metrics.jsonl, no learning.jsonl)`);
    const inspection = inspectFolder(folder, { identifiers, since });
    if (run && plot !== undefined) writeFileAtomically(plot, runLearningPlot(run));
    const learned = run ? runLearningJson(run) : undefined;
    console.log(
      json
        ? JSON.stringify({ ...inspection, ...(learned && { learned }) })
        : describe(inspection, run ? learningSections(run.learning, run.curves) : []),
    );
  },
};

/** A paragraph for each thing, its name in front. */
function describe(
  { folder, checkpoint, trainingState, puzzleEmbedding, files, bytes }: Inspection,
  learned: readonly [string, string[]][],
): string {
  const sections: [string, string[]][] = [];
  if (checkpoint) {
    sections.push(["model", describeModel(checkpoint)]);
    sections.push(["parameters", describeParts(checkpoint)]);
    if (checkpoint.encoder) sections.push(["encoder", describeEncoder(checkpoint.encoder)]);
  }
  if (checkpoint?.moved) sections.push(["moved", describeMoved(checkpoint.moved)]);
  sections.push(["embeddings", describeEmbedding(puzzleEmbedding)]);
  if (puzzleEmbedding.diagnosis) sections.push(["cosine", describeCosines(puzzleEmbedding.diagnosis)]);
  if (checkpoint?.adaptation) sections.push(["adaptation", describeRecord(checkpoint.adaptation)]);
  if (checkpoint) sections.push(["training", describeRecord(checkpoint.training)]);
  if (trainingState) {
    const arrays = Object.entries(trainingState.arrays).map(([name, numbers]) => `${name} ${numbers}`);
    sections.push(["resumable", [...describeRecord(trainingState.record), `arrays  ${arrays.join(", ")}`]]);
  }
  sections.push([
    "files",
    [...Object.entries(files).map(([name, size]) => `${name.padEnd(24)} ${sizeText(size)}`), `in all ${sizeText(bytes)}`],
  ]);
  sections.push(...learned);
  const what = [checkpoint && "a checkpoint", trainingState && "a training state"].filter(Boolean).join(" and ");
  return inSections(`${folder}: ${what}`, sections);
}

/** Each section's name beside its first line. */
function inSections(title: string, sections: readonly (readonly [string, readonly string[]])[]): string {
  return [title, ...sections.flatMap(([name, lines]) => lines.map((line, i) => `${(i === 0 ? name : "").padEnd(11)} ${line}`))].join("\n");
}

function describeModel({ model, canvas }: NonNullable<Inspection["checkpoint"]>): string[] {
  const positions = model.ropeAxes === 2 ? "by row and column" : "counting through the canvas";
  return [
    `width ${model.hiddenSize}, ${many(model.numHeads, "head")} of ${headSize(model)}, ${many(model.lLayers, "block")}, SwiGLU ${innerSize(model)} wide`,
    `${many(model.hCycles, "H cycle")} of ${many(model.lCycles, "L cycle")}, at most ${many(model.haltMaxSteps, "ACT step")}`,
    `puzzle embeddings of ${model.puzzleEmbeddingSize} numbers on ${many(model.prefixLength, "prefix position")}`,
    `canvas ${canvas} x ${canvas}; rotary positions ${positions}, theta ${model.ropeTheta}; norm epsilon ${model.rmsNormEps}`,
  ];
}

function many(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function describeParts({ parts, parameters, precision }: NonNullable<Inspection["checkpoint"]>): string[] {
  const stored = Object.entries(precision.stored).map(([dtype, tensors]) => `${tensors} tensors in ${dtype}`);
  const half = precision.bfloat16.length > 0 ? [`exact in bfloat16 too: ${precision.bfloat16.join(", ")}`] : [];
  return [`${parameters}; the file has ${stored.join(", ")}`, ...parts.map(describePart), ...half];
}

function describeEncoder({ layers, pairs, parameters, parts }: NonNullable<NonNullable<Inspection["checkpoint"]>["encoder"]>): string[] {
  const what = `${parameters}; makes a puzzle embedding of at most ${many(pairs, "demonstration")}, each through ${many(layers, "block")}: \`run --start encoder\``;
  return [what, ...parts.map(describePart)];
}

function describePart({ name, about, parameters, rms, greatest }: Part): string {
  return `${name.padEnd(28)} ${String(parameters).padStart(9)}   rms ${rms.toPrecision(3).padEnd(9)} greatest ${greatest.toPrecision(3).padEnd(9)} ${about}`;
}

function describeMoved({ since, parts, meanRow }: NonNullable<NonNullable<Inspection["checkpoint"]>["moved"]>): string[] {
  const line = (name: string, moved: Moved): string =>
    `${name.padEnd(28)} ${(moved.start > 0 ? relative(moved) : moved.distance).toPrecision(4)}`;
  return [
    `from ${since}: Euclidean distance over the length there`,
    ...Object.entries(parts).map(([name, moved]) => line(name, moved)),
    ...(meanRow ? [line("mean of the puzzle rows", meanRow)] : []),
  ];
}

function describeEmbedding({ size, meanNorm, deviation, rows, tasks, diagnosis }: Inspection["puzzleEmbedding"]): string[] {
  const lines = [
    `${size} numbers; their mean has length ${meanNorm.toPrecision(4)}, they deviate from it by ${deviation.toPrecision(4)} (root mean square)`,
  ];
  if (!diagnosis) return [...lines, "rows are not kept: no cosines (`trm convert --with-embeddings` keeps them)"];
  const { norm, zeroRows, rowsAtMean, leftOut } = diagnosis;
  const odd = [
    [leftOut, "blank"],
    [zeroRows, "zero"],
    [rowsAtMean, "at the mean"],
  ].flatMap(([count, what]) => (Number(count) > 0 ? [`${count} ${what}`] : []));
  lines.push(`${rows} rows kept${tasks === undefined ? "" : ` of ${tasks} tasks`}${odd.length > 0 ? `; ${odd.join(", ")}` : ""}`);
  return [
    ...lines,
    `lengths ${[norm.least, norm.median, norm.greatest].map((value) => value.toPrecision(4)).join(" / ")} (least, median, greatest)`,
  ];
}

function describeCosines({ cosine, cosineAboutMean }: RowDiagnosis): string[] {
  const number = (value: number): string => (Number.isNaN(value) ? "none" : value.toFixed(4)).padStart(8);
  const line = (name: string, pick: (view: Similarity) => number | undefined): string[] => {
    const [plain, about] = [pick(cosine), pick(cosineAboutMean)];
    return plain === undefined || about === undefined ? [] : [`${name.padEnd(40)} ${number(plain)}   ${number(about)}`];
  };
  const { withinTasks, acrossTasks, all } = cosine;
  return [
    `${"mean over pairs of rows".padEnd(40)} ${"as is".padStart(8)}   about their mean`,
    ...line(`two variants of a task (${withinTasks?.pairs} pairs)`, (view) => view.withinTasks?.mean),
    ...line("  least of a task", (view) => view.withinTasks?.least),
    ...line("  median of the tasks", (view) => view.withinTasks?.median),
    ...line("  greatest of a task", (view) => view.withinTasks?.greatest),
    ...line(`different tasks (${acrossTasks?.pairs} pairs)`, (view) => view.acrossTasks?.mean),
    ...line(`any two (${all.pairs} pairs)`, (view) => view.all.mean),
    ...(withinTasks ? [] : ["which row is of which task is not known: --identifiers says it"]),
  ];
}

/** A line for each field; what is long is cut. */
function describeRecord(record: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(record).map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `${name}  ${text !== undefined && text.length > 160 ? `${text.slice(0, 160)}…` : text}`;
  });
}

function sizeText(bytes: number): string {
  if (bytes < 2 ** 20) return `${Math.ceil(bytes / 1024)} KiB`;
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
