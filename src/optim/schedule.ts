/** Learning rates over the steps of a run. */

export interface Schedule {
  /** rate after the warm-up */
  readonly base: number;
  /** optimizer steps of linear warm-up */
  readonly warmupSteps: number;
  /** optimizer steps of the whole run; matters only where minRatio < 1 */
  readonly totalSteps: number;
  /** the rate at the end is this share of `base`, reached along half a cosine; 1 = constant */
  readonly minRatio: number;
}

/**
 * Rate of a step (1 = first): linear warm-up, then a half cosine from `base` to `base * minRatio`.
 *
 * Source: TRM pretrain.py `cosine_schedule_with_warmup_lr_lambda`
 */
export function learningRate(step: number, { base, warmupSteps, totalSteps, minRatio }: Schedule): number {
  if (step < warmupSteps) return (base * step) / Math.max(1, warmupSteps);
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  return base * (minRatio + Math.max(0, (1 - minRatio) * 0.5 * (1 + Math.cos(Math.PI * progress))));
}
