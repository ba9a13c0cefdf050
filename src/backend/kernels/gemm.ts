// Matrix product of float32 matrices in any orientation, blocked for registers and caches.
// AssemblyScript: compiled by build.mjs to a wasm module that shares the memory of tfjs's wasm backend.

/** Depth of one block: a packed panel of B (KC x 8 floats) stays in the first-level cache. */
const KC: i32 = 256;

/** Floats of scratch memory that `gemm` needs. */
// @ts-ignore: decorator
@inline
export function gemmScratch(n: i32): i32 {
  return KC * 4 + KC * ((n + 7) & ~7) + 32;
}

/**
 * C = alpha * A' B' (+ C where `add`), A' is A [m, k] or, transposed, [k, m] as stored; B' is B [k, n] or [n, k] as stored.
 * lda, ldb, ldc: floats from one stored row to the next. `scratch`: gemmScratch(n) floats, 16-byte aligned.
 */
export function gemm(
  a: usize, lda: i32, transA: bool,
  b: usize, ldb: i32, transB: bool,
  c: usize, ldc: i32,
  m: i32, n: i32, k: i32, alpha: f32, add: bool, scratch: usize,
): void {
  const packedA = scratch;
  const packedB = scratch + ((KC * 4) << 2);
  const panels = (n + 7) >> 3;
  const tile = packedB + ((KC * panels * 8) << 2);
  for (let k0 = 0; k0 < k; k0 += KC) {
    const depth = min(KC, k - k0);
    packB(b, ldb, transB, k0, depth, n, packedB);
    const accumulate = add || k0 > 0;
    for (let i = 0; i < m; i += 4) {
      const height = min(4, m - i);
      packA(a, lda, transA, i, height, k0, depth, packedA, alpha);
      let panel = packedB;
      for (let j = 0; j < n; j += 8) {
        if (height == 4 && j + 8 <= n) {
          kernel(packedA, panel, depth, c + ((i * ldc + j) << 2), ldc << 2, accumulate);
        } else {
          kernel(packedA, panel, depth, tile, 32, false);
          copyTile(tile, c + ((i * ldc + j) << 2), ldc << 2, height, min(8, n - j), accumulate);
        }
        panel += (depth * 8) << 2;
      }
    }
  }
}

/** Panels of 8 columns, row after row; columns past n are zero. */
function packB(b: usize, ldb: i32, transposed: bool, k0: i32, depth: i32, n: i32, out: usize): void {
  for (let j = 0; j < n; j += 8) {
    const width = min(8, n - j);
    if (!transposed) {
      let from = b + ((k0 * ldb + j) << 2);
      for (let p = 0; p < depth; p++) {
        if (width == 8) {
          v128.store(out, v128.load(from));
          v128.store(out, v128.load(from, 16), 16);
        } else {
          for (let x = 0; x < 8; x++) f32.store(out + (x << 2), x < width ? f32.load(from + (x << 2)) : 0);
        }
        out += 32;
        from += ldb << 2;
      }
    } else {
      const start = out;
      for (let x = 0; x < 8; x += 4) {
        if (x + 4 <= width) {
          let r0 = b + (((j + x) * ldb + k0) << 2);
          let r1 = r0 + (ldb << 2);
          let r2 = r1 + (ldb << 2);
          let r3 = r2 + (ldb << 2);
          let to = start + (x << 2);
          let p = 0;
          for (; p + 4 <= depth; p += 4) {
            transpose4(r0, r1, r2, r3, to, 32);
            r0 += 16; r1 += 16; r2 += 16; r3 += 16;
            to += 128;
          }
          for (; p < depth; p++) {
            f32.store(to, f32.load(r0));
            f32.store(to, f32.load(r1), 4);
            f32.store(to, f32.load(r2), 8);
            f32.store(to, f32.load(r3), 12);
            r0 += 4; r1 += 4; r2 += 4; r3 += 4;
            to += 32;
          }
        } else {
          for (let y = x; y < x + 4; y++) {
            let to = start + (y << 2);
            let from = b + (((j + y) * ldb + k0) << 2);
            for (let p = 0; p < depth; p++) {
              f32.store(to, y < width ? f32.load(from) : 0);
              from += 4;
              to += 32;
            }
          }
        }
      }
      out = start + ((depth * 8) << 2);
    }
  }
}

/** One panel of 4 rows, column after column, times alpha; rows past the matrix are zero. */
function packA(a: usize, lda: i32, transposed: bool, i: i32, height: i32, k0: i32, depth: i32, out: usize, alpha: f32): void {
  const scale = f32x4.splat(alpha);
  if (height == 4) {
    if (transposed) {
      let from = a + ((k0 * lda + i) << 2);
      for (let p = 0; p < depth; p++) {
        v128.store(out, f32x4.mul(v128.load(from), scale));
        out += 16;
        from += lda << 2;
      }
    } else {
      let r0 = a + ((i * lda + k0) << 2);
      let r1 = r0 + (lda << 2);
      let r2 = r1 + (lda << 2);
      let r3 = r2 + (lda << 2);
      let p = 0;
      for (; p + 4 <= depth; p += 4) {
        transpose4(r0, r1, r2, r3, out, 16);
        if (alpha != 1) for (let y = 0; y < 64; y += 16) v128.store(out + y, f32x4.mul(v128.load(out + y), scale));
        r0 += 16; r1 += 16; r2 += 16; r3 += 16;
        out += 64;
      }
      for (; p < depth; p++) {
        f32.store(out, f32.load(r0) * alpha);
        f32.store(out, f32.load(r1) * alpha, 4);
        f32.store(out, f32.load(r2) * alpha, 8);
        f32.store(out, f32.load(r3) * alpha, 12);
        r0 += 4; r1 += 4; r2 += 4; r3 += 4;
        out += 16;
      }
    }
    return;
  }
  for (let p = 0; p < depth; p++) {
    for (let y = 0; y < 4; y++) {
      const at = transposed ? (k0 + p) * lda + i + y : (i + y) * lda + k0 + p;
      f32.store(out + (y << 2), y < height ? f32.load(a + (at << 2)) * alpha : 0);
    }
    out += 16;
  }
}

/** Four rows of four to four columns of four, `stride` bytes apart. */
// @ts-ignore: decorator
@inline
function transpose4(r0: usize, r1: usize, r2: usize, r3: usize, to: usize, stride: usize): void {
  const a = v128.load(r0);
  const b = v128.load(r1);
  const c = v128.load(r2);
  const d = v128.load(r3);
  const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f64>(ab0, cd0, 0, 2));
  v128.store(to + stride, v128.shuffle<f64>(ab0, cd0, 1, 3));
  v128.store(to + 2 * stride, v128.shuffle<f64>(ab1, cd1, 0, 2));
  v128.store(to + 3 * stride, v128.shuffle<f64>(ab1, cd1, 1, 3));
}

/** 4 x 8 outputs from packed panels. */
function kernel(a: usize, b: usize, depth: i32, c: usize, strideC: usize, accumulate: bool): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  const end = a + ((depth << 2) << 2);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(a0, b0));
    c01 = f32x4.add(c01, f32x4.mul(a0, b1));
    const a1 = v128.load32_splat(a, 4);
    c10 = f32x4.add(c10, f32x4.mul(a1, b0));
    c11 = f32x4.add(c11, f32x4.mul(a1, b1));
    const a2 = v128.load32_splat(a, 8);
    c20 = f32x4.add(c20, f32x4.mul(a2, b0));
    c21 = f32x4.add(c21, f32x4.mul(a2, b1));
    const a3 = v128.load32_splat(a, 12);
    c30 = f32x4.add(c30, f32x4.mul(a3, b0));
    c31 = f32x4.add(c31, f32x4.mul(a3, b1));
    a += 16;
    b += 32;
  }
  storeRow(c, c00, c01, accumulate);
  storeRow(c + strideC, c10, c11, accumulate);
  storeRow(c + 2 * strideC, c20, c21, accumulate);
  storeRow(c + 3 * strideC, c30, c31, accumulate);
}

// @ts-ignore: decorator
@inline
function storeRow(c: usize, left: v128, right: v128, accumulate: bool): void {
  if (accumulate) {
    left = f32x4.add(left, v128.load(c));
    right = f32x4.add(right, v128.load(c, 16));
  }
  v128.store(c, left);
  v128.store(c, right, 16);
}

function copyTile(tile: usize, c: usize, strideC: usize, height: i32, width: i32, accumulate: bool): void {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = c + (x << 2);
      const value = f32.load(tile + (y << 5) + (x << 2));
      f32.store(at, accumulate ? f32.load(at) + value : value);
    }
    c += strideC;
  }
}

/** `count` products of equal shapes; a stride of 0 floats shares one operand between all. */
export function batchedGemm(
  a: usize, strideA: i32, transA: bool,
  b: usize, strideB: i32, transB: bool,
  c: usize, count: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  for (let i = 0; i < count; i++) {
    gemm(
      a + ((i * strideA) << 2), transA ? m : k, transA,
      b + ((i * strideB) << 2), transB ? k : n, transB,
      c + ((i * m * n) << 2), n, m, n, k, 1, false, scratch,
    );
  }
}
