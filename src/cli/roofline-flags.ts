/** `bench --roofline`: its options, and its result in words. */
import type { Argv } from "yargs";
import { DEVICES, type DeviceName } from "../bench/device-profiles.ts";
import { DEFAULT_ASSUMPTIONS } from "../bench/project.ts";
import type { DeviceRoofline, RooflineReport, RooflineRequest } from "../bench/roofline.ts";
import { UserError } from "../errors.ts";
import type { Compilation } from "../trace/compilation.ts";

export interface RooflineArgs {
  roofline: boolean;
  device: DeviceName[];
  workers: number;
  batchSize: number;
  microBatch: number | undefined;
  recompute: boolean;
  canvas: number;
  hours: number;
  flopShare: number | undefined;
  bandwidthShare: number | undefined;
  hostSpeed: number;
  exchangeSpeed: number;
}

/** Adds `--roofline` and its assumptions. */
export function withRooflineFlags<T>(y: Argv<T>): Argv<T> {
  const only = (text: string): string => `with --roofline: ${text}`;
  y.option("roofline", { type: "boolean", default: false, describe: "also project the full-size model's steps on GPUs that are not here" });
  y.option("device", { type: "array", choices: DEVICES, default: DEVICES, describe: only("GPUs to project for") });
  y.option("workers", { type: "number", default: 4, describe: only("workers, one GPU each") });
  y.option("batch-size", { type: "number", default: 384, describe: only("global batch") });
  y.option("micro-batch", { type: "number", describe: only("rows that go through the model together (default: what the memory allows)") });
  y.option("recompute", { type: "boolean", default: false, describe: only("blocks are computed again for their gradient") });
  y.option("canvas", { type: "number", default: 30, describe: only("cells a side") });
  y.option("hours", { type: "number", default: 11, describe: only("wall clock of the training") });
  y.option("flop-share", {
    type: "number",
    describe: only("share of the peak that products reach (default: what is known of the GPU)"),
  });
  y.option("bandwidth-share", {
    type: "number",
    describe: only("share of its memory's speed that a GPU reaches (default: what is known of it)"),
  });
  y.option("host-speed", {
    type: "number",
    default: DEFAULT_ASSUMPTIONS.hostGigabytesPerSecond,
    describe: only("between host and GPU, in GB/s"),
  });
  y.option("exchange-speed", {
    type: "number",
    default: DEFAULT_ASSUMPTIONS.exchangeGigabytesPerSecond,
    describe: only("a worker's in the ring, in GB/s"),
  });
  return y;
}

/** @throws UserError listing every number out of range */
export function rooflineRequest(
  args: RooflineArgs,
  { precision, attention }: Pick<Compilation, "precision" | "attention">,
): RooflineRequest {
  const { workers, batchSize, microBatch, canvas, hours, flopShare, bandwidthShare, hostSpeed, exchangeSpeed } = args;
  const problems: string[] = [];
  const check = (right: boolean, flag: string, value: number, expected: string): void => {
    if (!right) problems.push(`--${flag} ${value}: expected ${expected}`);
  };
  const wholeFrom1 = (value: number): boolean => Number.isInteger(value) && value >= 1;
  const share = (value: number): boolean => value > 0 && value <= 1;
  check(wholeFrom1(workers), "workers", workers, "a whole number from 1");
  check(
    wholeFrom1(batchSize) && batchSize >= workers,
    "batch-size",
    batchSize,
    `a whole number, at least one row for each of ${workers} workers`,
  );
  if (microBatch !== undefined) check(wholeFrom1(microBatch), "micro-batch", microBatch, "a whole number from 1");
  check(wholeFrom1(canvas) && canvas <= 30, "canvas", canvas, "1 to 30 cells");
  check(hours > 0, "hours", hours, "more than 0");
  if (flopShare !== undefined) check(share(flopShare), "flop-share", flopShare, "more than 0, at most 1");
  if (bandwidthShare !== undefined) check(share(bandwidthShare), "bandwidth-share", bandwidthShare, "more than 0, at most 1");
  check(hostSpeed > 0, "host-speed", hostSpeed, "more than 0");
  check(exchangeSpeed > 0, "exchange-speed", exchangeSpeed, "more than 0");
  if (problems.length > 0) throw new UserError(problems.join("\n"));
  return {
    devices: args.device,
    canvas,
    globalBatch: batchSize,
    hours,
    microBatch,
    recompute: args.recompute,
    assumptions: {
      precision: precision === "float32" ? "float32" : "bfloat16",
      attention,
      flopShare,
      bandwidthShare,
      hostGigabytesPerSecond: hostSpeed,
      exchangeGigabytesPerSecond: exchangeSpeed,
      workers,
    },
  };
}

/** Projections and everything that they assume, a line each. */
export function describeRoofline({ model, request, projections }: RooflineReport): string {
  const { canvas, globalBatch, recompute, assumptions } = request;
  const { precision, hostGigabytesPerSecond, exchangeGigabytesPerSecond, workers } = assumptions;
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const half = precision === "bfloat16";
  const lines = [
    `projected, not measured: hidden ${model.hiddenSize}, ${model.heads} heads, canvas ${canvas} x ${canvas}, ${(model.parameters / 1e6).toFixed(2)} million weights, batch ${globalBatch} over ${workers} ${workers === 1 ? "worker" : "workers"}`,
    ...projections.flatMap((one) => describeDevice(one, request)),
    "assumed:",
    ...projections.map(
      ({ device, reached: { flopShare, bandwidthShare, measured } }) =>
        `  ${device}: products reach ${percent(flopShare)} of the peak, everything else ${percent(bandwidthShare)} of the memory's speed${measured ? ", as measured" : ""}; the two add up, or the slower decides where they overlap`,
    ),
    half ? "  bf16: operands and results of matrix products count 2 bytes, all else 4" : "  float32: every value counts 4 bytes",
    "  elementwise operations and softmax are joined to what reads them and take one pass; norms take two",
    `  attention's scores ${half && assumptions.attention !== "composed" ? "stay in the processor: cuDNN's attention" : "go through memory"}`,
    `  ${recompute ? "blocks are computed again for their gradient" : "what the gradient needs is kept"}; no row is padding, none has finished`,
    `  steps take and give all tensors through the host's memory, ${hostGigabytesPerSecond} GB/s; puzzle rows are kept and updated there, for nothing`,
    workers === 1
      ? "  no exchange: one worker"
      : `  gradients, ${((4 * model.parameters) / 1e6).toFixed(0)} MB a step, go around a ring at ${exchangeGigabytesPerSecond} GB/s a worker`,
    ...projections.map(({ device, source }) => `  ${device}: ${source}`),
  ];
  return lines.join("\n");
}

function describeDevice(one: DeviceRoofline, { hours, assumptions }: RooflineRequest): string[] {
  const { optimizerStep: step, actStep: act } = one;
  const peak =
    assumptions.precision === "bfloat16"
      ? `${one.bf16TeraflopsPerSecond} TFLOP/s bf16`
      : `${one.float32TeraflopsPerSecond} TFLOP/s float32`;
  const seconds = (value: number): string => `${value.toFixed(value < 0.1 ? 4 : 2)} s`;
  const work = ({ flops, bytes }: { flops: number; bytes: number }): string =>
    `${(flops / 1e12).toFixed(1)} TFLOP, ${(bytes / 1e9).toFixed(0)} GB`;
  return [
    `${one.workers} x ${one.device} (${peak}, ${one.memoryGigabytesPerSecond} GB/s each), ${one.rowsPerWorker} rows a worker, ${one.microBatchRows} at once:`,
    `  optimizer step  ${seconds(step.seconds)}, bound by ${step.boundBy} (${seconds(step.secondsWithOverlap)} with overlap): ${work(step)} a worker; ` +
      `products ${seconds(step.secondsOfProducts)}, memory ${seconds(step.secondsOfMemory)}, host copies ${seconds(step.secondsOfHostCopies)}, exchange ${seconds(step.secondsOfExchange)}`,
    `  steps in ${hours} h   ${one.stepsInHours} (${one.stepsInHoursWithOverlap} with overlap)`,
    `  ACT step of a prediction  ${seconds(act.seconds)} for ${one.rowsPerWorker} rows, ${(one.secondsPerActStepAndRow * 1000).toFixed(1)} ms each (${seconds(act.secondsWithOverlap)} with overlap): ${work(act)}`,
  ];
}
