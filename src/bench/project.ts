/** How long counted work would take on a device that is described and not there: a roofline. */
import type { AttentionMode } from "../trace/compilation.ts";
import type { DeviceProfile } from "./device-profiles.ts";

/** Work of one device in one step. */
export interface Work {
  readonly flops: number;
  /** through the device's memory */
  readonly bytes: number;
  /** between the device and the host's memory */
  readonly hostBytes: number;
  /** of gradients that each worker exchanges with the others */
  readonly exchangeBytes: number;
}

export interface ProjectionAssumptions {
  readonly precision: "float32" | "bfloat16";
  /** `auto` unless given */
  readonly attention?: AttentionMode | undefined;
  /** what is reached of the device's peak in matrix products, and of its memory's speed; what its profile says unless given */
  readonly flopShare?: number | undefined;
  readonly bandwidthShare?: number | undefined;
  readonly hostGigabytesPerSecond: number;
  /** that each worker sends its neighbour in the ring, all sending at once */
  readonly exchangeGigabytesPerSecond: number;
  readonly workers: number;
}

export interface Projection {
  readonly secondsOfProducts: number;
  readonly secondsOfMemory: number;
  readonly secondsOfHostCopies: number;
  readonly secondsOfExchange: number;
  /** the slower of the two */
  readonly boundBy: "products" | "memory";
  /** products, then memory, then copies and exchange: XLA runs one kernel after the other */
  readonly seconds: number;
  /** the slower of products and memory, the other hidden behind it: what no device is faster than */
  readonly secondsWithOverlap: number;
}

/** What a user may set of the assumptions, and what stands unless they do. */
export const DEFAULT_ASSUMPTIONS = {
  /** from and to ordinary memory over PCI Express 4.0 x16, which could do 32 each way between pinned pages */
  hostGigabytesPerSecond: 10,
  /** 28 MB between 4 processes took 108 ms on two processor cores, 1.5 times 28 MB sent by each */
  exchangeGigabytesPerSecond: 0.39,
} as const;

/** What is reached of a device: what is assumed, else what its profile says. */
export function sharesOf(
  { reached }: Pick<DeviceProfile, "reached">,
  assumed: Pick<ProjectionAssumptions, "flopShare" | "bandwidthShare">,
) {
  const { flopShare, bandwidthShare } = assumed;
  return {
    flopShare: flopShare ?? reached.flopShare,
    bandwidthShare: bandwidthShare ?? reached.bandwidthShare,
    measured: reached.measured && flopShare === undefined && bandwidthShare === undefined,
  };
}

/** Seconds of one step. Pure. */
export function project(work: Work, profile: DeviceProfile, assumptions: ProjectionAssumptions): Projection {
  const { precision, hostGigabytesPerSecond, exchangeGigabytesPerSecond, workers } = assumptions;
  const { flopShare, bandwidthShare } = sharesOf(profile, assumptions);
  const peak = precision === "bfloat16" ? profile.bf16TeraflopsPerSecond : profile.float32TeraflopsPerSecond;
  const secondsOfProducts = work.flops / (peak * 1e12 * flopShare);
  const secondsOfMemory = work.bytes / (profile.memoryGigabytesPerSecond * 1e9 * bandwidthShare);
  const secondsOfHostCopies = work.hostBytes / (hostGigabytesPerSecond * 1e9);
  // A ring of W sends W - 1 of W parts around twice: once summing, once with the sums.
  const sent = (work.exchangeBytes * 2 * (workers - 1)) / workers;
  const secondsOfExchange = sent / (exchangeGigabytesPerSecond * 1e9);
  const beside = secondsOfHostCopies + secondsOfExchange;
  return {
    secondsOfProducts,
    secondsOfMemory,
    secondsOfHostCopies,
    secondsOfExchange,
    boundBy: secondsOfProducts > secondsOfMemory ? "products" : "memory",
    seconds: secondsOfProducts + secondsOfMemory + beside,
    secondsWithOverlap: Math.max(secondsOfProducts, secondsOfMemory) + beside,
  };
}
