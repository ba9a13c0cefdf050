/** `run` on a machine that is not here: the plan alone, or a rehearsal. */
import type { Argv } from "yargs";
import { DEVICE_PROFILES, DEVICES, type DeviceName } from "../bench/device-profiles.ts";
import { fullSizeModel } from "../bench/roofline.ts";
import type { CheckpointConfig } from "../checkpoint/config.ts";
import { UserError } from "../errors.ts";

export interface RehearsalArgs {
  planOnly: boolean;
  device: DeviceName | undefined;
  timeScale: number | undefined;
}

/** GPUs of the machine that is rehearsed, unless `--workers` says how many. */
export const REHEARSED_GPUS = 4;
/** Where the made-up answers of a rehearsal go, lest they be taken for a submission. */
export const REHEARSED_OUT = "rehearsal-submission.json";

/** Adds `--plan-only`, `--device` and `--time-scale`. */
export function withRehearsalFlags<T>(y: Argv<T>): Argv<T> {
  y.option("plan-only", {
    type: "boolean",
    default: false,
    describe: "print how the budget would be spent, and end: measured here in a few steps, or projected for a --device; writes nothing",
  });
  y.option("device", {
    choices: DEVICES,
    describe: `with --plan-only or --time-scale: a machine of such GPUs (${REHEARSED_GPUS}, or as many as --workers says), its times from \`bench --roofline\`; without --checkpoint the full-size model`,
  });
  y.option("time-scale", {
    type: "number",
    describe: `rehearse: the whole run with a --device, on a clock that makes an hour of it take so many hours, such as 0.01; workers sleep, answers are made up (${REHEARSED_OUT} and rehearsal-candidates.json, unless --out and --run-dir). Needs the TensorFlow engine, which the steps are traced with`,
  });
  return y;
}

/** @throws UserError where the options don't go together */
export function checkRehearsal({ planOnly, device, timeScale }: RehearsalArgs): void {
  if (timeScale !== undefined && !(timeScale > 0 && timeScale <= 1))
    throw new UserError(`--time-scale ${timeScale}: expected more than 0 and at most 1`);
  if (timeScale !== undefined && device === undefined)
    throw new UserError(`--time-scale rehearses a machine: say which with --device ${DEVICES.join(" or --device ")}`);
  if (timeScale !== undefined && planOnly) throw new UserError("--plan-only rehearses nothing: leave it or --time-scale out");
  if (device !== undefined && timeScale === undefined && !planOnly)
    throw new UserError(
      "--device describes a machine that need not be here: give --plan-only for its plan or --time-scale for a rehearsal",
    );
}

/** Memory of a rehearsed GPU. */
export function deviceMemory(device: DeviceName): number {
  return DEVICE_PROFILES[device].memoryBytes;
}

/** What stands for a checkpoint where none is given: the full-size model, trained on nothing. */
export function fullSizeCheckpoint(): CheckpointConfig {
  return { format: "trm", formatVersion: 1, model: fullSizeModel(), canvas: 30, training: { recipe: "", dataSets: [], steps: 0 } };
}
