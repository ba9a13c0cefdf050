/** 16-bit floating point numbers, widened to float32 without loss. */

/** bfloat16 (the upper half of a float32), as raw uint16, to float32. */
export function widenBfloat16(raw: Uint16Array): Float32Array {
  const out = new Uint32Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw[i]! << 16;
  return new Float32Array(out.buffer);
}

/** IEEE float16, as raw uint16, to float32. */
export function widenFloat16(raw: Uint16Array): Float32Array {
  const out = new Float32Array(raw.length);
  for (let i = 0; i < raw.length; i++) {
    const half = raw[i]!;
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >>> 10) & 31;
    const fraction = half & 0x3ff;
    if (exponent === 31) out[i] = fraction === 0 ? sign * Infinity : Number.NaN;
    else out[i] = exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
  }
  return out;
}
