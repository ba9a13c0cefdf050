/** What one step of the model sees. */
import type { Demonstrate } from "./demonstrations.ts";
import { IGNORE_LABEL, PAD } from "./vocabulary.ts";

/** One pair on a canvas, with the row of the puzzle embedding that stands for its variant. */
export interface Example {
  /** int32[canvas tokens], see vocabulary.ts */
  readonly inputs: Int32Array;
  /** int32[canvas tokens]; IGNORE_LABEL where nothing is asked */
  readonly labels: Int32Array;
  /** row of the puzzle embedding; 0 = blank */
  readonly puzzleId: number;
  /** for models whose encoder makes the row of demonstrations; they are laid out when asked for */
  readonly demonstrate?: Demonstrate | undefined;
}

/** `size` examples, row-major. */
export interface Batch {
  readonly size: number;
  readonly tokens: number;
  /** int32[size * tokens] */
  readonly inputs: Int32Array;
  /** int32[size * tokens] */
  readonly labels: Int32Array;
  /** int32[size] */
  readonly puzzleIds: Int32Array;
}

/** Examples side by side. */
export function batchOf(examples: readonly Example[]): Batch {
  const tokens = examples[0]?.inputs.length ?? 0;
  const inputs = new Int32Array(examples.length * tokens);
  const labels = new Int32Array(examples.length * tokens);
  examples.forEach((example, r) => {
    inputs.set(example.inputs, r * tokens);
    labels.set(example.labels, r * tokens);
  });
  return { size: examples.length, tokens, inputs, labels, puzzleIds: Int32Array.from(examples, (e) => e.puzzleId) };
}

/** An example that asks for nothing, with the blank puzzle embedding: fills up a batch that is too short, as in TRM puzzle_dataset.py. */
export function paddingExample(tokens: number): Example {
  return { inputs: new Int32Array(tokens).fill(PAD), labels: new Int32Array(tokens).fill(IGNORE_LABEL), puzzleId: 0 };
}
