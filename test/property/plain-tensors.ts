/** The model's operations in plain loops over doubles: slow, and short enough to check by eye. */

export type Numbers = ArrayLike<number>;

/** A' B', where A' is A [m, k] or the transpose of A [k, m], and B' likewise [k, n] or from [n, k]. */
export function matMul(a: Numbers, b: Numbers, m: number, k: number, n: number, transposeA = false, transposeB = false): Float64Array {
  const out = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < k; p++) {
      const left = transposeA ? a[p * m + i]! : a[i * k + p]!;
      for (let j = 0; j < n; j++) out[i * n + j]! += left * (transposeB ? b[j * k + p]! : b[p * n + j]!);
    }
  }
  return out;
}

/** (x + y) / sqrt(mean((x + y)^2) + eps), row by row, and the factor of each row. */
export function addRmsNorm(x: Numbers, y: Numbers, width: number, eps: number): { normed: Float64Array; inverse: Float64Array } {
  const normed = Float64Array.from(x, (v, i) => v + y[i]!);
  const inverse = new Float64Array(normed.length / width);
  for (let r = 0; r < inverse.length; r++) {
    const row = normed.subarray(r * width, (r + 1) * width);
    inverse[r] = 1 / Math.sqrt(row.reduce((sum, v) => sum + v * v, 0) / width + eps);
    for (let i = 0; i < width; i++) row[i]! *= inverse[r]!;
  }
  return { normed, inverse };
}

/** Gradient of `addRmsNorm` with respect to x, and so to y. */
export function addRmsNormGrad(dy: Numbers, normed: Numbers, inverse: Numbers, width: number): Float64Array {
  return Float64Array.from(dy, (d, at) => {
    const r = Math.floor(at / width);
    let along = 0;
    for (let i = r * width; i < (r + 1) * width; i++) along += (dy[i]! * normed[i]!) / width;
    return (d - normed[at]! * along) * inverse[r]!;
  });
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** silu(g) * up for rows (g | up) of 2 * width. */
export function gate(x: Numbers, width: number): Float64Array {
  return Float64Array.from({ length: x.length / 2 }, (_, at) => {
    const g = x[Math.floor(at / width) * 2 * width + (at % width)]!;
    return g * sigmoid(g) * x[Math.floor(at / width) * 2 * width + width + (at % width)]!;
  });
}

/** Gradient of `gate`: rows (dg | dup). */
export function gateGrad(dy: Numbers, x: Numbers, width: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let at = 0; at < dy.length; at++) {
    const g = Math.floor(at / width) * 2 * width + (at % width);
    const s = sigmoid(x[g]!);
    out[g] = dy[at]! * x[g + width]! * s * (1 + x[g]! * (1 - s));
    out[g + width] = dy[at]! * x[g]! * s;
  }
  return out;
}

/** Sizes of the terms that `gateGrad` adds up. */
export function gateGradTerms(dy: Numbers, x: Numbers, width: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let at = 0; at < dy.length; at++) {
    const g = Math.floor(at / width) * 2 * width + (at % width);
    const s = sigmoid(x[g]!);
    out[g] = Math.abs(dy[at]! * x[g + width]! * s) * (1 + Math.abs(x[g]!) * (1 - s));
    out[g + width] = Math.abs(dy[at]! * x[g]! * s);
  }
  return out;
}

export interface Heads {
  readonly batch: number;
  readonly positions: number;
  readonly heads: number;
  readonly headSize: number;
}

/** For each batch row and head: rotated q and k, v, and the softmax of the scores; `at` finds a head's vector in rows of q | k | v. */
function headsOf(qkv: Numbers, { batch, positions: T, heads, headSize: S }: Heads, cos: Numbers, sin: Numbers) {
  const D = heads * S;
  const at = (b: number, h: number, part: number, t: number): number => (b * T + t) * 3 * D + part * D + h * S;
  return Array.from({ length: batch * heads }, (_, index) => {
    const [b, h] = [Math.floor(index / heads), index % heads];
    const part = (p: number): Float64Array => {
      const out = new Float64Array(T * S);
      for (let t = 0; t < T; t++) {
        for (let i = 0; i < S; i++) {
          const [x, other] = [qkv[at(b, h, p, t) + i]!, qkv[at(b, h, p, t) + ((i + S / 2) % S)]!];
          out[t * S + i] = p === 2 ? x : x * cos[t * S + i]! + (i < S / 2 ? -other : other) * sin[t * S + i]!;
        }
      }
      return out;
    };
    const [q, k, v] = [part(0), part(1), part(2)];
    const weights = matMul(q, k, T, S, T, false, true);
    for (let t = 0; t < T; t++) {
      const row = weights.subarray(t * T, (t + 1) * T);
      const top = row.reduce((m, s) => Math.max(m, s), Number.NEGATIVE_INFINITY);
      row.forEach((s, i) => {
        row[i] = Math.exp((s - top) / Math.sqrt(S));
      });
      const total = row.reduce((a, c) => a + c, 0);
      for (let i = 0; i < T; i++) row[i]! /= total;
    }
    return { b, h, q, k, v, weights, at: (p: number, t: number): number => at(b, h, p, t) };
  });
}

/** softmax(rope(q) rope(k)^T / sqrt(headSize)) v of all heads: rows of q | k | v [B * T, 3D] -> [B * T, D]. */
export function attend(qkv: Numbers, shape: Heads, cos: Numbers, sin: Numbers): Float64Array {
  const { positions: T, heads, headSize: S } = shape;
  const out = new Float64Array(qkv.length / 3);
  for (const { b, h, v, weights } of headsOf(qkv, shape, cos, sin)) {
    const y = matMul(weights, v, T, T, S);
    for (let t = 0; t < T; t++) out.set(y.subarray(t * S, (t + 1) * S), (b * T + t) * heads * S + h * S);
  }
  return out;
}

/** Gradient of `attend` with respect to qkv. */
export function attendGrad(dy: Numbers, qkv: Numbers, shape: Heads, cos: Numbers, sin: Numbers): Float64Array {
  const { positions: T, heads, headSize: S } = shape;
  const out = new Float64Array(qkv.length);
  for (const { b, h, q, k, v, weights, at } of headsOf(qkv, shape, cos, sin)) {
    const d = new Float64Array(T * S);
    for (let t = 0; t < T; t++) for (let i = 0; i < S; i++) d[t * S + i] = dy[(b * T + t) * heads * S + h * S + i]!;
    const dScores = matMul(d, v, T, S, T, false, true);
    for (let t = 0; t < T; t++) {
      let along = 0;
      for (let i = t * T; i < (t + 1) * T; i++) along += weights[i]! * dScores[i]!;
      for (let i = t * T; i < (t + 1) * T; i++) dScores[i] = (weights[i]! * (dScores[i]! - along)) / Math.sqrt(S);
    }
    const parts = [matMul(dScores, k, T, T, S), matMul(dScores, q, T, T, S, true), matMul(weights, d, T, T, S, true)];
    parts.forEach((part, p) => {
      for (let t = 0; t < T; t++) {
        for (let i = 0; i < S; i++) {
          const [g, j] = [part[t * S + i]!, (i + S / 2) % S];
          // the rotation's transpose
          const turned = part[t * S + j]! * sin[t * S + j]!;
          out[at(p, t) + i] = p === 2 ? g : g * cos[t * S + i]! + (i < S / 2 ? turned : -turned);
        }
      }
    });
  }
  return out;
}
