// Fused kernels along rows: residual sum with its norm, and the gate of SwiGLU; each with its gradient.

import { exp4 } from "./exp";

// @ts-ignore: decorator
@inline
function horizontal(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** normed = (x + y) * inverse, inverse = 1 / sqrt(mean((x + y)^2) + eps), row by row. */
export function addRmsNorm(x: usize, y: usize, normed: usize, inverse: usize, rows: i32, width: i32, eps: f32): void {
  const bytes = width << 2;
  const wide = bytes & ~15;
  for (let r = 0; r < rows; r++) {
    let sum4 = f32x4.splat(0);
    let i = 0;
    for (; i < wide; i += 16) {
      const v = f32x4.add(v128.load(x + i), v128.load(y + i));
      v128.store(normed + i, v);
      sum4 = f32x4.add(sum4, f32x4.mul(v, v));
    }
    let sum = horizontal(sum4);
    for (; i < bytes; i += 4) {
      const v = f32.load(x + i) + f32.load(y + i);
      f32.store(normed + i, v);
      sum += v * v;
    }
    const scale: f32 = 1 / sqrt<f32>(sum / <f32>width + eps);
    const scale4 = f32x4.splat(scale);
    for (i = 0; i < wide; i += 16) v128.store(normed + i, f32x4.mul(v128.load(normed + i), scale4));
    for (; i < bytes; i += 4) f32.store(normed + i, f32.load(normed + i) * scale);
    f32.store(inverse, scale);
    x += bytes;
    y += bytes;
    normed += bytes;
    inverse += 4;
  }
}

/** dx = (dy - normed * mean(dy * normed)) * inverse, row by row. */
export function addRmsNormGrad(dy: usize, normed: usize, inverse: usize, dx: usize, rows: i32, width: i32): void {
  const bytes = width << 2;
  const wide = bytes & ~15;
  for (let r = 0; r < rows; r++) {
    let sum4 = f32x4.splat(0);
    let i = 0;
    for (; i < wide; i += 16) sum4 = f32x4.add(sum4, f32x4.mul(v128.load(dy + i), v128.load(normed + i)));
    let sum = horizontal(sum4);
    for (; i < bytes; i += 4) sum += f32.load(dy + i) * f32.load(normed + i);
    const along: f32 = sum / <f32>width;
    const along4 = f32x4.splat(along);
    const scale = f32.load(inverse);
    const scale4 = f32x4.splat(scale);
    for (i = 0; i < wide; i += 16) {
      v128.store(dx + i, f32x4.mul(f32x4.sub(v128.load(dy + i), f32x4.mul(v128.load(normed + i), along4)), scale4));
    }
    for (; i < bytes; i += 4) f32.store(dx + i, (f32.load(dy + i) - f32.load(normed + i) * along) * scale);
    dy += bytes;
    normed += bytes;
    dx += bytes;
    inverse += 4;
  }
}

// @ts-ignore: decorator
@inline
function sigmoid4(v: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(v))));
}

/** out = g * sigmoid(g) * up for rows (g | up) of 2 * width; width is a multiple of 4. */
export function gate(x: usize, out: usize, rows: i32, width: i32): void {
  const bytes = width << 2;
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < bytes; i += 16) {
      const g = v128.load(x + i);
      v128.store(out + i, f32x4.mul(f32x4.mul(g, sigmoid4(g)), v128.load(x + bytes + i)));
    }
    x += bytes << 1;
    out += bytes;
  }
}

/** Gradient of `gate`: rows (dg | dup). */
export function gateGrad(dy: usize, x: usize, dx: usize, rows: i32, width: i32): void {
  const bytes = width << 2;
  const one = f32x4.splat(1);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < bytes; i += 16) {
      const g = v128.load(x + i);
      const d = v128.load(dy + i);
      const s = sigmoid4(g);
      const silu = f32x4.mul(g, s);
      const slope = f32x4.add(s, f32x4.mul(silu, f32x4.sub(one, s)));
      v128.store(dx + i, f32x4.mul(f32x4.mul(d, v128.load(x + bytes + i)), slope));
      v128.store(dx + bytes + i, f32x4.mul(d, silu));
    }
    dy += bytes;
    x += bytes << 1;
    dx += bytes << 1;
  }
}
