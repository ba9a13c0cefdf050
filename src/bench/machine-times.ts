/** What a run would take on GPUs that are not here, projected from its traced steps (`bench --roofline`). */
import { chooseEngine, workerEnvironment } from "../backend/choose.ts";
import { partOf, rowsTogether } from "../budget/memory.ts";
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
  /** cells a side, and the share of the examples that is on such a canvas, and of the test inputs */
  readonly canvases: readonly { readonly side: number; readonly examples: number; readonly testInputs: number }[];
  /** examples over all workers, one device each */
  readonly globalBatch: number;
  readonly workers: number;
  /** rows that go through the model together in each worker, on the largest canvas */
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
export async function projectTimes(
  device: DeviceName,
  { workers, precision, attention, canvases, microBatch, ...run }: ProjectedRun,
): Promise<MachineTimes> {
  const engine = chooseEngine("auto");
  if (engine.engine !== "tensorflow")
    throw new UserError(
      "--device projects traced steps, and tracing needs TensorFlow's binding and library; `npm run tensorflow` gets them",
    );
  const shared = { ...run, devices: [device], hours: 1, assumptions: { ...DEFAULT_ASSUMPTIONS, precision, attention, workers } };
  const positionsOn = (side: number): number => run.model.prefixLength + side ** 2;
  const largest = Math.max(...canvases.map(({ side }) => positionsOn(side)));
  const perWorker = Math.ceil(run.globalBatch / workers);
  const times = { stepSeconds: 0, actStepSeconds: 0 };
  let name = "";
  // As if all rows were on one canvas, then on the next: what a row takes hardly depends on how many there are.
  for (const { side, examples, testInputs } of canvases) {
    const together = canvases.length === 1 ? microBatch : partOf(perWorker, rowsTogether(microBatch, largest, positionsOn(side)));
    const { projections } = await runRoofline({ ...shared, canvas: side, microBatch: together }, workerEnvironment(engine, 1));
    const [projected] = projections;
    name = projected!.device;
    times.stepSeconds += examples * projected!.optimizerStep.seconds;
    times.actStepSeconds += testInputs * projected!.secondsPerActStepAndRow;
  }
  return {
    machine: `${workers} x ${name} (projected, not measured)`,
    startSeconds: START_SECONDS,
    compileSeconds: COMPILE_SECONDS * canvases.length,
    workers,
    ...times,
  };
}
