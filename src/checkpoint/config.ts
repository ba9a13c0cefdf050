/** `config.json` of a checkpoint: the model's shape, the canvas it was trained on, and how it was trained. */
import * as z from "zod";
import { VOCABULARY_SIZE } from "../encode/vocabulary.ts";
import { InputError, messageOf } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import type { EncoderConfig } from "../model/encoder-config.ts";
import { EMBEDDINGS_FILE, MODEL_FILE, PUZZLES_FILE } from "./file-names.ts";
import { type FileRecords, recordsSchema } from "./staged-files.ts";
import { describeWrongFile } from "./wrong-file.ts";

export type { ModelConfig } from "../model/config.ts";

/** How a checkpoint came to be; further fields are kept as they are. */
export interface TrainingRecord {
  /** name of the recipe */
  readonly recipe: string;
  readonly dataSets: readonly string[];
  /** optimizer steps */
  readonly steps: number;
  readonly seed?: number | string | undefined;
  readonly command?: string | undefined;
  readonly [field: string]: unknown;
}

/** All of `config.json`. */
export interface CheckpointConfig {
  readonly format: "trm";
  readonly formatVersion: 1;
  readonly model: ModelConfig;
  /** canvas side in cells trained on; also the row stride of the rotary positions */
  readonly canvas: number;
  readonly training: TrainingRecord;
  /** where an encoder that makes puzzle embeddings of demonstrations was trained with it */
  readonly encoder?: EncoderConfig | undefined;
  /** settings of an adaptation that suit it, by name: they go before the defaults of `run` */
  readonly adaptation?: Readonly<Record<string, unknown>> | undefined;
  /** size and hash of the files that belong to this config: of `NAME` and `NAME.new` the one that it fits counts */
  readonly files?: FileRecords | undefined;
}

/** Side in cells of the canvases that the trunk was trained on, which may be smaller than `canvas`; undefined where that was not noted. */
export function sideTrainedOn({ training }: Pick<CheckpointConfig, "training">): number | undefined {
  const { trainedCanvas } = training;
  return typeof trainedCanvas === "number" && trainedCanvas >= 1 ? trainedCanvas : undefined;
}

const count = (max: number) => z.int().min(1).max(max);

const modelSchema = z
  .strictObject({
    hiddenSize: count(16384),
    numHeads: count(1024),
    expansion: z.number().gt(0).max(64).default(4),
    innerMultiple: count(4096).default(256),
    lLayers: count(256),
    hCycles: count(256),
    lCycles: count(256),
    haltMaxSteps: count(1024),
    prefixLength: count(1024),
    vocabularySize: z.literal(VOCABULARY_SIZE).default(VOCABULARY_SIZE),
    puzzleEmbeddingSize: count(2 ** 24).optional(),
    ropeTheta: z.number().gt(0).default(10000),
    ropeAxes: z.union([z.literal(1), z.literal(2)]).default(1),
    rmsNormEps: z.number().gt(0).max(1).default(1e-5),
  })
  .transform((model) => ({ ...model, puzzleEmbeddingSize: model.puzzleEmbeddingSize ?? model.hiddenSize }))
  .check((context) => {
    const { hiddenSize, numHeads, prefixLength, puzzleEmbeddingSize } = context.value;
    const problem = (field: string, message: string) =>
      context.issues.push({ code: "custom", input: context.value, path: [field], message });
    if (hiddenSize % numHeads !== 0) problem("numHeads", `${numHeads} heads don't divide hiddenSize ${hiddenSize}`);
    else if ((hiddenSize / numHeads) % 2 !== 0)
      problem("numHeads", `heads of ${hiddenSize / numHeads} are odd; rotary positions need pairs`);
    if (puzzleEmbeddingSize > prefixLength * hiddenSize) {
      problem("puzzleEmbeddingSize", `${puzzleEmbeddingSize} don't fit ${prefixLength} prefix positions of ${hiddenSize}`);
    }
  });

const configSchema = z.strictObject({
  format: z.literal("trm"),
  formatVersion: z.literal(1),
  model: modelSchema,
  canvas: count(64),
  training: z.looseObject({
    recipe: z.string(),
    dataSets: z.array(z.string()).default([]),
    steps: z.int().min(0).default(0),
    seed: z.union([z.number(), z.string()]).optional(),
    command: z.string().optional(),
  }),
  encoder: z.strictObject({ layers: count(64), pairs: count(64) }).optional(),
  adaptation: z.record(z.string(), z.unknown()).optional(),
  files: recordsSchema([MODEL_FILE, EMBEDDINGS_FILE, PUZZLES_FILE]).optional(),
});

/**
 * A model's shape, checked, with defaults filled in.
 *
 * @throws InputError naming each wrong field
 */
export function parseModelConfig(value: unknown, where: string): ModelConfig {
  return checked(modelSchema, value, where);
}

/**
 * The config in a text of JSON, checked, with defaults filled in.
 *
 * @param where the file's name, for messages
 * @throws InputError naming each wrong field by its path (`model.hiddenSize`)
 */
export function parseCheckpointConfig(text: string, where: string): CheckpointConfig {
  const wrong = describeWrongFile(Buffer.from(text), "json");
  if (wrong) throw new InputError(where, [wrong]);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(where, [`is not JSON: ${messageOf(error)}`]);
  }
  return checkCheckpointConfig(value, where);
}

/** As `parseCheckpointConfig`, for a value. */
export function checkCheckpointConfig(value: unknown, where: string): CheckpointConfig {
  const { format, formatVersion } = Object(value);
  if (format === "trm" && Number.isInteger(formatVersion) && formatVersion > 1) {
    throw new InputError(where, [`formatVersion ${formatVersion} is newer than this program reads (1); use the program that wrote it`]);
  }
  return checked(configSchema, value, where);
}

function checked<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`,
  );
  throw new InputError(where, problems);
}
