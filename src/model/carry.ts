/** The carry's host side: which sample each row of the batch is at, and when it is done with it. */
import type { Example } from "../encode/batch.ts";
import { ENCODED, fillDemonstrations } from "../encode/demonstrations.ts";
import type { Random } from "../random.ts";

/** When a row stops. */
export interface HaltingRule {
  /** a row runs at most this many ACT steps */
  readonly haltMaxSteps: number;
  /** with this probability, drawn anew each step, a row must have run a random number of steps in 2..haltMaxSteps */
  readonly explorationProbability: number;
}

/** Which rows have their puzzle embedding of the encoder, and what it sees of each. */
export interface EncodedRows {
  /** K: demonstrations at most */
  readonly pairs: number;
  isEncoded(row: number): boolean;
}

/**
 * Rows of a batch on their way through the recursion. The latents belong to the engine; this is what the host knows.
 *
 * Starts with all rows halted, so that the first `refill` gives each row a sample.
 * Source: TRM trm.py `TinyRecursiveReasoningModel_ACTV1` (carry, forward)
 */
export class RowCarry {
  /** int32[size]: ACT steps the row has run on its sample */
  readonly steps: Int32Array;
  /** uint8[size]: 1 where the row takes a new sample next */
  readonly halted: Uint8Array;
  /** int32[size * tokens]; of a row on a smaller canvas the first tokens alone are used */
  readonly inputs: Int32Array;
  /** int32[size * tokens], in the same way */
  readonly labels: Int32Array;
  /** int32[size]; ENCODED where the encoder makes the row */
  readonly puzzleIds: Int32Array;
  /** int32[size * K * 2 * tokens] of the rows that the encoder makes; empty where there is no encoder */
  readonly demonstrations: Int32Array;
  readonly #encoded: EncodedRows | undefined;

  /** @param tokens of the largest canvas */
  constructor(
    readonly size: number,
    readonly tokens: number,
    encoded?: EncodedRows,
  ) {
    this.#encoded = encoded;
    this.demonstrations = new Int32Array(size * (encoded?.pairs ?? 0) * 2 * tokens);
    this.steps = new Int32Array(size);
    this.halted = new Uint8Array(size).fill(1);
    this.inputs = new Int32Array(size * tokens);
    this.labels = new Int32Array(size * tokens);
    this.puzzleIds = new Int32Array(size);
  }

  /**
   * Gives every halted row a new sample.
   *
   * @param next the new sample of a row
   * @returns    float32[size]: 1 where a row begins
   */
  refill(next: (row: number) => Example): Float32Array {
    const fresh = new Float32Array(this.size);
    for (let r = 0; r < this.size; r++) {
      if (!this.halted[r]) continue;
      const { inputs, labels, puzzleId, demonstrate } = next(r);
      const byEncoder = this.#encoded?.isEncoded(r) ?? false;
      this.inputs.set(inputs, r * this.tokens);
      this.labels.set(labels, r * this.tokens);
      this.puzzleIds[r] = byEncoder ? ENCODED : puzzleId;
      if (byEncoder) fillDemonstrations(this.demonstrationsOf(r), demonstrate?.(this.#encoded!.pairs));
      this.steps[r] = 0;
      fresh[r] = 1;
    }
    return fresh;
  }

  /** int32[K * 2 * tokens], a view: what the encoder sees of a row. */
  demonstrationsOf(row: number): Int32Array {
    const width = this.demonstrations.length / this.size;
    return this.demonstrations.subarray(row * width, (row + 1) * width);
  }

  /**
   * Counts the ACT step that was run and decides which rows are done.
   *
   * @param qHaltLogit of a row; undefined in evaluation, where every row runs to the end
   * @param random     of a row, for exploration
   */
  advance(rule: HaltingRule, qHaltLogit?: (row: number) => number, random?: (row: number) => Random): void {
    for (let r = 0; r < this.size; r++) {
      const steps = ++this.steps[r]!;
      let done = steps >= rule.haltMaxSteps;
      if (qHaltLogit) {
        done ||= qHaltLogit(r) > 0;
        if (rule.explorationProbability > 0 && rule.haltMaxSteps >= 2 && random) {
          const draw = random(r);
          const explores = draw.uniform() < rule.explorationProbability;
          const atLeast = draw.int(2, rule.haltMaxSteps);
          if (explores && steps < atLeast) done = false;
        }
      }
      this.halted[r] = done ? 1 : 0;
    }
  }
}
