/** What a worker needs of memory, as a formula whose numbers were measured (`bench --memory` does it again), and how a batch is cut to fit. */

import { adapterSize, innerSize, type ModelConfig, trunkSize } from "../model/config.ts";
import { encoderSize } from "../model/encoder-config.ts";

/** How a worker computes, as far as memory goes. */
export interface Means {
  readonly engine: "wasm" | "tensorflow";
  readonly steps: "op by op" | "graph" | "xla";
  readonly device: "cpu" | "gpu";
  /** attention, norm and gate in kernels of our own, which keep no attention scores */
  readonly ownKernels: boolean;
  /** attention by cuDNN in XLA's steps, which keeps no scores either, and products in bfloat16 */
  readonly fusedAttention?: boolean;
}

/** What is computed. */
export interface Work {
  readonly model: ModelConfig;
  /** T: prefix and canvas */
  readonly positions: number;
  readonly kind: "training" | "prediction";
  /** rank of the adapters that learn in place of the trunk; the trunk unless given */
  readonly loraRank?: number | undefined;
  /** blocks of an encoder that is trained too, if any; as many of its rows go together as take no more than the trunk's */
  readonly encoderLayers?: number | undefined;
  /** blocks are computed again for the gradient */
  readonly recompute: boolean;
}

/** Bytes at the peak of a worker: of its process on a CPU, of the device's memory on a GPU. */
export interface MemoryDemand {
  /** whatever the batch */
  readonly fixedBytes: number;
  /** of each row that goes through the model together with others */
  readonly rowBytes: number;
  /** of each row of the worker's batch, for the states that it carries from step to step */
  readonly carriedBytes: number;
  /** in the process's own memory while a snapshot is taken: trunk and optimizer, and of each row of the batch its states */
  readonly snapshot: { readonly fixedBytes: number; readonly rowBytes: number };
}

/** What holds for an engine and a way of running steps, measured. */
interface Measured {
  /** bytes of a worker that has a tiny model: Node, the libraries, and with XLA its compiler */
  readonly base: number;
  /** tensors as large as the trunk, while training and predicting: weights, moments and average, old and new, gradient, slices, what an allocator can't give back */
  readonly trunks: { readonly training: number; readonly prediction: number };
  /** memory taken over memory used by the rows' tensors: gaps between them, tensors that wait for others */
  readonly slack: number;
}

/** On x86-64 Linux with Node 20 and TensorFlow 2.21. Precision makes no difference there: bfloat16 copies come beside the float32 ones. */
const MEASURED: Readonly<Record<"wasm" | Means["steps"], Measured>> = {
  wasm: { base: 130e6, trunks: { training: 14, prediction: 8 }, slack: 1.25 },
  "op by op": { base: 425e6, trunks: { training: 14, prediction: 8 }, slack: 1.2 },
  graph: { base: 440e6, trunks: { training: 11, prediction: 7 }, slack: 1.15 },
  xla: { base: 700e6, trunks: { training: 11, prediction: 7 }, slack: 1.25 },
};

/** Tensors as large as the trunk that blocks computed again take more, op by op: their weights' gradients beside the sums so far. */
const TRUNKS_AGAIN = 5;

/**
 * Bytes for each number with attention by cuDNN. Measured on an H100, full size, 4 to 192 rows, through XLA of JAX 0.11.2: a
 * training step takes 1.9 for what lies between its inputs and results (what blocks keep is what products read, in bfloat16),
 * an ACT step of a prediction 2.8, and 1.2 more for the states that go in and come out.
 */
const FUSED_BYTES = { training: 2, prediction: 4 } as const;
/** Where blocks are computed again, their inputs alone are kept, in float32. Assumed, not measured. */
const FUSED_BYTES_AGAIN = 4;
const FUSED_SLACK = 1.05;

/** A GPU's share of `base`: CUDA's context and its libraries' work space. Assumed, not measured. */
const GPU_BASE = 1e9;

/** The memory that work takes. */
export function memoryDemand(work: Work, means: Means): MemoryDemand {
  const { model, positions, kind } = work;
  const { base, trunks, slack } = MEASURED[means.engine === "wasm" ? "wasm" : means.steps];
  const again = work.recompute && means.steps === "op by op" ? TRUNKS_AGAIN : 0;
  const trunk = trunkSize(model);
  // Under adapters the trunk itself is there as in a prediction: as it is, in parts, and with them worked in.
  const adapters = kind === "training" && work.loraRank !== undefined ? adapterSize(model, work.loraRank) : undefined;
  const encoder = work.encoderLayers === undefined ? 0 : encoderSize(model, { layers: work.encoderLayers });
  const ofTrunk =
    adapters === undefined ? (trunks[kind] + again) * trunk : (trunks.prediction + again) * trunk + trunks.training * adapters;
  const held = ofTrunk + trunks[kind] * encoder;
  const carriedBytes = kind === "training" ? 4 * 2 * positions * model.hiddenSize : 0;
  const fusedBytes = work.recompute ? FUSED_BYTES_AGAIN : FUSED_BYTES[kind];
  const bytesPerNumber = means.fusedAttention ? fusedBytes * FUSED_SLACK : 4 * slack;
  return {
    fixedBytes: (means.device === "gpu" ? GPU_BASE : base) + 4 * held,
    rowBytes: bytesPerNumber * positions * numbersPerToken(work, means),
    carriedBytes,
    snapshot: { fixedBytes: kind === "training" ? 4 * 4 * ((adapters ?? trunk) + encoder) : 0, rowBytes: carriedBytes },
  };
}

/**
 * Float32 numbers that lie in memory at the peak, per token of a row that goes through the model.
 *
 * A block keeps for its gradient: its input, q | k | v, what attention gave, the first norm, gate | up and their product;
 * without own kernels also the attention scores and the gate's sigmoid. Op by op there are all the gradients beside it,
 * which tfjs frees at the end alone.
 */
function numbersPerToken({ model, positions, kind, recompute }: Work, { steps, ownKernels, fusedAttention }: Means): number {
  const D = model.hiddenSize;
  const F = innerSize(model);
  const passes = model.lCycles + 1;
  const blocks = passes * model.lLayers;
  const scores = ownKernels || fusedAttention ? 0 : model.numHeads * positions;
  const kept = 6 * D + (ownKernels ? 3 : 4) * F + scores;
  if (steps === "op by op") {
    const all = 8 * D + 3 * F + scores;
    if (kind === "prediction") return all + 32 * D;
    return recompute ? 5 * blocks * D + 2 * all : 2 * blocks * all;
  }
  if (kind === "prediction") return 4 * D + 3 * F + scores;
  const gradient = 4 * (D + F) + 2 * scores; // of the block whose gradient is being computed
  return (recompute ? blocks * D + kept : blocks * kept) + passes * D + gradient;
}

/** How a worker's share of the batch goes through the model. */
export interface MemoryPlan {
  /** rows that go through the model together */
  readonly microBatch: number;
  readonly recompute: boolean;
  /** expected at the peak, in all */
  readonly bytes: number;
  readonly budgetBytes: number;
}

/** What is to fit, and what the user has decided already. */
export interface PlanRequest extends Omit<Work, "recompute"> {
  readonly means: Means;
  /** rows of the worker's batch */
  readonly rows: number;
  /** rows of the puzzle embedding that the process may come to hold in memory */
  readonly puzzleRows?: number | undefined;
  readonly budgetBytes: number;
  readonly microBatch?: number | undefined;
  readonly recompute?: boolean | undefined;
}

/** How a batch goes through the model, and what that is expected to take. */
export function describeMemory({ microBatch, recompute, bytes, budgetBytes }: MemoryPlan): string {
  const again = recompute ? ", blocks computed again for their gradient" : "";
  return `${microBatch} rows at a time in each${again} (about ${gigabytes(bytes)} of its ${gigabytes(budgetBytes)})`;
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Tokens that should go through the model together, lest a processor or a GPU have too little to do at a time. */
const WORTHWHILE_TOKENS = { cpu: 512, gpu: 8192 } as const;

/** Rows of so many positions that should go through the model together. */
export function worthwhileRows(device: Means["device"], positions: number): number {
  return Math.ceil(WORTHWHILE_TOKENS[device] / positions);
}

/**
 * As many rows at a time as fit, in parts of one size where that can be. Blocks are computed again for the gradient only where
 * too few rows fit otherwise: that costs a sixth more time, smaller parts next to nothing.
 *
 * @returns one row at a time where not even that fits: trying costs nothing, for running out of memory is an error that can be told
 */
export function planMemory(request: PlanRequest): MemoryPlan {
  const { model, means, positions, rows, budgetBytes, puzzleRows = 0 } = request;
  const planned = (recompute: boolean): MemoryPlan => {
    const { fixedBytes, rowBytes, carriedBytes, snapshot } = memoryDemand({ ...request, recompute }, means);
    const aside = snapshot.fixedBytes + rows * snapshot.rowBytes + 4 * puzzleRows * model.puzzleEmbeddingSize;
    const held = fixedBytes + rows * carriedBytes + (means.device === "gpu" ? 0 : aside);
    const microBatch = Math.min(rows, request.microBatch ?? partOf(rows, Math.floor((budgetBytes - held) / rowBytes)));
    return { microBatch, recompute, bytes: held + microBatch * rowBytes, budgetBytes };
  };
  if (request.recompute !== undefined || request.kind === "prediction") return planned(request.recompute ?? false);
  const kept = planned(false);
  const wanted = Math.min(rows, worthwhileRows(means.device, positions));
  if (kept.microBatch >= wanted && kept.bytes <= budgetBytes) return kept;
  const again = planned(true);
  return again.microBatch > kept.microBatch || kept.bytes > budgetBytes ? again : kept;
}

/** Rows on a smaller canvas that go through the model together: of as many positions as `microBatch` rows on the largest. */
export function rowsTogether(microBatch: number, largest: number, positions: number): number {
  return Math.max(1, Math.floor((microBatch * largest) / positions));
}

/** Rows of a part: at most `fit`, at least one; the largest that cuts `rows` evenly, unless that is less than half of what fits. */
export function partOf(rows: number, fit: number): number {
  const most = Math.max(1, Math.min(rows, fit));
  for (let part = most; part > most / 2; part--) if (rows % part === 0) return part;
  return Math.ceil(rows / Math.ceil(rows / most));
}
