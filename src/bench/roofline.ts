/** What a training would take on GPUs that are not at hand: steps counted from their traces, times by a roofline. */
import { memoryShare } from "../backend/memory-share.ts";
import { type Means, planMemory } from "../budget/memory.ts";
import type { ModelConfig } from "../model/config.ts";
import { meansOf } from "../trace/means.ts";
import { countSteps, type StepCounts } from "./count-steps.ts";
import { DEVICE_PROFILES, type DeviceName, type DeviceProfile } from "./device-profiles.ts";
import { type Projection, type ProjectionAssumptions, project, sharesOf, type Work } from "./project.ts";
import { BENCH_PRESETS, benchModel } from "./train-step.ts";

/** How a worker with a GPU of its own runs its steps. */
const onGpu = ({ precision, attention }: ProjectionAssumptions): Means =>
  meansOf("tensorflow", { compile: "auto", precision: precision === "bfloat16" ? "bf16" : "float32", attention }, true);

export interface RooflineRequest {
  readonly devices: readonly DeviceName[];
  /** cells a side */
  readonly canvas: number;
  /** examples over all workers, one device each */
  readonly globalBatch: number;
  /** wall clock of the training */
  readonly hours: number;
  /** rows that go through the model together; as many as the memory plan allows unless given */
  readonly microBatch: number | undefined;
  readonly recompute: boolean;
  readonly assumptions: ProjectionAssumptions;
  /** the competition's full-size one unless given */
  readonly model?: ModelConfig | undefined;
}

export interface DeviceRoofline {
  readonly device: string;
  readonly workers: number;
  readonly source: string;
  readonly bf16TeraflopsPerSecond: number;
  readonly float32TeraflopsPerSecond: number;
  readonly memoryGigabytesPerSecond: number;
  readonly reached: DeviceProfile["reached"];
  readonly rowsPerWorker: number;
  readonly microBatchRows: number;
  readonly optimizerStep: Work & Projection;
  readonly stepsInHours: number;
  readonly stepsInHoursWithOverlap: number;
  /** of `rowsPerWorker` predictions on one worker */
  readonly actStep: Work & Projection;
  readonly secondsPerActStepAndRow: number;
}

export interface RooflineReport {
  readonly model: { readonly hiddenSize: number; readonly heads: number; readonly parameters: number };
  readonly request: RooflineRequest;
  readonly projections: readonly DeviceRoofline[];
}

/** The competition's full-size model: preset L, whatever its canvas. */
export function fullSizeModel(): ModelConfig {
  return benchModel(BENCH_PRESETS.L!);
}

/** Needs the TensorFlow engine in this process, for tracing; runs nothing. @throws Error where it was not started */
export function roofline(request: RooflineRequest): RooflineReport {
  const { model = fullSizeModel() } = request;
  const { canvas, recompute, assumptions, hours } = request;
  const rows = Math.ceil(request.globalBatch / assumptions.workers); // the fullest worker: the others wait for it
  const means = onGpu(assumptions);
  const counted = new Map<number, StepCounts>();
  const countsOf = (microBatch: number): StepCounts => {
    const workload = { model, canvas, rows: microBatch, precision: assumptions.precision, recompute };
    const counts = counted.get(microBatch) ?? countSteps({ ...workload, fusedAttention: means.fusedAttention ?? false });
    counted.set(microBatch, counts);
    return counts;
  };
  const projections = request.devices.map((device): DeviceRoofline => {
    const profile = DEVICE_PROFILES[device];
    const budgetBytes = memoryShare({ engine: "tensorflow", workers: 1, gpus: [profile.memoryBytes] });
    const positions = model.prefixLength + canvas ** 2;
    const asked = { microBatch: request.microBatch, recompute };
    const { microBatch } = planMemory({ model, positions, kind: "training", means, rows, budgetBytes, ...asked });
    const counts = countsOf(microBatch);
    const train = optimizerStepWork(counts, rows / microBatch, assumptions.workers);
    const act = actStepWork(counts, rows / microBatch);
    const optimizerStep = { ...train, ...project(train, profile, assumptions) };
    const actStep = { ...act, ...project(act, profile, assumptions) };
    const stepsIn = (seconds: number): number => Math.floor((hours * 3600) / seconds);
    return {
      device: profile.name,
      workers: assumptions.workers,
      source: profile.source,
      bf16TeraflopsPerSecond: profile.bf16TeraflopsPerSecond,
      float32TeraflopsPerSecond: profile.float32TeraflopsPerSecond,
      memoryGigabytesPerSecond: profile.memoryGigabytesPerSecond,
      reached: sharesOf(profile, assumptions),
      rowsPerWorker: rows,
      microBatchRows: microBatch,
      optimizerStep,
      stepsInHours: stepsIn(optimizerStep.seconds),
      stepsInHoursWithOverlap: stepsIn(optimizerStep.secondsWithOverlap),
      actStep,
      secondsPerActStepAndRow: actStep.seconds / rows,
    };
  });
  const { parameters } = [...counted.values()][0]!;
  return { model: { hiddenSize: model.hiddenSize, heads: model.numHeads, parameters }, request, projections };
}

/**
 * One worker's optimizer step: the gradient of each micro-batch, their sum, one update. Puzzle rows are updated on the host.
 * A worker alone with a batch that needs no parts runs gradient and update as one step, whose weights go in once and whose
 * gradient stays on the device.
 */
export function optimizerStepWork({ gradient, update, parameters }: StepCounts, microBatches: number, workers: number): Work {
  const gradientBytes = 4 * parameters;
  const inOne = workers === 1 && microBatches <= 1;
  return {
    flops: gradient.flops * microBatches + update.flops,
    bytes: gradient.bytes * microBatches + 3 * gradientBytes * Math.max(0, Math.ceil(microBatches) - 1) + update.bytes,
    hostBytes: gradient.boundaryBytes * microBatches + update.boundaryBytes - (inOne ? 3 * gradientBytes : 0),
    exchangeBytes: workers > 1 ? gradientBytes : 0,
  };
}

/** One ACT step of a worker's predictions, which waits for no other worker. */
export function actStepWork({ evaluation: { flops, bytes, boundaryBytes } }: StepCounts, microBatches: number): Work {
  return { flops: flops * microBatches, bytes: bytes * microBatches, hostBytes: boundaryBytes * microBatches, exchangeBytes: 0 };
}
