/** From an official state dict's names and shapes, its `all_config.yaml` and options to the shape of a model: derived where it can be, checked in any case. */
import { VOCABULARY_SIZE } from "../../encode/vocabulary.ts";
import { InputError } from "../../errors.ts";
import { innerSize, type ModelConfig } from "../../model/config.ts";
import { parseModelConfig } from "../config.ts";
import { formatShape } from "../safetensors.ts";
import { expectedShapes } from "../shapes.ts";
import { type AllConfig, TRM_ARCHITECTURE } from "./all-config.ts";

/** What an option may say of a model; each overrules the yaml, none the shapes. */
export interface ModelOptions {
  readonly numHeads?: number | undefined;
  readonly hCycles?: number | undefined;
  readonly lCycles?: number | undefined;
  readonly haltMaxSteps?: number | undefined;
  readonly prefixLength?: number | undefined;
  readonly expansion?: number | undefined;
  readonly ropeTheta?: number | undefined;
  readonly rmsNormEps?: number | undefined;
}

/** Where a value came from. */
export type Origin = "shapes" | "yaml" | "option" | "official default";

/** A model's shape, and what one should know of it. */
export interface OfficialModel {
  readonly model: ModelConfig;
  readonly origins: Readonly<Partial<Record<keyof ModelConfig, Origin>>>;
  /** a sentence each; nothing in them keeps the model from being used */
  readonly notes: readonly string[];
}

type Shapes = ReadonlyMap<string, readonly number[]>;

/** A config file with its name. */
export interface NamedConfig {
  readonly config: AllConfig;
  readonly path: string;
}

/** SwiGLU's inner width is rounded up to a multiple of this. Source: TRM models/layers.py `SwiGLU` */
export const OFFICIAL_INNER_MULTIPLE = 256;

/** Keys that only other models have, and what they are. */
const OTHER_MODELS: readonly [RegExp, string][] = [
  [/^H_level\./, "an H_level of its own is HRM's; TRM uses one network for both states"],
  [/\.mlp_t\./, "mlp_t mixes positions by an MLP; only the attention model of ARC can be converted"],
  [/^embed_pos\./, "positions are learned; only rotary positions (pos_encodings: rope) can be converted"],
  [/lora_|\.base_layer\./, "these are LoRA adapters; merge them into the weights first"],
];

/**
 * The model that a state dict is of.
 *
 * @param shapes     of the trunk's tensors, under our names
 * @param puzzleRows shape of the table of puzzle embeddings
 * @param given      the yaml, where there is one
 * @param where      the checkpoint's name, for messages
 * @throws InputError that lists what is missing, contradicts itself, or belongs to another model
 */
export function officialModel(
  shapes: Shapes,
  puzzleRows: readonly number[] | undefined,
  given: NamedConfig | undefined,
  options: ModelOptions,
  where: string,
): OfficialModel {
  refuseOtherModels(shapes, puzzleRows, where);
  const derived = fromShapes(shapes, puzzleRows!, where);
  if (given) checkConfig(given, derived, where);
  const arch = given?.config.arch;
  const fields = new Fields();
  const { expansion, innerMultiple } = widthRule(derived, options.expansion, given, where);
  fields.origins.expansion = options.expansion !== undefined ? "option" : arch ? "yaml" : "shapes";
  const ownPrefix = Math.ceil(derived.puzzleEmbeddingSize / derived.hiddenSize);
  const value = {
    hiddenSize: fields.derived("hiddenSize", derived.hiddenSize),
    lLayers: fields.derived("lLayers", derived.lLayers),
    puzzleEmbeddingSize: fields.derived("puzzleEmbeddingSize", derived.puzzleEmbeddingSize),
    expansion,
    innerMultiple,
    numHeads: fields.pick("numHeads", options.numHeads, arch?.num_heads),
    hCycles: fields.pick("hCycles", options.hCycles, arch?.H_cycles),
    lCycles: fields.pick("lCycles", options.lCycles, arch?.L_cycles),
    haltMaxSteps: fields.pick("haltMaxSteps", options.haltMaxSteps, arch?.halt_max_steps),
    prefixLength: fields.pick("prefixLength", options.prefixLength, arch && (arch.puzzle_emb_len || ownPrefix)),
    ropeTheta: fields.pick("ropeTheta", options.ropeTheta, arch?.rope_theta, 10000),
    rmsNormEps: fields.pick("rmsNormEps", options.rmsNormEps, arch?.rms_norm_eps, 1e-5),
  };
  if (fields.missing.length > 0) {
    throw new InputError(where, [
      `${fields.missing.map(flagOf).join(", ")}: can't be read off the weights; give the training's all_config.yaml (--config) or these options (ARC models of the papers: ${fields.missing.map((name) => `${flagOf(name)} ${PAPER[name]}`).join(" ")})`,
    ]);
  }
  const model = parseModelConfig(value, where);
  const overruled = given ? fields.overruled.map((text) => `${text} of ${given.path}`) : [];
  return { model, origins: fields.origins, notes: [...overruled, ...notesOn(arch)] };
}

/** What the papers' ARC models have; for the message that asks for it. Source: TRM README, TTA (prefix 1 in later configs) */
const PAPER: Partial<Record<keyof ModelConfig, string>> = {
  numHeads: "8",
  hCycles: "3",
  lCycles: "4",
  haltMaxSteps: "16",
  prefixLength: "16",
};

/** `numHeads` -> `--num-heads` */
function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Picks values and remembers where from. */
class Fields {
  readonly origins: Partial<Record<keyof ModelConfig, Origin>> = {};
  readonly missing: (keyof ModelConfig)[] = [];
  readonly overruled: string[] = [];

  derived<T>(name: keyof ModelConfig, value: T): T {
    this.origins[name] = "shapes";
    return value;
  }

  pick(name: keyof ModelConfig, option: number | undefined, yaml: number | undefined, fallback?: number): number | undefined {
    if (option !== undefined && yaml !== undefined && option !== yaml)
      this.overruled.push(`${flagOf(name)} ${option} overrules the ${yaml}`);
    const value = option ?? yaml ?? fallback;
    if (value === undefined) this.missing.push(name);
    else this.origins[name] = option !== undefined ? "option" : yaml !== undefined ? "yaml" : "official default";
    return value;
  }
}

function refuseOtherModels(shapes: Shapes, puzzleRows: readonly number[] | undefined, where: string): void {
  const problems: string[] = [];
  for (const [pattern, what] of OTHER_MODELS) {
    const key = [...shapes.keys()].find((name) => pattern.test(name));
    if (key !== undefined) problems.push(`is not a checkpoint of the model that we have: it holds ${key}; ${what}`);
  }
  if (problems.length === 0 && !puzzleRows)
    problems.push("holds no puzzle_emb.weights; a model without puzzle embeddings can't be adapted here");
  if (problems.length > 0) throw new InputError(where, problems);
}

interface Derived {
  readonly hiddenSize: number;
  readonly lLayers: number;
  readonly inner: number;
  readonly puzzleEmbeddingSize: number;
}

/** What shapes alone say. @throws InputError listing tensors that are missing, too many or of shapes that don't fit each other */
function fromShapes(shapes: Shapes, puzzleRows: readonly number[], where: string): Derived {
  const head = shapes.get("lm_head.weight");
  const down = shapes.get("L_level.layers.0.mlp.down_proj.weight");
  if (head?.length !== 2 || down?.length !== 2) {
    const name = head?.length === 2 ? "L_level.layers.0.mlp.down_proj.weight" : "lm_head.weight";
    const keys = [...shapes.keys()].slice(0, 3).join(", ") || "none";
    throw new InputError(where, [`has no matrix ${name}; is it a TRM checkpoint? Its keys begin: ${keys}`]);
  }
  if (puzzleRows.length !== 2 || puzzleRows.includes(0)) {
    throw new InputError(where, [`puzzle_emb.weights is ${formatShape(puzzleRows)}; expected [puzzles, numbers]`]);
  }
  const [vocabulary, hiddenSize] = head as [number, number];
  if (vocabulary !== VOCABULARY_SIZE) {
    throw new InputError(where, [
      `lm_head.weight is ${formatShape(head)}: ${vocabulary} tokens, ARC has ${VOCABULARY_SIZE}; is it a model of other puzzles (Sudoku, mazes)?`,
    ]);
  }
  const layers = [...shapes.keys()].flatMap((name) => /^L_level\.layers\.(\d{1,4})\./.exec(name)?.[1] ?? []);
  const lLayers = 1 + Math.max(...layers.map(Number));
  const inner = down[1]!;
  const model = { hiddenSize, lLayers, vocabularySize: vocabulary, expansion: (1.5 * inner) / hiddenSize, innerMultiple: 1 };
  const expected = expectedShapes(model as ModelConfig);
  const problems: string[] = [];
  for (const [name, shape] of expected) {
    const found = shapes.get(name);
    if (!found) problems.push(`${name} ${formatShape(shape)} is missing`);
    else if (formatShape(found) !== formatShape(shape)) {
      problems.push(
        `${name} is ${formatShape(found)}; with lm_head.weight ${formatShape(head)} and an inner width of ${inner} it must be ${formatShape(shape)}`,
      );
    }
  }
  for (const [name, shape] of shapes) if (!expected.has(name)) problems.push(`${name} ${formatShape(shape)} is no part of this model`);
  if (problems.length > 0) throw new InputError(where, problems.slice(0, 30));
  return { hiddenSize, lLayers, inner, puzzleEmbeddingSize: puzzleRows[1]! };
}

/** @throws InputError listing where the yaml contradicts the shapes, and models that the yaml says are others than ours */
function checkConfig({ config: { arch }, path }: NamedConfig, derived: Derived, where: string): void {
  const problems: string[] = [];
  const same = (name: string, said: number, found: number): void => {
    if (said !== found) problems.push(`arch.${name} is ${said}, the weights in ${where} have ${found}`);
  };
  same("hidden_size", arch.hidden_size, derived.hiddenSize);
  same("L_layers", arch.L_layers, derived.lLayers);
  same("puzzle_emb_ndim", arch.puzzle_emb_ndim, derived.puzzleEmbeddingSize);
  if (problems.length > 0) problems.push("is it of another training? Name the right one with --config, or --config none and give options");
  if (arch.name !== TRM_ARCHITECTURE) {
    problems.push(
      `arch.name is ${arch.name}; only ${TRM_ARCHITECTURE} can be converted. If this is the same model by another name: --config none and options`,
    );
  }
  if (arch.pos_encodings !== "rope") problems.push(`arch.pos_encodings is ${arch.pos_encodings}; only rope can be converted`);
  if (arch.mlp_t) problems.push("arch.mlp_t is true; only the attention model can be converted");
  if (problems.length > 0) throw new InputError(path, problems);
}

/** The rule of SwiGLU's inner width that gives the one found. @throws InputError where the rule that is given gives another one */
function widthRule(
  { hiddenSize, inner }: Derived,
  option: number | undefined,
  given: NamedConfig | undefined,
  where: string,
): Pick<ModelConfig, "expansion" | "innerMultiple"> {
  const innerMultiple = OFFICIAL_INNER_MULTIPLE;
  const expansion = option ?? given?.config.arch.expansion;
  const fits = (candidate: number): boolean => innerSize({ expansion: candidate, hiddenSize, innerMultiple }) === inner;
  if (expansion !== undefined) {
    if (fits(expansion)) return { expansion, innerMultiple };
    const from = option === undefined ? `${given!.path}: arch.expansion` : "--expansion";
    throw new InputError(where, [
      `${from} ${expansion} gives an inner width of ${innerSize({ expansion, hiddenSize, innerMultiple })}, its weights have ${inner}`,
    ]);
  }
  if (fits(4)) return { expansion: 4, innerMultiple };
  const exact = (1.5 * inner) / hiddenSize;
  return { expansion: exact, innerMultiple: fits(exact) ? innerMultiple : 1 };
}

function notesOn(arch: AllConfig["arch"] | undefined): string[] {
  const notes: string[] = [];
  if (arch && !arch.no_ACT_continue)
    notes.push("trained with a continue loss (no_ACT_continue: false); adaptation here trains the halting output alone");
  const loss = arch?.loss?.loss_type;
  if (loss !== undefined && loss !== "stablemax_cross_entropy")
    notes.push(`trained with ${loss}; adaptation here uses stablemax_cross_entropy`);
  return notes;
}
