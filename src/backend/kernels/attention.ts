// Attention of all heads without ever holding the scores of more than one: they stay in the second-level cache.

import { exp4 } from "./exp";
import { gemm, gemmScratch } from "./gemm";

/** Floats of scratch memory that `attend` and `attendGrad` need. */
export function attendScratch(positions: i32, headSize: i32): i32 {
  const square = positions * ((positions + 3) & ~3);
  return 7 * positions * headSize + 2 * square + gemmScratch(max(positions, headSize)) + 64;
}

/** Rows of one head out of rows of 3D (part 0 q, 1 k, 2 v), rotated where `rotate`, into [T, headSize]. */
function gather(qkv: usize, part: i32, head: i32, T: i32, heads: i32, size: i32, cos: usize, sin: usize, rotate: bool, out: usize): void {
  const D = heads * size;
  const half = size >> 1;
  let from = qkv + ((part * D + head * size) << 2);
  for (let t = 0; t < T; t++) {
    if (!rotate) {
      for (let i = 0; i < size; i += 4) v128.store(out + (i << 2), v128.load(from + (i << 2)));
    } else {
      for (let i = 0; i < half; i += 4) {
        const low = i << 2;
        const high = (i + half) << 2;
        const a = v128.load(from + low);
        const b = v128.load(from + high);
        v128.store(out + low, f32x4.sub(f32x4.mul(a, v128.load(cos + low)), f32x4.mul(b, v128.load(sin + low))));
        v128.store(out + high, f32x4.add(f32x4.mul(b, v128.load(cos + high)), f32x4.mul(a, v128.load(sin + high))));
      }
      cos += size << 2;
      sin += size << 2;
    }
    from += (3 * D) << 2;
    out += size << 2;
  }
}

/** The inverse of `gather` for gradients: rotates back where `rotate`. */
function scatter(from: usize, part: i32, head: i32, T: i32, heads: i32, size: i32, cos: usize, sin: usize, rotate: bool, qkv: usize): void {
  const D = heads * size;
  const half = size >> 1;
  let out = qkv + ((part * D + head * size) << 2);
  for (let t = 0; t < T; t++) {
    if (!rotate) {
      for (let i = 0; i < size; i += 4) v128.store(out + (i << 2), v128.load(from + (i << 2)));
    } else {
      for (let i = 0; i < half; i += 4) {
        const low = i << 2;
        const high = (i + half) << 2;
        const a = v128.load(from + low);
        const b = v128.load(from + high);
        v128.store(out + low, f32x4.add(f32x4.mul(a, v128.load(cos + low)), f32x4.mul(b, v128.load(sin + high))));
        v128.store(out + high, f32x4.sub(f32x4.mul(b, v128.load(cos + high)), f32x4.mul(a, v128.load(sin + low))));
      }
      cos += size << 2;
      sin += size << 2;
    }
    out += (3 * D) << 2;
    from += size << 2;
  }
}

/** Softmax of each row of `T` floats, rows `stride` floats apart, in place. */
function softmaxRows(s: usize, T: i32, stride: i32): void {
  const wide = T & ~3;
  for (let r = 0; r < T; r++) {
    let top4 = f32x4.splat(-f32.MAX_VALUE);
    let i = 0;
    for (; i < wide; i += 4) top4 = f32x4.max(top4, v128.load(s + (i << 2)));
    let top = max(
      max(f32x4.extract_lane(top4, 0), f32x4.extract_lane(top4, 1)),
      max(f32x4.extract_lane(top4, 2), f32x4.extract_lane(top4, 3)),
    );
    for (; i < T; i++) top = max(top, f32.load(s + (i << 2)));
    const top44 = f32x4.splat(top);
    let sum4 = f32x4.splat(0);
    for (i = 0; i < wide; i += 4) {
      const e = exp4(f32x4.sub(v128.load(s + (i << 2)), top44));
      v128.store(s + (i << 2), e);
      sum4 = f32x4.add(sum4, e);
    }
    let sum = f32x4.extract_lane(sum4, 0) + f32x4.extract_lane(sum4, 1) + f32x4.extract_lane(sum4, 2) + f32x4.extract_lane(sum4, 3);
    for (; i < T; i++) {
      const e = f32x4.extract_lane(exp4(f32x4.splat(f32.load(s + (i << 2)) - top)), 0);
      f32.store(s + (i << 2), e);
      sum += e;
    }
    const scale: f32 = 1 / sum;
    const scale4 = f32x4.splat(scale);
    for (i = 0; i < wide; i += 4) v128.store(s + (i << 2), f32x4.mul(v128.load(s + (i << 2)), scale4));
    for (; i < T; i++) f32.store(s + (i << 2), f32.load(s + (i << 2)) * scale);
    s += stride << 2;
  }
}

/** out [B * T, D] = softmax(rope(q) rope(k)^T / sqrt(size)) v, for qkv [B * T, 3D]. size is a multiple of 8. */
export function attend(qkv: usize, cos: usize, sin: usize, out: usize, B: i32, T: i32, heads: i32, size: i32, scratch: usize): void {
  const D = heads * size;
  const block = (T * size) << 2;
  const stride = (T + 3) & ~3;
  const q = scratch;
  const k = q + block;
  const v = k + block;
  const s = v + block;
  const work = (s + ((T * stride) << 2) + 15) & ~15;
  const scale: f32 = 1 / sqrt<f32>(<f32>size);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < heads; h++) {
      gather(qkv, 0, h, T, heads, size, cos, sin, true, q);
      gather(qkv, 1, h, T, heads, size, cos, sin, true, k);
      gather(qkv, 2, h, T, heads, size, cos, sin, false, v);
      gemm(q, size, false, k, size, true, s, stride, T, T, size, scale, false, work);
      softmaxRows(s, T, stride);
      gemm(s, stride, false, v, size, false, out + ((h * size) << 2), D, T, size, T, 1, false, work);
    }
    qkv += (T * 3 * D) << 2;
    out += (T * D) << 2;
  }
}

/** Gradient of `attend` with respect to qkv; the scores are computed anew. */
export function attendGrad(dy: usize, qkv: usize, cos: usize, sin: usize, dqkv: usize, B: i32, T: i32, heads: i32, size: i32, scratch: usize): void {
  const D = heads * size;
  const block = (T * size) << 2;
  const stride = (T + 3) & ~3;
  const q = scratch;
  const k = q + block;
  const v = k + block;
  const part = v + block;
  const s = part + block;
  const ds = s + ((T * stride) << 2);
  const work = (ds + ((T * stride) << 2) + 15) & ~15;
  const scale: f32 = 1 / sqrt<f32>(<f32>size);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < heads; h++) {
      gather(qkv, 0, h, T, heads, size, cos, sin, true, q);
      gather(qkv, 1, h, T, heads, size, cos, sin, true, k);
      gather(qkv, 2, h, T, heads, size, cos, sin, false, v);
      gemm(q, size, false, k, size, true, s, stride, T, T, size, scale, false, work);
      softmaxRows(s, T, stride);
      const d = dy + ((h * size) << 2);
      gemm(s, stride, true, d, D, false, part, size, T, size, T, 1, false, work);
      scatter(part, 2, h, T, heads, size, cos, sin, false, dqkv);
      gemm(d, D, false, v, size, true, ds, stride, T, T, size, 1, false, work);
      softmaxGradRows(s, ds, T, stride, scale);
      gemm(ds, stride, false, k, size, false, part, size, T, size, T, 1, false, work);
      scatter(part, 0, h, T, heads, size, cos, sin, true, dqkv);
      gemm(ds, stride, true, q, size, false, part, size, T, size, T, 1, false, work);
      scatter(part, 1, h, T, heads, size, cos, sin, true, dqkv);
    }
    qkv += (T * 3 * D) << 2;
    dqkv += (T * 3 * D) << 2;
    dy += (T * D) << 2;
  }
}

/** ds = s * (ds - sum(s * ds)) * scale, row by row, in place. */
function softmaxGradRows(s: usize, ds: usize, T: i32, stride: i32, scale: f32): void {
  const wide = T & ~3;
  const scale4 = f32x4.splat(scale);
  for (let r = 0; r < T; r++) {
    let sum4 = f32x4.splat(0);
    let i = 0;
    for (; i < wide; i += 4) sum4 = f32x4.add(sum4, f32x4.mul(v128.load(s + (i << 2)), v128.load(ds + (i << 2))));
    let sum = f32x4.extract_lane(sum4, 0) + f32x4.extract_lane(sum4, 1) + f32x4.extract_lane(sum4, 2) + f32x4.extract_lane(sum4, 3);
    for (; i < T; i++) sum += f32.load(s + (i << 2)) * f32.load(ds + (i << 2));
    const all4 = f32x4.splat(sum);
    for (i = 0; i < wide; i += 4) {
      const p = v128.load(s + (i << 2));
      v128.store(ds + (i << 2), f32x4.mul(f32x4.mul(p, f32x4.sub(v128.load(ds + (i << 2)), all4)), scale4));
    }
    for (; i < T; i++) f32.store(ds + (i << 2), f32.load(s + (i << 2)) * (f32.load(ds + (i << 2)) - sum) * scale);
    s += stride << 2;
    ds += stride << 2;
  }
}
