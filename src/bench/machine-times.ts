/** What a run would take on GPUs that are not here, projected from its traced steps (`bench --roofline`). */
import { chooseEngine, workerEnvironment } from "../backend/choose.ts";
import type { MachineTimes } from "../budget/rehearsal.ts";
import { UserError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import type { AttentionMode } from "../trace/compilation.ts";
import type { DeviceName } from "./device-profiles.ts";
import { runRoofline } from "./process.ts";
import { DEFAULT_ASSUMPTIONS } from "./project.ts";

/** Assumed: Node, the TensorFlow library and the checkpoint. */
const START_SECONDS = 20;
/** Assumed: XLA, before the first training step and before the first prediction. */
const COMPILE_SECONDS = 60;

/** A run, as far as its steps go. */
export interface ProjectedRun {
  readonly model: ModelConfig;
  /** cells a side */
  readonly canvas: number;
  /** examples over all workers, one device each */
  readonly globalBatch: number;
  readonly workers: number;
  /** rows that go through the model together in each worker */
  readonly microBatch: number;
  readonly recompute: boolean;
  readonly precision: "float32" | "bfloat16";
  readonly attention?: AttentionMode | undefined;
}

/**
 * Projects a run's steps and predictions.
 *
 * @throws UserError where the TensorFlow engine is not at hand: steps are counted from its traces
 */
export async function projectTimes(device: DeviceName, { workers, precision, attention, ...run }: ProjectedRun): Promise<MachineTimes> {
  const engine = chooseEngine("auto");
  if (engine.engine !== "tensorflow")
    throw new UserError(
      "--device projects traced steps, and tracing needs TensorFlow's binding and library; `npm run tensorflow` gets them",
    );
  const request = { ...run, devices: [device], hours: 1, assumptions: { ...DEFAULT_ASSUMPTIONS, precision, attention, workers } };
  const { projections } = await runRoofline(request, workerEnvironment(engine, 1));
  const [projected] = projections;
  return {
    machine: `${workers} x ${projected!.device} (projected, not measured)`,
    startSeconds: START_SECONDS,
    compileSeconds: COMPILE_SECONDS,
    stepSeconds: projected!.optimizerStep.seconds,
    workers,
    actStepSeconds: projected!.secondsPerActStepAndRow,
  };
}
