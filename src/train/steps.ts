/** What a replica runs on its engine, as pure functions from a list of tensors to a list: the form that a compiler takes. */
import * as tf from "@tensorflow/tfjs-core";
import { rowLosses, type Targets } from "../loss/act-loss.ts";
import type { ModelConfig } from "../model/config.ts";
import { type ParameterSpec, sliceParameters } from "../model/parameters.ts";
import { type AdamATan2Settings, type AdamATan2State, adamATan2 } from "../optim/adam-atan2.ts";
import { emaUpdate } from "../optim/ema.ts";
import type { MakeReady, ReadyStep, Step } from "../trace/ready-step.ts";
import { type ActContext, type ActInputs, evaluationStep, type GradientStep, gradientStep, readOut } from "./act-step.ts";
import { type TrainedPart, trunkOfPart, wholeTrunk } from "./trained-part.ts";

/** What is trained, its moments and its average: float32 [N] each. */
export type TrunkState = AdamATan2State & { readonly average: tf.Tensor1D };

/** Scalars of one update, see `AdamATan2Rates`; `firstScale` counts by the fork's rule alone. */
export interface UpdateRates {
  readonly decay: number;
  readonly stepSize: number;
  readonly firstScale?: number;
  readonly secondScale: number;
  readonly emaDecay: number;
}

/** What is the same in every step. */
export interface StepSettings {
  readonly config: ModelConfig;
  readonly recompute: boolean;
  /** of the trunk */
  readonly layout: readonly ParameterSpec[];
  /** the whole trunk unless given */
  readonly part?: TrainedPart | undefined;
  readonly adam: AdamATan2Settings;
  /** 1 / global batch */
  readonly lossScale: number;
}

/** The steps of one replica. Results belong to the caller, arguments stay alive. */
export class ReplicaSteps {
  readonly #context: (tensors: tf.Tensor[]) => ActContext;
  readonly #ready: {
    readonly training: ReadyStep;
    readonly gradient: ReadyStep;
    readonly rowGradient: ReadyStep;
    readonly update: ReadyStep;
    readonly trunk: ReadyStep;
    readonly evaluation: ReadyStep;
    readonly answer: ReadyStep;
    readonly loss: ReadyStep;
  };

  constructor({ config, recompute, layout, part = wholeTrunk(layout), adam, lossScale }: StepSettings, makeReady: MakeReady) {
    this.#context = ([hInit, lInit, cos, sin]) => ({
      config,
      recompute,
      buffers: { hInit: hInit as tf.Tensor1D, lInit: lInit as tf.Tensor1D },
      rotary: { cos: cos as tf.Tensor2D, sin: sin as tf.Tensor2D },
    });
    const gradient = (frozen: boolean, inputs: tf.Tensor[]): GradientStep => {
      const [weights, ...rest] = inputs;
      const [labels, asked, perToken] = rest.slice(5, 8);
      const targets = { labels: labels as tf.Tensor2D, asked: asked as tf.Tensor2D, perToken: perToken as tf.Tensor1D };
      const leaves = sliceParameters(weights as tf.Tensor1D, part.layout);
      const assemble = part.assemble(rest.slice(12));
      return gradientStep(this.#context(rest.slice(8)), leaves, actInputs(rest), targets, lossScale, frozen, assemble);
    };
    const update = (inputs: tf.Tensor[]): tf.Tensor[] => {
      const [weights, firstMoment, secondMoment, average, sum] = inputs as [
        tf.Tensor1D,
        tf.Tensor1D,
        tf.Tensor1D,
        tf.Tensor1D,
        tf.Tensor1D,
      ];
      const [decay, stepSize, firstScale, secondScale, emaDecay] = inputs.slice(5) as tf.Scalar[];
      const rates = {
        decay: decay!,
        stepSize: stepSize!,
        secondScale: secondScale!,
        ...(adam.rule === "fork" && { firstScale: firstScale! }),
      };
      const next = adamATan2({ weights, firstMoment, secondMoment }, sum, rates, adam);
      return [next.weights, next.firstMoment, next.secondMoment, emaUpdate(average, next.weights, emaDecay!)];
    };
    const tidied =
      (step: Step): Step =>
      (inputs) =>
        tf.tidy(() => step(inputs));
    this.#ready = {
      training: makeReady(
        "training step",
        tidied((inputs) => {
          const [state, rates, rest] = [inputs.slice(0, 4), inputs.slice(4, 9), inputs.slice(9)];
          const { trunkGradient, rows, zH, zL } = gradient(false, [state[0]!, ...rest]);
          return [rows, zH, zL, ...update([...state, trunkGradient, ...rates])];
        }),
      ),
      gradient: makeReady(
        "gradient step",
        tidied((inputs) => {
          const { trunkGradient, rows, zH, zL } = gradient(false, inputs);
          return [rows, zH, zL, trunkGradient];
        }),
      ),
      rowGradient: makeReady(
        "gradient step of the puzzle rows",
        tidied((inputs) => {
          const { rows, zH, zL } = gradient(true, inputs);
          return [rows, zH, zL];
        }),
      ),
      update: makeReady("update", tidied(update)),
      trunk: makeReady(
        "adapted trunk",
        tidied(([vector, ...fixed]) => [trunkOfPart(part, vector as tf.Tensor1D, fixed)]),
      ),
      evaluation: makeReady(
        "evaluation step",
        tidied((inputs) => {
          const [weights, ...rest] = inputs;
          const { zH, zL } = evaluationStep(this.#context(rest.slice(5)), sliceParameters(weights as tf.Tensor1D, layout), actInputs(rest));
          return [zH, zL];
        }),
      ),
      answer: makeReady(
        "read-out",
        tidied((inputs) => {
          const [weights, zH, batch, ...constants] = inputs;
          const rows = batch!.shape[0]!;
          const leaves = sliceParameters(weights as tf.Tensor1D, layout);
          const { logits, q } = readOut(this.#context(constants), leaves, zH as tf.Tensor2D, rows);
          return [tf.argMax(logits, -1), tf.slice2d(q, [0, 0], [rows, 1])];
        }),
      ),
      loss: makeReady(
        "loss of an answer",
        tidied((inputs) => {
          const [weights, zH, labels, asked, perToken, ...constants] = inputs;
          const rows = labels!.shape[0]!;
          const { logits, q } = readOut(this.#context(constants), sliceParameters(weights as tf.Tensor1D, layout), zH as tf.Tensor2D, rows);
          const halting = tf.reshape(tf.slice2d(q, [0, 0], [rows, 1]), [rows]) as tf.Tensor1D;
          const targets = { labels: labels as tf.Tensor2D, asked: asked as tf.Tensor2D, perToken: perToken as tf.Tensor1D };
          return [rowLosses(logits, halting, targets).lmLoss];
        }),
      ),
    };
  }

  /** Gradient and update in one; see `GradientStep`. @param fixed see `TrainedPart` */
  training(
    state: TrunkState,
    rates: UpdateRates,
    inputs: ActInputs,
    targets: Targets,
    context: ActContext,
    fixed: readonly tf.Tensor[] = [],
  ): { rows: tf.Tensor2D; zH: tf.Tensor2D; zL: tf.Tensor2D; state: TrunkState } {
    const rest = [...listInputs(inputs), ...listTargets(targets), ...listContext(context), ...fixed];
    const run = (scalars: tf.Scalar[]): tf.Tensor[] => this.#ready.training.run([...listState(state), ...scalars, ...rest]);
    const [rows, zH, zL, ...next] = withScalars(rates, run);
    return { rows: rows as tf.Tensor2D, zH: zH as tf.Tensor2D, zL: zL as tf.Tensor2D, state: nameState(next) };
  }

  /** The gradient of the puzzle rows and, unless the trunk is frozen, of what is trained. */
  gradient(
    weights: tf.Tensor1D,
    frozen: boolean,
    inputs: ActInputs,
    targets: Targets,
    context: ActContext,
    fixed: readonly tf.Tensor[] = [],
  ): { rows: tf.Tensor2D; zH: tf.Tensor2D; zL: tf.Tensor2D; trunkGradient: tf.Tensor1D | undefined } {
    const step = frozen ? this.#ready.rowGradient : this.#ready.gradient;
    const tensors = [weights, ...listInputs(inputs), ...listTargets(targets), ...listContext(context), ...fixed];
    const [rows, zH, zL, trunkGradient] = step.run(tensors);
    return {
      rows: rows as tf.Tensor2D,
      zH: zH as tf.Tensor2D,
      zL: zL as tf.Tensor2D,
      trunkGradient: trunkGradient as tf.Tensor1D | undefined,
    };
  }

  /** AdamATan2 and the average. */
  update(state: TrunkState, sum: tf.Tensor1D, rates: UpdateRates): TrunkState {
    return nameState(withScalars(rates, (scalars) => this.#ready.update.run([...listState(state), sum, ...scalars])));
  }

  /** float32 [N]: the trunk that what is trained makes of the one it adapts. */
  trunk(vector: tf.Tensor1D, fixed: readonly tf.Tensor[]): tf.Tensor1D {
    return this.#ready.trunk.run([vector, ...fixed])[0] as tf.Tensor1D;
  }

  /** One ACT step without gradients. */
  evaluation(weights: tf.Tensor1D, inputs: ActInputs, context: ActContext): { zH: tf.Tensor2D; zL: tf.Tensor2D } {
    const [zH, zL] = this.#ready.evaluation.run([weights, ...listInputs(inputs), ...listContext(context)]);
    return { zH: zH as tf.Tensor2D, zL: zL as tf.Tensor2D };
  }

  /** int32 [B, S] best tokens and float32 [B, 1] halting logits. @param fresh any tensor of B rows */
  answer(weights: tf.Tensor1D, zH: tf.Tensor2D, fresh: tf.Tensor2D, context: ActContext): { tokens: tf.Tensor; qHaltLogits: tf.Tensor } {
    const [tokens, qHaltLogits] = this.#ready.answer.run([weights, zH, fresh, ...listContext(context)]);
    return { tokens: tokens!, qHaltLogits: qHaltLogits! };
  }

  /** float32 [B]: mean token loss of the true answers in these states. */
  loss(weights: tf.Tensor1D, zH: tf.Tensor2D, targets: Targets, context: ActContext): tf.Tensor1D {
    return this.#ready.loss.run([weights, zH, ...listTargets(targets), ...listContext(context)])[0] as tf.Tensor1D;
  }

  /** Frees what was compiled. */
  dispose(): void {
    for (const step of Object.values(this.#ready)) step.dispose();
  }
}

function listState({ weights, firstMoment, secondMoment, average }: TrunkState): tf.Tensor[] {
  return [weights, firstMoment, secondMoment, average];
}

function nameState([weights, firstMoment, secondMoment, average]: tf.Tensor[]): TrunkState {
  return {
    weights: weights as tf.Tensor1D,
    firstMoment: firstMoment as tf.Tensor1D,
    secondMoment: secondMoment as tf.Tensor1D,
    average: average as tf.Tensor1D,
  };
}

/** The rates as tensors, for as long as the run takes. */
function withScalars<R>({ decay, stepSize, firstScale = 1, secondScale, emaDecay }: UpdateRates, run: (scalars: tf.Scalar[]) => R): R {
  const scalars = [decay, stepSize, firstScale, secondScale, emaDecay].map((rate) => tf.scalar(rate));
  try {
    return run(scalars);
  } finally {
    tf.dispose(scalars);
  }
}

function listInputs({ latents, tokens, puzzleRows, fresh }: ActInputs): tf.Tensor[] {
  return [latents.zH, latents.zL, tokens, puzzleRows, fresh];
}

function actInputs([zH, zL, tokens, puzzleRows, fresh]: tf.Tensor[]): ActInputs {
  return {
    latents: { zH: zH as tf.Tensor2D, zL: zL as tf.Tensor2D },
    tokens: tokens as tf.Tensor2D,
    puzzleRows: puzzleRows as tf.Tensor2D,
    fresh: fresh as tf.Tensor2D,
  };
}

function listTargets({ labels, asked, perToken }: Targets): tf.Tensor[] {
  return [labels, asked, perToken];
}

function listContext({ buffers, rotary }: ActContext): tf.Tensor[] {
  return [buffers.hInit, buffers.lInit, rotary.cos, rotary.sin];
}
