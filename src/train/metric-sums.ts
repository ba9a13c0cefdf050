/** Metrics of several optimizer steps taken together. */
import type { StepMetrics } from "./replica.ts";

/** What is told of rows: losses, which are means over them, and counts. */
const LOSSES = ["lmLoss", "qHaltLoss"] as const;
const COUNTS = ["finished", "accuracy", "exact", "qHaltAccuracy", "actSteps"] as const;
const OTHERS = ["taught", "encoded"] as const;

type Numbers = Readonly<Record<string, number>>;

/** Takes steps together: losses become means over the steps, counts become sums, so that no sample that finished is lost between two reports. */
export class MetricSums {
  #steps = 0;
  #own: Record<string, number> = {};
  #others: Partial<Record<(typeof OTHERS)[number], Record<string, number>>> = {};

  /** @param steps that the metrics are of already; each counts as one */
  add(metrics: StepMetrics, steps = 1): void {
    this.#steps += steps;
    addTo(this.#own, metrics as unknown as Numbers, steps);
    for (const name of OTHERS) if (metrics[name]) addTo((this.#others[name] ??= {}), metrics[name] as Numbers, steps);
  }

  /** All that was added since the last time, and of how many steps it is; undefined where that is none. */
  take(): { metrics: StepMetrics; steps: number } | undefined {
    const steps = this.#steps;
    if (steps === 0) return undefined;
    const others = Object.entries(this.#others).map(([name, sums]) => [name, meansOf(sums, steps)]);
    const metrics = { ...meansOf(this.#own, steps), ...Object.fromEntries(others) } as unknown as StepMetrics;
    this.#steps = 0;
    this.#own = {};
    this.#others = {};
    return { metrics, steps };
  }
}

function addTo(sums: Record<string, number>, values: Numbers, steps: number): void {
  for (const name of LOSSES) if (values[name] !== undefined) sums[name] = (sums[name] ?? 0) + steps * values[name];
  for (const name of COUNTS) if (values[name] !== undefined) sums[name] = (sums[name] ?? 0) + values[name];
}

function meansOf(sums: Numbers, steps: number): Numbers {
  return Object.fromEntries(
    Object.entries(sums).map(([name, sum]) => [name, (LOSSES as readonly string[]).includes(name) ? sum / steps : sum]),
  );
}
