/** How the halting head's logits go with right answers: a logistic fitted to predictions whose truth is known. */
import { type HaltingScale, haltProbability } from "./weighting.ts";

/** A prediction whose truth is known. */
export interface Judged {
  readonly qHaltLogit: number;
  readonly right: boolean;
}

/** A scale, and how well logits tell right from wrong. */
export interface HaltingFit extends HaltingScale {
  readonly predictions: number;
  readonly right: number;
  /** mean log loss of the head's own probabilities, and of the scaled ones, on these predictions */
  readonly lossBefore: number;
  readonly lossAfter: number;
  /** chance that a right prediction has a higher logit than a wrong one (ties half): 0.5 says nothing; that where there are none of one kind */
  readonly auc: number;
}

/** Logits beyond say no more; NaN counts as the lowest. */
const MOST_LOGIT = 20;
/** As good as so many predictions that speak for the head as it is: keeps a fit to few of them, or to right ones alone, within reason. */
const PRIOR = 1;
const ITERATIONS = 50;

/**
 * The slope and offset that make the given predictions most likely, drawn towards the head as it is (1 and 0).
 *
 * A head that speaks against the truth gets the slope 0: then all votes weigh the same. No gradient goes through the trunk: the order of
 * predictions by logit stays.
 */
export function fitHaltingScale(judged: readonly Judged[]): HaltingFit {
  const points = judged.map(({ qHaltLogit, right }) => ({ x: clipped(qHaltLogit), y: Number(right) }));
  const free = minimize(points, { slope: 1, offset: 0 }, false);
  const scale = free.slope >= 0 ? free : minimize(points, { slope: 0, offset: 0 }, true);
  return {
    ...scale,
    predictions: points.length,
    right: points.filter(({ y }) => y === 1).length,
    lossBefore: meanLoss(points, { slope: 1, offset: 0 }),
    lossAfter: meanLoss(points, scale),
    auc: areaUnderCurve(points),
  };
}

type Point = { readonly x: number; readonly y: number };

/** Newton's method on the two parameters, each step halved until the penalized loss falls. @param isFlat the slope stays */
function minimize(points: readonly Point[], start: HaltingScale, isFlat: boolean): HaltingScale {
  let scale = start;
  let loss = penalized(points, scale);
  for (let i = 0; i < ITERATIONS; i++) {
    let [g0, g1] = [PRIOR * scale.offset, PRIOR * (scale.slope - 1)];
    let [h00, h01, h11] = [PRIOR, 0, PRIOR];
    for (const { x, y } of points) {
      const p = haltProbability(scale.slope * x + scale.offset);
      const w = p * (1 - p);
      g0 += p - y;
      g1 += (p - y) * x;
      h00 += w;
      h01 += w * x;
      h11 += w * x * x;
    }
    const determinant = h00 * h11 - h01 * h01;
    const step = isFlat
      ? { offset: g0 / h00, slope: 0 }
      : { offset: (h11 * g0 - h01 * g1) / determinant, slope: (h00 * g1 - h01 * g0) / determinant };
    let size = 1;
    const moved = (): HaltingScale => ({ slope: scale.slope - size * step.slope, offset: scale.offset - size * step.offset });
    while (size > 1e-6 && !(penalized(points, moved()) <= loss)) size /= 2;
    const next = moved();
    const after = penalized(points, next);
    if (!(after < loss)) break;
    [scale, loss] = [next, after];
  }
  return scale;
}

function penalized(points: readonly Point[], scale: HaltingScale): number {
  return points.length * meanLoss(points, scale) + (PRIOR / 2) * ((scale.slope - 1) ** 2 + scale.offset ** 2);
}

function meanLoss(points: readonly Point[], { slope, offset }: HaltingScale): number {
  if (points.length === 0) return 0;
  const lossOf = ({ x, y }: Point): number => {
    const logit = slope * x + offset;
    return Math.max(logit, 0) - logit * y + Math.log1p(Math.exp(-Math.abs(logit)));
  };
  return points.reduce((sum, point) => sum + lossOf(point), 0) / points.length;
}

function areaUnderCurve(points: readonly Point[]): number {
  const sorted = points.toSorted((a, b) => a.x - b.x);
  let [wins, wrong, right] = [0, 0, 0];
  for (let i = 0; i < sorted.length; ) {
    let end = i;
    while (end < sorted.length && sorted[end]!.x === sorted[i]!.x) end++;
    const rights = sorted.slice(i, end).filter(({ y }) => y === 1).length;
    const wrongs = end - i - rights;
    wins += rights * (wrong + wrongs / 2);
    wrong += wrongs;
    right += rights;
    i = end;
  }
  return right > 0 && wrong > 0 ? wins / (right * wrong) : 0.5;
}

function clipped(logit: number): number {
  return Number.isNaN(logit) ? -MOST_LOGIT : Math.max(-MOST_LOGIT, Math.min(MOST_LOGIT, logit));
}
