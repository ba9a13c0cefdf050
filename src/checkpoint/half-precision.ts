/** 16-bit floating point numbers, widened to float32 without loss, and float32 rounded to bfloat16. */

/** bfloat16 (the upper half of a float32), as raw uint16, to float32. @param out takes the result; as long as `raw` */
export function widenBfloat16(raw: Uint16Array, out: Float32Array = new Float32Array(raw.length)): Float32Array {
  const bits = bitsOf(out);
  for (let i = 0; i < raw.length; i++) bits[i] = raw[i]! << 16;
  return out;
}

/** IEEE float16, as raw uint16, to float32. @param out takes the result; as long as `raw` */
export function widenFloat16(raw: Uint16Array, out: Float32Array = new Float32Array(raw.length)): Float32Array {
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

/** float32 to raw bfloat16, to the nearest, ties to even; numbers must be finite. */
export function roundToBfloat16(data: Float32Array): Uint16Array {
  return Uint16Array.from(bitsOf(data), (bits) => (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
}

/** Whether bfloat16 holds these numbers without loss. */
export function isBfloat16(data: Float32Array): boolean {
  return bitsOf(data).every((bits) => (bits & 0xffff) === 0);
}

function bitsOf(data: Float32Array): Uint32Array {
  return new Uint32Array(data.buffer, data.byteOffset, data.length);
}
