/** What a run would take on GPUs that are not here, projected from its traced steps (`bench --roofline`). */
import type { RunRequest } from "../adapt/request.ts";
import type { Setup } from "../adapt/setup.ts";
import { chooseEngine, workerEnvironment } from "../backend/choose.ts";
import type { DeviceName } from "../bench/device-profiles.ts";
import { runRoofline } from "../bench/process.ts";
import { DEFAULT_ASSUMPTIONS } from "../bench/project.ts";
import { UserError } from "../errors.ts";
import type { MachineTimes } from "./rehearsal.ts";

/** Assumed: Node, the TensorFlow library and the checkpoint. */
const START_SECONDS = 20;
/** Assumed: XLA, before the first training step and before the first prediction. */
const COMPILE_SECONDS = 60;

/**
 * Projects a run's steps and predictions.
 *
 * @param device one for each worker of the request
 * @throws UserError where the TensorFlow engine is not at hand: steps are counted from its traces
 */
export async function projectTimes(
  device: DeviceName,
  { workers, recipe, compilation, checkpoint }: RunRequest,
  setup: Setup,
): Promise<MachineTimes> {
  const engine = chooseEngine("auto");
  if (engine.engine !== "tensorflow")
    throw new UserError(
      "--device projects traced steps, and tracing needs TensorFlow's binding and library; `npm run tensorflow` gets them",
    );
  const { projections } = await runRoofline(
    {
      devices: [device],
      canvas: setup.canvas,
      globalBatch: recipe.batchSize,
      hours: 1,
      microBatch: setup.microBatch,
      recompute: setup.recompute,
      assumptions: { ...DEFAULT_ASSUMPTIONS, precision: compilation.precision === "float32" ? "float32" : "bfloat16", workers },
      model: checkpoint.config.model,
    },
    workerEnvironment(engine, 1),
  );
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
