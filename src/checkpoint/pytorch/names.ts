/** From the keys of an official state dict to the names of our checkpoints. */
import type { Tensor } from "../shapes.ts";

/** Rows of the puzzle embedding in an official state dict: in our checkpoints only their mean and spread stay. */
export const PUZZLE_ROWS = "puzzle_emb.weights";

/** `_orig_mod.` is there where the model was compiled, `model.` where it was saved inside its loss head. */
const PREFIX = /^(?:_orig_mod\.)?(?:model\.)?(?:_orig_mod\.)?inner\./;

/** A key without the wrappers' prefix; other keys as they are. */
export function trunkName(key: string): string {
  return key.replace(PREFIX, "");
}

/**
 * A state dict apart: the trunk under our names, and the table of puzzle embeddings.
 *
 * @throws Error where two keys get one name
 */
export function splitStateDict(tensors: ReadonlyMap<string, Tensor>): { trunk: Map<string, Tensor>; puzzleRows: Tensor | undefined } {
  const trunk = new Map<string, Tensor>();
  for (const [key, tensor] of tensors) {
    const name = trunkName(key);
    if (trunk.has(name)) throw new Error(`two keys of the state dict are named ${name} here`);
    trunk.set(name, tensor);
  }
  const puzzleRows = trunk.get(PUZZLE_ROWS);
  trunk.delete(PUZZLE_ROWS);
  return { trunk, puzzleRows };
}
