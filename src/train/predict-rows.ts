/** Answers of a batch of rows: ACT steps without gradients, then the read-out; rows that are done may be left out of the later steps. */
import * as tf from "@tensorflow/tfjs-core";
import type { Targets } from "../loss/act-loss.ts";
import type { Latents } from "../model/recursion.ts";
import type { ModelInputs } from "../model/trm.ts";
import type { Agreement } from "../vote/weighting.ts";
import type { ActContext } from "./act-step.ts";
import type { ReplicaSteps } from "./steps.ts";

/** How far rows are taken. */
export interface PredictionDepth {
  /** ACT steps at most */
  readonly actSteps: number;
  /** a row answers after the first ACT step that its halting head calls the last one; official evaluation always takes all steps */
  readonly stopAtHalt: boolean;
  /** tells one answer from another by its tokens, from this place on; where it is given, answers are read out after every ACT step and compared */
  readonly answerKey?: ((tokens: Int32Array, at: number) => string) | undefined;
}

/** int32[B * S] tokens, float32[B] halting logits, and how many rows went through the network, summed over ACT steps. */
export interface Answers {
  readonly tokens: Int32Array;
  readonly qHaltLogits: Float32Array;
  readonly rowSteps: number;
  /** float32[B]: mean token loss of each row's true answer after the last ACT step, where these were given */
  readonly losses?: Float32Array | undefined;
  /** of each row how long its answer had stood, where that was watched */
  readonly agreement?: readonly Agreement[] | undefined;
}

/**
 * The largest number of rows to take together, of `left` rows: all that fit, or a power of two. So few different sizes
 * come up, for which a compiled step is compiled, and no row is computed for nothing.
 */
export function rowsTogether(left: number, fit: number): number {
  return left >= fit ? fit : 2 ** Math.floor(Math.log2(left));
}

/**
 * @param weights the averaged trunk
 * @param inputs  of B rows; disposed of
 * @param targets the true answers, if their loss is wanted: all rows take all ACT steps then; disposed of
 * Source: TRM pretrain.py `evaluate`, models/losses.py (q_halt_logits > 0 halts)
 */
export function predictRows(
  steps: ReplicaSteps,
  weights: tf.Tensor1D,
  context: ActContext,
  inputs: ModelInputs,
  positions: number,
  { actSteps, stopAtHalt: mayStop, answerKey }: PredictionDepth,
  targets?: Targets,
): Answers {
  const stopAtHalt = mayStop && targets === undefined;
  const [B, S] = inputs.tokens.shape;
  let losses: Float32Array | undefined;
  const result = { tokens: new Int32Array(B * S), qHaltLogits: new Float32Array(B), rowSteps: 0 };
  const standing = answerKey && Array.from({ length: B }, () => ({ key: "", steps: 0, of: 0 }));
  const width = positions * context.config.hiddenSize;
  let rows = Array.from({ length: B }, (_, row) => row); // which rows of the batch are in the tensors
  const open = new Set(rows); // without an answer yet
  let current = inputs;
  let fresh = tf.ones([B, 1]) as tf.Tensor2D;
  let latents: Latents = {
    zH: tf.zeros([B * positions, context.config.hiddenSize]),
    zL: tf.zeros([B * positions, context.config.hiddenSize]),
  };
  try {
    for (let step = 1; step <= actSteps; step++) {
      const next = steps.evaluation(weights, { ...current, fresh, latents }, context);
      tf.dispose([latents.zH, latents.zL]);
      latents = next;
      result.rowSteps += rows.length;
      const last = step === actSteps;
      if (step === 1) {
        tf.dispose(fresh);
        fresh = tf.zeros([B, 1]);
      }
      if (!last && !stopAtHalt && !answerKey) continue;
      const { tokens, qHaltLogits } = steps.answer(weights, latents.zH, fresh, context);
      const loss = last && targets ? steps.loss(weights, latents.zH, targets, context) : undefined;
      if (loss) losses = loss.dataSync() as Float32Array;
      loss?.dispose();
      const [best, logits] = [tokens.dataSync() as Int32Array, qHaltLogits.dataSync() as Float32Array];
      tf.dispose([tokens, qHaltLogits]);
      rows.forEach((row, i) => {
        if (!open.has(row)) return;
        if (standing) stand(standing[row]!, answerKey(best, i * S));
        if (!last && !(stopAtHalt && logits[i]! > 0)) return;
        result.tokens.set(best.subarray(i * S, (i + 1) * S), row * S);
        result.qHaltLogits[row] = logits[i]!;
        open.delete(row);
      });
      if (open.size === 0) break;
      // Halved, never to an odd size: a finished row fills up where open ones are one short.
      const half = rows.length / 2;
      if (last || !Number.isInteger(half) || open.size > half) continue;
      const places = rows.flatMap((row, i) => (open.has(row) ? [i] : []));
      for (let i = 0; places.length < half; i++) if (!open.has(rows[i]!)) places.push(i);
      const kept = keepRows(places, current, fresh, latents, width);
      tf.dispose([current.tokens, current.puzzleRows, fresh, latents.zH, latents.zL]);
      rows = places.map((i) => rows[i]!);
      ({ inputs: current, fresh, latents } = kept);
    }
    return { ...result, losses, ...(standing && { agreement: standing.map(({ steps, of }) => ({ steps, of })) }) };
  } finally {
    if (targets) tf.dispose([targets.labels, targets.asked, targets.perToken]);
    tf.dispose([current.tokens, current.puzzleRows, fresh, latents.zH, latents.zL]);
  }
}

/** Notes the answer of one more ACT step. */
function stand(standing: { key: string; steps: number; of: number }, key: string): void {
  standing.steps = standing.of > 0 && key === standing.key ? standing.steps + 1 : 1;
  standing.key = key;
  standing.of++;
}

function keepRows(
  places: readonly number[],
  { tokens, puzzleRows }: ModelInputs,
  fresh: tf.Tensor2D,
  { zH, zL }: Latents,
  width: number,
): { inputs: ModelInputs; fresh: tf.Tensor2D; latents: Latents } {
  return tf.tidy(() => {
    const indices = tf.tensor1d([...places], "int32");
    const ofStates = (state: tf.Tensor2D): tf.Tensor2D =>
      tf.reshape(tf.gather(tf.reshape(state, [fresh.shape[0], width]), indices), [-1, state.shape[1]]);
    return {
      inputs: { tokens: tf.gather(tokens, indices), puzzleRows: tf.gather(puzzleRows, indices) },
      fresh: tf.gather(fresh, indices),
      latents: { zH: ofStates(zH), zL: ofStates(zL) },
    };
  });
}
