/** The `all_config.yaml` that the official pretrain.py writes beside its checkpoints. */
import { parseDocument, stringify } from "yaml";
import * as z from "zod";
import { InputError } from "../../errors.ts";
import { readFileBounded } from "../file.ts";
import { describeWrongFile } from "../wrong-file.ts";

/** The file's name. */
export const ALL_CONFIG_FILE = "all_config.yaml";

/** The one architecture that our model code is. */
export const TRM_ARCHITECTURE = "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1";

const MAX_BYTES = 2 ** 20;
/** Aliases (`*name`) followed at most: a few of them can unfold into any amount of memory. */
const MAX_ALIASES = 100;

const count = z.int().min(0);

/**
 * The fields of `arch` that we read; defaults are those of the official class, so that a file from before a field came means the same here and there.
 *
 * Source: TRM models/recursive_reasoning/trm.py `TinyRecursiveReasoningModel_ACTV1Config`
 */
const archSchema = z.looseObject({
  name: z.string(),
  H_cycles: count,
  L_cycles: count,
  L_layers: count,
  hidden_size: count,
  num_heads: count,
  expansion: z.number(),
  pos_encodings: z.string(),
  halt_max_steps: count,
  puzzle_emb_ndim: count.default(0),
  /** positions that hold the puzzle embedding; 0 = as many as it fills */
  puzzle_emb_len: count.default(16),
  rms_norm_eps: z.number().default(1e-5),
  rope_theta: z.number().default(10000),
  forward_dtype: z.string().default("bfloat16"),
  mlp_t: z.boolean().default(false),
  no_ACT_continue: z.boolean().default(true),
  loss: z.looseObject({ name: z.string(), loss_type: z.string().optional() }).optional(),
});

const configSchema = z.looseObject({
  arch: archSchema,
  data_paths: z.array(z.string()).default([]),
  seed: z.union([z.number(), z.string()]).optional(),
  project_name: z.string().nullish(),
  run_name: z.string().nullish(),
  ema: z.boolean().default(false),
  /** tokens of a canvas; not the official code's, which takes it from its data set: put there by our own export */
  seq_len: z.int().min(1).optional(),
});

/** A file's content, checked. */
export type AllConfig = z.infer<typeof configSchema>;

/**
 * Reads such a file. YAML's tags, which can stand for any Python object, are refused.
 *
 * @throws InputError naming each wrong field
 */
export function readAllConfig(path: string): AllConfig {
  const bytes = readFileBounded(path, MAX_BYTES);
  return parseAllConfig(Buffer.from(bytes).toString("utf8"), path);
}

/** As `readAllConfig`, for its text. @param where the file's name, for messages */
export function parseAllConfig(text: string, where: string): AllConfig {
  const wrong = describeWrongFile(Buffer.from(text), "json");
  if (wrong) throw new InputError(where, [wrong]);
  const document = parseDocument(text, { prettyErrors: true });
  const faults = [...document.errors, ...document.warnings].map(({ message }) => `is not plain YAML: ${message.split("\n")[0]}`);
  if (faults.length > 0) throw new InputError(where, faults.slice(0, 20));
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new InputError(where, [`is not plain YAML: ${(error as Error).message}`]);
  }
  if (typeof value !== "object" || value === null || !("arch" in value)) {
    throw new InputError(where, [`has no arch; expected the ${ALL_CONFIG_FILE} of the official pretrain.py, or --config none and options`]);
  }
  const parsed = configSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.map(String).join(".")}: ${message}`);
  throw new InputError(where, problems);
}

/** The text of such a file. */
export function formatAllConfig(config: Readonly<Record<string, unknown>>): string {
  return stringify(config, { sortMapEntries: true, aliasDuplicateObjects: false });
}
