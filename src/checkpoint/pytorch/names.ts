/** Between the keys of an official state dict and the names of our checkpoints. */
import { InputError } from "../../errors.ts";

/** Rows of the puzzle embedding in an official state dict: in our checkpoints only their mean and spread stay unless all are asked for. */
export const PUZZLE_ROWS = "puzzle_emb.weights";

/** What the official code, which compiles its model, puts before each name. Source: TRM pretrain.py `create_model`, `load_checkpoint` */
const OFFICIAL_PREFIX = "_orig_mod.model.inner.";

/** `_orig_mod.` is there where the model was compiled, `model.` where it was saved inside its loss head. */
const PREFIX = /^(?:_orig_mod\.)?(?:model\.)?(?:_orig_mod\.)?inner\./;

/** A key without the wrappers' prefix; other keys as they are. */
export function trunkName(key: string): string {
  return key.replace(PREFIX, "");
}

/** The key of the official code's state dict. */
export function officialKey(name: string): string {
  return OFFICIAL_PREFIX + name;
}

/**
 * A state dict apart: what is under the trunk's names, and the table of puzzle embeddings.
 *
 * @param where the file's name, for messages
 * @throws InputError where two keys get one name
 */
export function splitStateDict<T>(tensors: ReadonlyMap<string, T>, where: string): { trunk: Map<string, T>; puzzleRows: T | undefined } {
  const trunk = new Map<string, T>();
  for (const [key, tensor] of tensors) {
    const name = trunkName(key);
    if (trunk.has(name)) throw new InputError(where, [`two of its keys mean ${name}, one of them ${JSON.stringify(key)}`]);
    trunk.set(name, tensor);
  }
  const puzzleRows = trunk.get(PUZZLE_ROWS);
  trunk.delete(PUZZLE_ROWS);
  return { trunk, puzzleRows };
}
